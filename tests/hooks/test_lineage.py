"""The lineage hook where catalogs hold more than artifacts: data in memory, plain files, data that is elsewhere."""

import errno
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from kedro.framework.hooks.manager import _create_hook_manager
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Node, Pipeline
from kedro.runner import SequentialRunner
from kedro_datasets.json import JSONDataset
from kedro_datasets.partitions import PartitionedDataset

from weakcl_pipeline.config import Config
from weakcl_pipeline.datasets import AtomicDataset, InputsLineageDataset, Lineage, RepeatsDataset
from weakcl_pipeline.datasets.lineage import CodeRecord, hash_of_path
from weakcl_pipeline.errors import InputError
from weakcl_pipeline.hooks import LineageHook

RUN = "2026-01-01T00.00.00.000Z"

pytestmark = pytest.mark.filterwarnings("ignore:One or more dataset names contain")


def combine(*values: object) -> dict[str, int]:
    return {"inputs": len(values)}


@pytest.fixture
def artifact(tmp_path):
    def build(name: str) -> dict:
        inner = {"type": JSONDataset}
        return {
            "type": AtomicDataset,
            "filepath": (tmp_path / name).as_posix(),
            "file": f"{name}.json",
            "dataset": inner,
        }

    return build


def run(pipeline: Pipeline, catalog: DataCatalog, run_id: str = RUN) -> None:
    manager = _create_hook_manager()
    manager.register(LineageHook())
    params = {"run_id": run_id, "pipeline_names": ["made_up"]}
    manager.hook.before_pipeline_run(run_params=params, pipeline=pipeline, catalog=catalog)
    SequentialRunner().run(pipeline, catalog, manager, run_id)


def test_what_stays_in_memory_hands_its_ancestry_on(artifact, tmp_path):
    (tmp_path / "raw.json").write_text("{}")
    raw = {"type": JSONDataset, "filepath": (tmp_path / "raw.json").as_posix()}
    catalog = DataCatalog.from_config({"raw": raw, "result": artifact("result")}, save_version=RUN)
    pipeline = Pipeline([Node(combine, "raw", "middle", name="one"), Node(combine, "middle", "result", name="two")])
    run(pipeline, catalog)
    lineage = catalog["result"].lineage()
    assert lineage.ancestry == {"raw": hash_of_path(tmp_path / "raw.json"), "middle": RUN}
    assert (lineage.inputs["middle"].version, lineage.inputs["middle"].hash) == (RUN, None)


def test_data_that_is_nowhere_on_the_disk_is_recorded_as_unversioned_and_repeats_nothing(artifact):
    far = {"type": JSONDataset, "filepath": "memory://bucket/far.json"}
    catalog = DataCatalog.from_config({"far": far, "result": artifact("result")}, save_version=RUN)
    catalog["far"].save({})
    catalog["given"], catalog["params:seed"] = MemoryDataset(1), 0
    run(Pipeline([Node(combine, ["far", "given", "params:seed"], "result", name="one")]), catalog)
    lineage = catalog["result"].lineage()
    assert (lineage.ancestry, lineage.recipe) == ({"far": "unversioned", "given": "unversioned"}, None)


def test_a_folder_of_raw_files_is_known_by_its_content(artifact, tmp_path):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.json").write_text("1")
    pictures = {"type": PartitionedDataset, "path": (tmp_path / "pictures").as_posix(), "dataset": JSONDataset}
    catalog = DataCatalog.from_config({"pictures": pictures, "result": artifact("result")}, save_version=RUN)
    run(Pipeline([Node(combine, "pictures", "result", name="one")]), catalog)
    assert catalog["result"].lineage().ancestry == {"pictures": hash_of_path(tmp_path / "pictures")}


@pytest.mark.parametrize("told", [True, False])
def test_raw_data_that_may_not_be_read_is_named(artifact, tmp_path, monkeypatch, told):
    def refuse(path, *arguments):
        raise PermissionError(errno.EACCES, "Permission denied", *([str(path)] if told else []))

    (tmp_path / "raw").mkdir()
    (tmp_path / "raw/a.json").write_text("1")
    raw = {"type": PartitionedDataset, "path": (tmp_path / "raw").as_posix(), "dataset": JSONDataset}
    catalog = DataCatalog.from_config({"raw": raw, "result": artifact("result")}, save_version=RUN)
    monkeypatch.setattr(Path, "open", refuse)
    place = tmp_path / "raw/a.json" if told else tmp_path / "raw"
    with pytest.raises(InputError, match=rf"^raw: {place} cannot be read: Permission denied\.$"):
        run(Pipeline([Node(combine, "raw", "result", name="one")]), catalog)


def test_parameters_are_recorded_as_json(artifact):
    catalog = DataCatalog.from_config({"result": artifact("result")}, save_version=RUN)
    parameters = {"size": (32, 32), "nested": {1: ["a"]}, "root": Path("pictures")}
    catalog["parameters"] = parameters
    catalog["params:model.seed"] = 7
    run(Pipeline([Node(combine, ["parameters", "params:model.seed"], "result", name="one")]), catalog)
    lineage = Lineage.read(catalog["result"].path.parent)
    expected = {"size": [32, 32], "nested": {"1": ["a"]}, "root": "pictures"}
    assert lineage.parameters == {"parameters": expected, "params:model.seed": 7}
    assert (lineage.seed, lineage.inputs) == (7, {})


class Pictures(Config):
    root: str


@pytest.mark.parametrize("group", [False, True])
def test_passwords_in_urls_are_not_recorded_and_make_no_other_experiment(group, artifact, tmp_path):
    recipes = set()
    for number, url in enumerate(["https://user:geheim@host/a@1/pics.zip", "https://other:secret@host/a@1/pics.zip"]):
        run_id = f"2026-01-01T00.00.00.00{number}Z"
        catalog = DataCatalog.from_config({"result": artifact("result")}, save_version=run_id)
        catalog["params:images"] = Pictures(root=url) if group else {"roots": [url]}
        catalog["params:seed"] = 0
        run(Pipeline([Node(combine, ["params:images", "params:seed"], "result", name="one")]), catalog, run_id)
        text = (catalog["result"].path.parent / "lineage.json").read_text()
        assert "https://host/a@1/pics.zip" in text
        assert "geheim" not in text
        assert "secret" not in text
        recipes.add(catalog["result"].lineage().recipe)
    assert len(recipes) == 1


def report(artifact, run_id: str, seed: int) -> tuple[dict, Lineage]:
    """Train with a seed, compare all seeds and report it; return what the report was told, and its lineage."""
    told = {}

    def train(seed: int) -> int:
        return 100 + seed

    def compare(trained: int, found: dict) -> list[int]:
        return sorted(found["trained"].values())

    def write(compared: list[int], lineage: dict) -> str:
        told.update(lineage)
        return "of all seeds"

    names = ("trained", "compared", "report")
    handed = {"repeats": {"type": RepeatsDataset}, "report_lineage": {"type": InputsLineageDataset}}
    catalog = DataCatalog.from_config(handed | {name: artifact(name) for name in names}, save_version=run_id)
    catalog["params:seed"] = seed
    nodes = [
        Node(train, "params:seed", "trained", name="train"),
        Node(compare, ["trained", "repeats"], "compared", name="compare"),
        Node(write, ["compared", "report_lineage"], "report", name="write"),
    ]
    run(Pipeline(nodes), catalog, run_id)
    return told, catalog["report"].lineage()


def test_a_report_knows_the_artifacts_of_every_seed_that_went_into_it(artifact):
    runs = {seed: f"2026-01-01T00.00.00.00{seed}Z" for seed in (1, 2, 3)}
    for seed in (3, 1):
        report(artifact, runs[seed], seed)
    told, lineage = report(artifact, "2026-01-01T00.00.00.004Z", 2)
    repeats = told["trained"]["repeats"]
    assert [(repeat["seed"], repeat["version"]) for repeat in repeats] == [(1, runs[1]), (3, runs[3])]
    assert len({repeat["hash"] for repeat in repeats} - {None}) == 2
    assert told["compared"]["repeats"] == []
    assert [record.model_dump() for record in lineage.repeats["trained"]] == repeats
    assert lineage.ancestry["trained"] == "2026-01-01T00.00.00.004Z"


def experiment(artifact, pictures: Path, run_id: str, seed: int) -> dict[int, int]:
    """Read pictures that are in no catalog, train on them with a seed, and return what was trained, by seed."""

    def pack(table: dict) -> dict[str, str]:
        return {name: (pictures / name).read_text() for name in table}

    def train(packed: dict, seed: int) -> int:
        return len(packed) * 100 + seed

    def compare(trained: int, found: dict) -> dict[int, int]:
        return found.get("trained", {})

    raw = {"type": JSONDataset, "filepath": (pictures / "table.json").as_posix()}
    names = ("packed", "trained")
    config = {"raw": raw, "repeats": {"type": RepeatsDataset}, **{name: artifact(name) for name in names}}
    catalog = DataCatalog.from_config(config, save_version=run_id)
    catalog["params:seed"] = seed
    catalog["result"] = MemoryDataset()
    nodes = [
        Node(pack, "raw", "packed", name="pack"),
        Node(train, ["packed", "params:seed"], "trained", name="train"),
        Node(compare, ["trained", "repeats"], "result", name="compare"),
    ]
    run(Pipeline(nodes), catalog, run_id)
    return catalog["result"].load()


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "a.png").write_text("a picture")
    (folder / "table.json").write_text('["a.png"]')
    return folder


def test_pictures_beside_the_table_make_another_experiment(artifact, pictures):
    assert experiment(artifact, pictures, "2026-01-01T00.00.00.001Z", 1) == {1: 101}
    assert experiment(artifact, pictures, "2026-01-01T00.00.00.002Z", 2) == {1: 101, 2: 102}
    (pictures / "a.png").write_text("another picture")
    assert experiment(artifact, pictures, "2026-01-01T00.00.00.003Z", 3) == {3: 103}


def test_another_version_of_this_package_makes_another_experiment(artifact, pictures, monkeypatch):
    experiment(artifact, pictures, "2026-01-01T00.00.00.001Z", 1)
    monkeypatch.setattr("weakcl_pipeline.hooks.lineage.__version__", "0.0.1")
    assert experiment(artifact, pictures, "2026-01-01T00.00.00.002Z", 2) == {2: 102}


def test_seeds_of_another_state_of_the_code_are_averaged_with_one_warning(artifact, pictures, monkeypatch, caplog):
    states = [("a1b2c3d4e5", False, "2.14.0"), ("a1b2c3d4e5", True, "2.14.0"), ("a1b2c3d4e5", True, "2.14.1")]
    for seed, (revision, dirty, torch) in enumerate(states, start=1):
        code = CodeRecord(package="0", revision=revision, dirty=dirty)
        monkeypatch.setattr("weakcl_pipeline.hooks.lineage.code_revision", lambda code=code: code)
        monkeypatch.setattr("weakcl_pipeline.hooks.lineage.library_versions", lambda torch=torch: {"torch": torch})
        caplog.clear()
        found = experiment(artifact, pictures, f"2026-01-01T00.00.00.00{seed}Z", seed)
    assert found == {1: 101, 2: 102, 3: 103}
    [warning] = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert warning == (
        "compare averages seeds that were not made by the same code and libraries. Train those seeds again, or leave "
        "them as they are if only unrelated files have changed:\n"
        "  code a1b2c3d and a1b2c3d with changes: trained of seed 1\n"
        "  torch 2.14.0 and 2.14.1: trained of seed 1, 2"
    )


def test_seeds_of_one_state_of_the_code_are_averaged_without_a_word(artifact, pictures, caplog):
    for seed in (1, 2):
        experiment(artifact, pictures, f"2026-01-01T00.00.00.00{seed}Z", seed)
    assert [record for record in caplog.records if record.levelname == "WARNING"] == []


@dataclass(frozen=True)
class Comparison:
    """A pipeline whose last node compares, by seed, what its others make; `makers` are what each reads and makes."""

    artifact: Callable[[str], dict]
    makers: list[tuple[list[str], list[str]]]

    def run(self, seed: int, makers: int | None = None) -> dict[str, list[int | None]]:
        """Run all nodes, or so many of the first, and return of which other seeds something was compared, by name."""
        outputs = [name for _, made in self.makers for name in made]
        config = {"repeats": {"type": RepeatsDataset}, **{name: self.artifact(name) for name in ["result", *outputs]}}
        run_id = f"2026-01-01T00.00.00.00{seed}Z"
        catalog = DataCatalog.from_config(config, save_version=run_id)
        catalog["params:seed"] = seed
        nodes = [self._maker(read, made) for read, made in self.makers[:makers]]
        nodes += [] if makers else [Node(combine, [*outputs, "repeats"], "result", name="compare")]
        run(Pipeline(nodes), catalog, run_id)
        repeats = {} if makers else catalog["result"].lineage().repeats
        return {name: [record.seed for record in records] for name, records in repeats.items()}

    @staticmethod
    def _maker(read: list[str], made: list[str]) -> Node:
        return Node(lambda *_: [0] * len(made), [*read, "params:seed"], made, name=f"make_{made[0]}")


def test_what_is_not_yet_evaluated_is_not_compared(artifact):
    trained, evaluated = ["pcl.encoder", "pcl.history"], ["pcl.metrics", "pcl.predictions"]
    comparison = Comparison(artifact, [([], trained), (["pcl.encoder"], evaluated)])
    comparison.run(1)
    comparison.run(2, makers=1)  # as if it were still going on
    assert comparison.run(3) == {name: [1] for name in [*trained, *evaluated]}


def test_what_is_evaluated_is_compared_though_its_training_was_forgotten(artifact, tmp_path):
    comparison = Comparison(artifact, [([], ["pcl.encoder", "pcl.history"]), (["pcl.encoder"], ["pcl.metrics"])])
    comparison.run(1)
    shutil.rmtree(tmp_path / "pcl.history/2026-01-01T00.00.00.001Z")
    assert comparison.run(2)["pcl.metrics"] == [1]


def test_studies_are_compared_whichever_others_there_are_of_a_seed(artifact):
    comparison = Comparison(artifact, [([], ["study.synthetic"]), ([], ["study.batches"])])
    comparison.run(1, makers=1)
    assert comparison.run(2) == {"study.synthetic": [1]}


def test_what_is_read_from_the_seeded_has_no_recipe_of_its_content(artifact):
    catalog = DataCatalog.from_config({name: artifact(name) for name in ("first", "second", "third")}, save_version=RUN)
    catalog["params:seed"] = 1
    catalog["params:size"] = 1
    nodes = [
        Node(combine, "params:seed", "first", name="one"),
        Node(combine, "first", "second", name="two"),
        Node(combine, "params:size", "third", name="three"),
    ]
    run(Pipeline(nodes), catalog)
    first, second, third = (catalog[name].lineage() for name in ("first", "second", "third"))
    assert (first.seeded, second.seeded, third.seeded) == (True, True, False)
    assert (second.seed, second.recipe != second.hash, third.recipe == third.hash) == (None, True, True)


def test_what_mixes_seeds_repeats_nothing_that_was_made_with_one(artifact):
    recipes = {}
    names = ["params:first.seed", "params:second.seed"]
    for number, seeds in enumerate([(0, 0), (1, 1), (0, 1)]):
        run_id = f"2026-01-01T00.00.00.00{number}Z"
        catalog = DataCatalog.from_config({"result": artifact("result")}, save_version=run_id)
        catalog[names[0]], catalog[names[1]] = seeds
        run(Pipeline([Node(combine, names, "result", name="one")]), catalog, run_id)
        recipes[seeds] = catalog["result"].lineage().recipe
    assert recipes[0, 0] == recipes[1, 1] != recipes[0, 1]
