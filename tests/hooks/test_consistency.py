import itertools
import random

import pytest

from weakcl_pipeline.hooks.consistency import Meetings, Origin, conflicts, describe, find_agreeing


def origin(name: str, version: str, siblings: tuple[str, ...] = (), **ancestry: str) -> Origin:
    return Origin(name, version, siblings=siblings, ancestry=ancestry)


def all_meet(*names: str) -> Meetings:
    return Meetings(dict.fromkeys(names, frozenset({"node"})))


ENCODER = origin("encoder", "2", samples="1", clusters="1")


@pytest.mark.parametrize(
    ("other", "disputed"),
    [
        (origin("clusters", "1", samples="1"), set()),
        (origin("clusters", "3", samples="1"), {"clusters"}),
        (origin("samples", "4"), {"samples"}),
        (origin("clusters", "3", samples="4"), {"clusters", "samples"}),
        (origin("attributes", "4"), set()),
        # `samples` and `attributes` are made together: new attributes mean new samples
        (origin("attributes", "4", siblings=("samples", "attributes")), {"samples"}),
        (origin("attributes", "1", siblings=("samples", "attributes")), set()),
    ],
)
def test_two_disagree_on_what_both_know_in_different_versions(other, disputed):
    assert ENCODER.disputes(other) == other.disputes(ENCODER) == disputed
    assert ENCODER.agrees_with(other) == (not disputed)


def test_only_what_meets_can_conflict():
    new = origin("clusters", "3")
    apart = Meetings({"encoder": frozenset({"embed"}), "clusters": frozenset({"report"})})
    assert conflicts([ENCODER, new], apart) == []
    assert conflicts([ENCODER, new], all_meet("encoder", "clusters")) == [(ENCODER, new)]


def test_description_names_versions_and_who_means_them():
    others = [origin("clusters", "3", samples="1"), origin("report", "3", clusters="3", samples="1")]
    pairs = conflicts([ENCODER, *others], all_meet("encoder", "clusters", "report"))
    assert describe(pairs) == "  clusters 1: encoder\n  clusters 3: clusters, report"


def test_of_much_that_disagrees_the_first_is_named():
    methods = [f"method_{i:02}" for i in range(12)]
    new = [origin(f"{name}.metrics", "1", clusters="1") for name in methods]
    old = [origin(f"{name}.encoder", "1", clusters="2", **{f"{name}.metrics": "0"}) for name in methods]
    pairs = conflicts([*new, *old], all_meet(*(one.name for one in (*new, *old))))
    lines = describe(pairs).splitlines()
    assert len(lines) == 9
    assert lines[0] == "  method_00.metrics 0: method_00.encoder"
    assert lines[-1] == "  ... and 16 more"
    (line, _) = describe([(one, other) for one in new for other in old if one.disputes(other) == {"clusters"}]).split(
        "\n"
    )
    assert line.startswith("  clusters 1: method_00.metrics, method_01.metrics")
    assert line.endswith("method_07.metrics and 4 more")


def test_description_falls_back_to_ancestors():
    pair = (origin("a", "1", raw="sha256:1"), origin("b", "1", raw="sha256:2"))
    assert describe([pair]) == "  raw sha256:1: a\n  raw sha256:2: b"


def test_newest_agreeing_versions_are_found():
    options = {
        "clusters": [origin("clusters", "3", samples="1"), origin("clusters", "1", samples="1")],
        "samples": [origin("samples", "4"), origin("samples", "1")],
        "encoder": [ENCODER],
    }
    found = find_agreeing(options, all_meet(*options))
    assert {name: choice.version for name, choice in found.items()} == {"clusters": "1", "samples": "1", "encoder": "2"}


def test_there_may_be_no_agreeing_versions():
    options = {"clusters": [origin("clusters", "3"), origin("clusters", "2")], "encoder": [ENCODER]}
    assert find_agreeing(options, all_meet(*options)) is None
    assert find_agreeing({"clusters": []}, all_meet("clusters")) is None
    assert find_agreeing({}, all_meet()) == {}


def test_search_finds_a_choice_exactly_when_there_is_one():
    draw = random.Random(0)  # noqa: S311
    outcomes = set()
    for _ in range(300):
        names = ["a", "b", "c", "d"]
        options = {
            name: [
                origin(
                    name,
                    str(version),
                    **{other: str(draw.randint(1, 2)) for other in names[:place] if draw.random() < 0.6},
                )
                for version in range(draw.randint(1, 3), 0, -1)
            ]
            for place, name in enumerate(names)
        }
        meetings = Meetings({name: frozenset(draw.sample("xyz", 2)) for name in names})
        possible = any(not conflicts(choice, meetings) for choice in itertools.product(*options.values()))
        found = find_agreeing(options, meetings)
        assert (found is not None) == possible
        assert found is None or not conflicts(list(found.values()), meetings)
        outcomes.add(possible)
    assert outcomes == {True, False}


def test_a_hopeless_search_ends_soon():
    names = [f"encoder{i}" for i in range(12)]
    options = {name: [origin(name, str(v), samples="1") for v in range(20)] for name in names}
    options["samples"] = [origin("samples", "2")]
    assert find_agreeing(options, all_meet(*options)) is None  # 20^12 combinations


def test_a_hopeless_search_ends_soon_though_the_pair_that_disagrees_comes_last():
    options = {}
    for i in range(15):
        encoder, metrics = f"{i}.encoder", f"{i}.metrics"
        options[encoder] = [origin(encoder, str(v)) for v in range(5)]
        options[metrics] = [origin(metrics, str(v), a="1", b="1", **{encoder: str(v)}) for v in range(5)]
    for name, samples in {"clusters": "1", "store": "2"}.items():
        options[name] = [origin(name, str(v), samples=samples) for v in range(5)]
    assert find_agreeing(options, all_meet(*options)) is None  # 5^15 combinations of metrics, each with its encoder


def test_a_choice_that_is_not_to_blame_is_kept():
    options = {
        "metrics": [origin("metrics", str(v), a="1", b="1", encoder=str(v)) for v in (2, 1)],
        "encoder": [origin("encoder", str(v)) for v in (2, 1)],
        "clusters": [origin("clusters", str(v), c="1", samples=str(v)) for v in (2, 1)],
        "store": [origin("store", "1", samples="1")],
    }
    found = find_agreeing(options, all_meet(*options))
    versions = {name: choice.version for name, choice in found.items()}
    assert versions == {"metrics": "2", "encoder": "2", "clusters": "1", "store": "1"}
