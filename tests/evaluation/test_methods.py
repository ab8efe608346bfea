from weakcl_pipeline.evaluation.methods import LOWER, METHOD, METHODS, UPPER, describe_method, in_order


def test_registered_methods_keep_their_order_and_others_follow_by_name():
    names = [method.name for method in METHODS]
    assert in_order({*names, "zebra", "aardvark"}) == [*names, "aardvark", "zebra"]
    assert {LOWER, METHOD, UPPER} <= set(names)


def test_a_method_that_is_not_registered_is_shown_under_its_own_name():
    assert describe_method("my_own_method").title == "My own method"
    assert describe_method("attribute").title == "Attributes"
    assert not describe_method("majority").trained
