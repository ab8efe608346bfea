import pytest

from weakcl_pipeline.datasets import AtomicDataset
from weakcl_pipeline.datasets.lineage import RepeatRecord
from weakcl_pipeline.hooks.consistency import Origin
from weakcl_pipeline.hooks.repeats import Repeat
from weakcl_pipeline.hooks.unlike import made_otherwise, unlike


def history(method, seed=0, **training):
    return Origin(f"{method}.history", "1", parameters={"params:training": training, "params:seed": seed})


def test_parameters_that_differ_between_the_like_are_named_with_their_values():
    found = unlike(
        [
            history("attribute", epochs=18, encoder={"backbone": "resnet14t"}),
            history("iterative", epochs=1, encoder={"backbone": "resnet18"}),
            history("supervised", epochs=18, encoder={"backbone": "resnet14t"}),
        ]
    )
    assert found == {
        "training.epochs": "18 for attribute.history, supervised.history; 1 for iterative.history",
        "training.encoder.backbone": '"resnet14t" for attribute.history, supervised.history;'
        ' "resnet18" for iterative.history',
    }


def test_seeds_other_kinds_and_parameters_of_one_alone_may_differ():
    alone = Origin(
        "iterative.history", "1", parameters={"params:training": {"epochs": 2}, "params:iterative": {"k": 9}}
    )
    metrics = Origin("attribute.metrics", "1", parameters={"params:training": {"epochs": 3}})
    samples = Origin("samples", "1", parameters={"params:training": {"epochs": 4}})
    assert unlike([history("attribute", seed=1, epochs=2), alone, metrics, samples]) == {}


def study(name, epochs, **others):
    parameters = {"params:study": {"epochs": epochs}, "params:seed": epochs}
    return Origin(f"study.{name}", "1", parameters=parameters | others)


def test_studies_which_lie_in_one_namespace_are_held_against_each_other():
    clustering = {"params:clustering": {"rule": "top_entropy"}}
    found = unlike([study("synthetic", 8), study("degraded", 4, **clustering), study("batches", 8)])
    assert found == {"study.epochs": "8 for study.batches, study.synthetic; 4 for study.degraded"}


def test_what_a_method_has_of_several_kinds_is_not_held_against_each_other():
    """An evaluation is given the parameters of training, too, of which it does not use the epochs."""
    evaluated = [Origin(f"{name}.metrics", "1", parameters={"params:training": {"epochs": 27}}) for name in ("a", "b")]
    assert unlike([history("a", epochs=18), history("b", epochs=18), *evaluated]) == {}


@pytest.fixture
def repeat(tmp_path):
    artifact = AtomicDataset(filepath=str(tmp_path / "a"), file="a.json", dataset={"type": "json.JSONDataset"})

    def build(seed, **made_by):
        return Repeat(seed, RepeatRecord(version="1", seed=seed), artifact, made_by)

    return build


def test_other_code_and_libraries_of_repeats_are_named_once_with_what_they_made(repeat):
    names = ("pcl.history", "attribute.history", "swav.history")
    origins = [Origin(name, "2", made_by={"code": "d4e5f60", "torch": "2.14.1", "polars": "2.1.0"}) for name in names]
    old = {"code": "a1b2c3d", "torch": "2.14.0", "polars": "2.1.0"}
    repeats = {
        "pcl.history": [repeat(1, **old), repeat(2, **old | {"torch": "2.14.1"})],
        "attribute.history": [repeat(1, **old | {"torch": "2.14.1"}), repeat(10, code="b2c3d4e")],
    }
    assert made_otherwise(origins, repeats) == [
        "code a1b2c3d and b2c3d4e and d4e5f60: attribute.history, pcl.history of seed 1, 2, 10",
        "torch 2.14.0 and 2.14.1: pcl.history of seed 1",
    ]


def test_what_is_not_known_of_repeats_is_no_difference(repeat):
    origin = Origin("pcl.history", "2", made_by={"torch": "2.14.1", "timm": "1.0"})
    assert made_otherwise([origin], {"pcl.history": [repeat(1, torch="2.14.1", code="a1b2c3d")]}) == []
