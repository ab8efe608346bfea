from weakcl_pipeline.evaluation.methods import LOWER, METHOD, METHODS, UPPER, describe_method, in_order


def test_registered_methods_keep_their_order_and_others_follow_by_name():
    names = [method.name for method in METHODS]
    assert in_order({*names, "zebra", "affinity"}) == [*names, "affinity", "zebra"]
    assert {LOWER, METHOD, UPPER} <= set(names)


def test_a_method_that_is_not_registered_is_shown_under_its_own_name():
    assert describe_method("cluster_cross_entropy").title == "Cluster cross entropy"
    assert describe_method("attribute").title == "Attributes"
    assert not describe_method("majority").trained
