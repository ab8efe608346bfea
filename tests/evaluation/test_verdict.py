import polars as pl
import pytest

from weakcl_pipeline.evaluation.verdict import verdict

ENDS = ("", "_low", "_high")


def row(method, accuracy, difference=(0.0, 0.0, 0.0), share=None, label="kind", seeds=(0,), shared=None, groups=200):
    found = {"label": label, "probe": "linear", "method": method, "seeds": list(seeds), "accuracy": accuracy}
    found |= {"shared_seeds": list(seeds if shared is None else shared), "samples": 200, "groups": groups}
    found |= dict(zip([f"difference{end}" for end in ENDS], difference, strict=True))
    shares = (None, None, None) if share is None else (share, share - 0.2, share + 0.3)
    return found | dict(zip([f"gap_closed{end}" for end in ENDS], shares, strict=True))


def say(*rows, confidence=0.95, supervised_label="kind"):
    return verdict(pl.DataFrame(rows, infer_schema_length=None), confidence, supervised_label)


def test_a_gain_beyond_chance():
    (text,) = say(
        row("self_supervised", 0.587),
        row("attribute", 0.636, (0.049, 0.021, 0.0764), 0.516),
        row("supervised", 0.682, (0.095, 0.06, 0.13), 1.0),
    )
    assert text == (
        "On kind, auxiliary information closes 52% of the gap between self-supervised and supervised "
        "(interval 32% to 82%): a linear probe is right on 63.6% of the test pictures, "
        "against 58.7% self-supervised and 68.2% supervised. "
        "The gain of 4.9 points is more than the choice of test pictures explains (95% interval +2.1 to +7.6)."
    )


@pytest.mark.parametrize(
    ("difference", "share", "says"),
    [
        ((0.01, -0.02, 0.03), 0.2, "+1.0 points may be due to the choice of test pictures (90% interval -2.0 to +3.0)"),
        ((0.01, -0.02, 0.03), 0.2, "On kind, it is open whether auxiliary information helps: a linear"),
        ((-0.01, -0.02, 0.03), None, "On kind, it is open whether auxiliary information helps: a linear"),
        ((-0.05, -0.08, -0.02), -0.5, "The loss of 5.0 points is more than"),
        ((-0.05, -0.08, -0.02), -0.5, "auxiliary information does not help"),
        ((0.05, 0.02, 0.08), None, "helps, but there is no gap to supervised training beyond chance"),
        (
            (0.05, 0.02, 0.08),
            1.2,
            "closes 120% of the gap between self-supervised and supervised (interval 100% to 150%)",
        ),
    ],
)
def test_other_outcomes(difference, share, says):
    rows = row("self_supervised", 0.5), row("attribute", 0.55, difference, share), row("supervised", 0.6)
    assert says in say(*rows, confidence=0.9)[0]


def test_a_gap_that_other_seeds_show_is_not_denied():
    rows = row("self_supervised", 0.5), row("attribute", 0.55, (0.05, 0.02, 0.08))
    (text,) = say(*rows, row("supervised", 0.9, (0.4, 0.3, 0.5), seeds=(1,)))
    assert text.startswith("On kind, auxiliary information helps: a linear")


def test_supervision_by_another_label_is_called_that_and_no_share_is_missed():
    rows = [
        row("self_supervised", 0.5, label="side"),
        row("attribute", 0.55, (0.05, 0.01, 0.1), label="side"),
        row("supervised", 0.6, (0.1, 0.05, 0.2), label="side"),
    ]
    (text,) = say(*rows)
    assert text.startswith("On side, auxiliary information helps: a linear")
    assert "against 50.0% self-supervised and 60.0% supervised by kind." in text


def test_methods_without_a_common_seed_do_not_compare():
    nothing = (None, None, None)
    (text,) = say(
        row("self_supervised", 0.5, seeds=(0,)),
        row("attribute", 0.55, nothing, seeds=(1,)),
        row("supervised", 0.6, nothing, seeds=(1,)),
    )
    assert "were not trained with one seed, so they do not compare" in text
    assert text.endswith("Train both with the same seed, for instance with `--params=seed=0`.")
    (text,) = say(
        row("self_supervised", 0.5), row("attribute", 0.55, (0.05, 0.01, 0.1)), row("supervised", 0.6, nothing)
    )
    assert text.startswith("On kind, auxiliary information helps: a linear")


def test_several_seeds_are_a_part_of_chance():
    seeds = (0, 1, 2)
    (text,) = say(row("self_supervised", 0.5, seeds=seeds), row("attribute", 0.55, (0.05, 0.01, 0.1), seeds=seeds))
    assert "The gain of 5.0 points is more than the choice of test pictures and of 3 seeds explains" in text


def test_a_difference_is_of_the_seeds_that_both_have():
    (text,) = say(
        row("self_supervised", 0.3), row("attribute", 0.4, (0.5, 0.3, 0.7), seeds=(0, 1, 2, 3, 4), shared=(0,))
    )
    assert "The gain of 50.0 points, by what both have, seed 0, is more than the choice of test pictures exp" in text
    (text,) = say(
        row("self_supervised", 0.3, seeds=(0, 1, 2)),
        row("attribute", 0.4, (0.1, -0.3, 0.7), seeds=(1, 2, 3), shared=(1, 2)),
    )
    assert (
        "The difference of +10.0 points, by what both have, seed 1 and 2, may be due to the choice of test pictures"
        " and of 2 seeds" in text
    )


@pytest.mark.parametrize(("groups", "words"), [(1, "1 group explains"), (12, "12 groups explains")])
def test_groups_of_test_pictures_are_counted(groups, words):
    gain = (0.05, 0.01, 0.1)
    (text,) = say(row("self_supervised", 0.5, groups=groups), row("attribute", 0.55, gain, groups=groups))
    assert f"more than the choice of test pictures in {words}" in text


def test_supervised_training_that_failed_is_told():
    (text,) = say(
        row("self_supervised", 0.5),
        row("attribute", 0.75, (0.25, 0.2, 0.3)),
        row("supervised", 0.15, (-0.35, -0.4, -0.3)),
    )
    assert text.startswith("On kind, auxiliary information helps, and supervised training does not: a linear")


def test_without_a_supervised_encoder():
    (text,) = say(row("self_supervised", 0.5), row("attribute", 0.55, (0.05, 0.01, 0.1)))
    assert "against 50.0% self-supervised." in text


def test_without_the_method_the_best_is_named():
    assert say(row("self_supervised", 0.5), row("iterative", 0.625)) == [
        "On kind, Iterative k-means is highest, with 62.5% of the test pictures right."
    ]


def test_all_that_are_best_are_named():
    (text,) = say(row("self_supervised", 0.7), row("iterative", 0.5), row("pcl", 0.7))
    assert text == "On kind, Self-supervised and PCL are highest, with 70.0% of the test pictures right."


def test_a_confidence_is_told_in_full():
    rows = row("self_supervised", 0.5), row("attribute", 0.55, (0.05, 0.01, 0.1))
    assert "(99.9% interval +1.0 to +10.0)" in say(*rows, confidence=0.999)[0]


def test_once_is_enough_to_say_that_methods_do_not_compare():
    rows = row("self_supervised", 0.5), row("attribute", 0.55, (None, None, None), seeds=(1,))
    (text,) = say(*rows, *(found | {"probe": "linear_1%"} for found in rows))
    assert text.count("Train both with the same seed") == 1
    assert text.endswith("With 1% of the labels it is right on 55.0%, against 50.0%.")


def test_a_text_for_each_label_in_their_order():
    texts = say(row("iterative", 0.5, label="side"), row("iterative", 0.6, label="kind"))
    assert [text.split(",")[0] for text in texts] == ["On side", "On kind"]


def test_the_smallest_share_of_the_labels_is_told_beside_all():
    few = [
        row(method, accuracy, difference) | {"probe": probe}
        for probe, gain in (("linear_10%", 0.03), ("linear_20%", 0.05), ("linear_2.5%", 0.07))
        for method, accuracy, difference in (
            ("self_supervised", 0.4, (0.0, 0.0, 0.0)),
            ("attribute", 0.4 + gain, (gain, gain - 0.01, gain + 0.01)),
        )
    ]
    (text,) = say(row("self_supervised", 0.5), row("attribute", 0.55, (0.05, -0.01, 0.1)), *few)
    assert text.endswith(
        "The difference of +5.0 points may be due to the choice of test pictures (95% interval -1.0 to +10.0). "
        "With 2.5% of the labels it is right on 47.0%, against 40.0%. "
        "The gain of 7.0 points is more than the choice of test pictures explains (95% interval +6.0 to +8.0)."
    )


def test_few_labels_are_left_out_where_a_method_is_missing():
    text = "On kind, Iterative k-means is highest, with 62.5% of the test pictures right."
    assert say(row("iterative", 0.625), row("iterative", 0.3) | {"probe": "linear_1%"}) == [text]
