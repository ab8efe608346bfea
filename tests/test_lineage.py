"""Runs, and what they record, read and refuse. Most are of the stand-in project, whose nodes take no time."""

import re
import shlex
import shutil
from importlib.metadata import version

import polars as pl
import pytest

import weakcl_pipeline
from weakcl_pipeline.datasets.lineage import hash_of
from weakcl_pipeline.errors import InputError
from weakcl_pipeline.files import sha256_of

ARTIFACTS = ("sample_table", "attribute_schema", "samples", "clusters", "attribute.encoder", "attribute.history")


def recluster(project, count=5) -> str:
    return project.run("clustering", params={"clustering": {"count": count}})


def refusal(project, *pipelines, **options) -> str:
    with pytest.raises(InputError) as error:
        project.run(*pipelines, **options)
    return str(error.value)


def suggested(message: str) -> tuple[list[str], dict[str, str]]:
    """Return the pipelines and the versions of the command in a message."""
    (command,) = re.findall(r"^  (kedro run .*)$", message, re.MULTILINE)
    options = dict(word.removeprefix("--").split("=", 1) for word in shlex.split(command)[2:])
    versions = options.get("load-versions", "")
    pairs = dict(pair.split(":", 1) for pair in versions.split(",")) if versions else {}
    return options["pipelines"].split(","), pairs


def test_lineage_says_what_made_an_artifact_from_what(standin):
    run = standin.run("full", params={"training": {"epochs": 3}})
    raw = hash_of([sha256_of(standin.path / "data/01_raw/emoji/emoji.parquet")])
    lineage = standin.lineage("attribute.encoder")
    assert (lineage.dataset, lineage.version, lineage.run_id) == ("attribute.encoder", run, run)
    assert (lineage.node, lineage.pipelines, lineage.seed) == ("attribute.train", ("full",), 3)
    assert lineage.siblings == ("attribute.encoder", "attribute.history")
    assert lineage.parameters["params:training"] == {
        "epochs": 3,
        "wait_for": None,
        "fail": None,
        "optimiser": {"learning_rate": 0.1},
    }
    assert lineage.parameters_hash == hash_of(lineage.parameters)
    assert {name: record.version for name, record in lineage.inputs.items()} == {"samples": run, "clusters": run}
    assert lineage.inputs["clusters"].hash == standin.lineage("clusters").hash
    assert lineage.ancestry == {
        "raw_samples": raw,
        **dict.fromkeys(("sample_table", "attribute_schema", "samples", "clusters"), run),
    }
    assert {file.name for file in lineage.files} == {"encoder.safetensors", "encoder.json"}
    assert lineage.libraries["polars"] == version("polars")
    assert lineage.code.package == weakcl_pipeline.__version__
    table = standin.lineage("sample_table")
    assert (table.ancestry, table.inputs["raw_samples"].hash, table.seed) == ({"raw_samples": raw}, raw, None)


def test_a_node_can_ask_for_the_lineage_of_its_inputs(standin):
    run = standin.run("full")
    assert f"clusters of {run}" in standin.catalog().load("report")
    lineage = standin.lineage("report")
    assert set(lineage.inputs) == {"attribute.metrics", "clusters"}
    assert "report_lineage" not in lineage.ancestry


def seeds_compared(project, version=None) -> list[int]:
    return project.catalog().load("comparison", version=version)["seed"].to_list()


def test_a_node_can_ask_for_its_inputs_under_other_seeds(standin):
    runs = {seed: standin.run("full", params={"seed": seed}) for seed in (3, 1)}
    assert seeds_compared(standin, runs[3]) == [3]
    assert seeds_compared(standin, runs[1]) == [1, 3]
    lineage = standin.lineage("comparison")
    assert [record.version for record in lineage.repeats["attribute.metrics"]] == [runs[3]]
    assert lineage.inputs["attribute.metrics"].version == runs[1]
    scores = {seed: standin.catalog().load("attribute.metrics", version=run)["score"] for seed, run in runs.items()}
    assert dict(standin.catalog().load("comparison").iter_rows()) == scores


def test_what_another_seed_made_is_compared_under_that_seed(standin):
    scores = {}
    for seed in (1, 4):
        run = standin.run("full", params={"seed": seed})
        scores[seed] = standin.catalog().load("attribute.metrics", version=run)["score"]
    assert scores[1] != scores[4]
    standin.run("evaluation", from_nodes=["compare"], params={"seed": 2})
    assert dict(standin.catalog().load("comparison").iter_rows()) == scores


def test_of_one_seed_the_newest_repeat_counts(standin):
    first, again = (standin.run("full", params={"seed": 1}) for _ in range(2))
    standin.run("full", params={"seed": 2})
    assert [r.version for r in standin.lineage("comparison").repeats["attribute.metrics"]] == [again]
    assert first != again


@pytest.mark.parametrize("changed", [{"training": {"epochs": 3}}, {"clustering": {"count": 2}}])
def test_other_parameters_on_the_way_make_another_experiment(standin, changed):
    standin.run("full", params={"seed": 1, **changed})
    standin.run("full", params={"seed": 2})
    assert seeds_compared(standin) == [2]


def test_other_data_make_another_experiment(standin):
    standin.run("full", params={"seed": 1})
    raw = standin.path / "data/01_raw/emoji/emoji.parquet"
    pl.read_parquet(raw)[1:].write_parquet(raw)
    standin.run("full", params={"seed": 2})
    assert seeds_compared(standin) == [2]


def test_a_seed_costs_only_its_own_training(standin):
    first = standin.run("full", params={"seed": 1})
    standin.run("training", "evaluation", params={"seed": 2})
    assert seeds_compared(standin) == [1, 2]
    assert standin.versions("samples") == [first]


def test_artifacts_without_a_recipe_are_passed_over(standin):
    standin.run("full", params={"seed": 1})
    path = standin.artifact("attribute.metrics").path.parent / "lineage.json"
    lineage = standin.lineage("attribute.metrics")
    path.write_text(lineage.model_copy(update={"recipe": None}).model_dump_json())  # as an earlier release wrote it
    damaged = standin.run("full", params={"seed": 4})
    (standin.artifact("attribute.metrics").directory / damaged / "lineage.json").write_text("{")
    standin.run("full", params={"seed": 2})
    assert seeds_compared(standin) == [2]


def test_a_damaged_repeat_is_left_out_with_a_warning(standin, caplog):
    whole = standin.run("full", params={"seed": 1})
    standin.run("full", params={"seed": 4})
    damaged = standin.artifact("attribute.metrics").path
    damaged.write_bytes(damaged.read_bytes()[:-1])
    run = standin.run("full", params={"seed": 2})
    assert seeds_compared(standin, run) == [1, 2]
    assert [r.version for r in standin.lineage("comparison", run).repeats["attribute.metrics"]] == [whole]
    [warning] = [record.getMessage() for record in caplog.records if "left out" in record.getMessage()]
    assert warning.startswith(f"attribute.metrics of seed 4 is left out: {damaged} is damaged: ")


def test_a_run_of_default_is_recorded_as_such(standin):
    standin.run()
    assert standin.lineage("report").pipelines == ("__default__",)


def test_the_same_run_again_gives_the_same_content(standin):
    runs = [standin.run("full"), standin.run("full")]
    for name in (*ARTIFACTS, "attribute.metrics"):
        first, second = (standin.lineage(name, run) for run in runs)
        assert first.hash == second.hash


def test_stages_run_one_by_one_agree(standin):
    runs = {stage: standin.run(stage) for stage in ("ingestion", "clustering", "training", "evaluation")}
    ancestry = standin.lineage("report").ancestry
    assert ancestry["samples"] == runs["ingestion"]
    assert ancestry["clusters"] == runs["clustering"]
    assert ancestry["attribute.encoder"] == runs["training"]
    assert ancestry["attribute.metrics"] == runs["evaluation"]


def test_train_recluster_evaluate_is_refused_and_the_suggested_versions_work(standin):
    full = standin.run("full")
    newer = recluster(standin)
    message = refusal(standin, "evaluation")
    assert f"  clusters {full}: attribute.encoder\n  clusters {newer}: clusters\n" in message
    assert suggested(message) == (["evaluation"], {"clusters": full})
    assert standin.versions("report") == [full]  # nothing was computed
    run = standin.run("evaluation", load_versions={"clusters": full})
    assert standin.lineage("report").ancestry["clusters"] == full
    assert standin.versions("report") == [run, full]


def test_after_training_anew_the_new_clusters_can_be_evaluated(standin):
    standin.run("full")
    newer = recluster(standin)
    standin.run("training")
    standin.run("evaluation")
    assert standin.lineage("report").ancestry["clusters"] == newer


def test_old_encoders_do_not_stop_a_stage_that_does_not_use_them(standin):
    standin.run("full")
    standin.run("ingestion")
    newer = recluster(standin)
    run = standin.run("training")
    assert standin.lineage("attribute.encoder", run).ancestry["clusters"] == newer


def test_versions_are_searched_for_newest_first(standin):
    runs = []
    for count in (2, 3):
        runs.append(recluster(standin, count) if runs else standin.run("ingestion", "clustering"))
        standin.run("training")
    recluster(standin, 4)
    recluster(standin, 5)
    assert suggested(refusal(standin, "evaluation"))[1] == {"clusters": runs[1]}


def test_a_version_that_was_asked_for_is_kept(standin):
    first = standin.run("full")
    newer = recluster(standin)
    second = standin.run("training")
    message = refusal(standin, "evaluation", load_versions={"clusters": first})
    assert suggested(message)[1] == {"clusters": first, "attribute.encoder": first}
    contradictory = {"clusters": first, "attribute.encoder": second}
    message = refusal(standin, "evaluation", load_versions=contradictory)
    assert suggested(message)[1] == {"clusters": newer, "attribute.encoder": second}


def test_without_versions_that_agree_the_stage_to_repeat_is_named(standin):
    full = standin.run("full")
    recluster(standin)
    shutil.rmtree(standin.artifact("clusters").directory / full)
    message = refusal(standin, "evaluation")
    assert "No versions on the disk belong together. Make attribute.encoder anew, then repeat this command" in message
    assert suggested(message) == (["training"], {})


def test_a_run_that_makes_what_an_input_contradicts_is_refused_before_it_computes(standin):
    full = standin.run("full")
    message = refusal(standin, "clustering", "evaluation")
    assert f"  clusters {full}: attribute.encoder\n" in message
    assert suggested(message) == (["clustering", "evaluation", "training"], {})
    assert standin.versions("clusters") == [full]


def test_outputs_of_one_node_are_used_together(standin):
    # A run that was killed between the two saves of `type_samples` leaves a new table beside an old schema.
    old = standin.run("ingestion")
    new = standin.run("ingestion")
    shutil.rmtree(standin.artifact("attribute_schema").directory / new)
    message = refusal(standin, node_names=["accept_samples"])
    assert f"--load-versions=sample_table:{old}" in message


def test_changed_raw_data_does_not_mix_with_what_was_made_before(standin):
    standin.run("full")
    raw = standin.path / "data/01_raw/emoji/emoji.parquet"
    pl.read_parquet(raw).head(50).write_parquet(raw)
    standin.run("clustering")  # reads nothing raw
    message = refusal(standin, node_names=["count_pictures"])
    assert f"raw_samples {hash_of([sha256_of(raw)])}: raw_samples\n" in message
    assert "Make sample_table anew, then repeat this command:\n  kedro run --pipelines=ingestion" in message
    standin.run("ingestion")
    assert standin.lineage("samples").ancestry["raw_samples"] == hash_of([sha256_of(raw)])


def test_a_missing_input_is_named_with_the_stage_that_makes_it(standin):
    assert "samples has not been made yet" in (message := refusal(standin, "clustering"))
    assert message.endswith("Make it first: kedro run --pipelines=ingestion")


def test_suggested_commands_keep_the_environment_the_parameters_and_the_versions_of_the_run(standin):
    (standin.path / "conf/other").mkdir()
    options = {"env": "other", "params": {"seed": 2}}
    ingested = standin.run("ingestion")
    message = refusal(standin, "evaluation", **options, load_versions={"samples": ingested})
    assert "Make it first: kedro run --env=other --pipelines=training --params=seed=2" in message
    standin.run("clustering")
    assert "clusters has no version" in refusal(standin, "training", load_versions={"clusters": "2000"})
    full = standin.run("full", **options)
    recluster(standin)
    shutil.rmtree(standin.artifact("clusters").directory / full)
    message = refusal(standin, "evaluation", **options, load_versions={"samples": full})
    again = f"\n  kedro run --env=other --pipelines=training --params=seed=2 --load-versions=samples:{full}"
    assert message.endswith(again)


def test_a_default_run_that_contradicts_an_input_is_repeated_with_what_the_input_needs(standin):
    full = standin.run("full")
    message = refusal(standin, from_nodes=["form_clusters"], node_names=["form_clusters", "write_report"])
    assert f"  clusters {full}: attribute.metrics\n" in message
    assert suggested(message) == (["__default__", "evaluation"], {})


def test_missing_raw_data_is_named(standin):
    raw = standin.path / "data/01_raw/emoji/emoji.parquet"
    raw.unlink()
    assert f"{raw}: there is no such file" in refusal(standin, "ingestion")


def test_an_unknown_version_is_refused_with_those_there_are(standin):
    run = standin.run("ingestion")
    message = refusal(standin, "clustering", load_versions={"samples": "2000"})
    assert "samples has no version 2000" in message
    assert message.endswith(f"  {run}")


def test_a_version_of_what_the_run_makes_cannot_be_asked_for(standin):
    run = standin.run("full")
    message = refusal(standin, "full", load_versions={"samples": run})
    assert message == f"--load-versions=samples:{run} cannot be met: the run makes samples anew."


def test_a_damaged_artifact_is_named_with_the_way_back(standin):
    old, new = standin.run("full"), standin.run("full")
    damaged = standin.artifact("attribute.encoder").directory / new / "encoder.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    with pytest.raises(
        Exception, match=r"encoder.safetensors is damaged: \d+ bytes were written, \d+ are there"
    ) as error:
        standin.run("evaluation")
    assert str(damaged) in str(error.value)
    assert f"--load-versions=attribute.encoder:{old}" in str(error.value)


def test_missing_outputs_are_made_from_what_is_there(standin):
    full = standin.run("full")
    shutil.rmtree(standin.artifact("report").directory)
    run = standin.run("full", only_missing_outputs=True)
    assert (standin.versions("report"), standin.versions("samples")) == ([run], [full])
    assert standin.lineage("report").ancestry["clusters"] == full


def test_missing_outputs_are_not_made_from_what_does_not_belong_together(standin):
    full = standin.run("full")
    newer = recluster(standin)
    shutil.rmtree(standin.artifact("report").directory)
    message = refusal(standin, "full", only_missing_outputs=True)
    assert message.startswith("Node write_report would mix")
    assert f"  clusters {full}: attribute.metrics\n  clusters {newer}: clusters" in message


def test_checkpoints_are_removed_when_the_training_is_saved(standin):
    standin.run("full")
    folder = standin.path / "data/06_models/attribute/checkpoints"
    assert folder.is_dir()
    assert list(folder.iterdir()) == []
    with pytest.raises(InputError, match="no luck"):
        standin.run("training", params={"training": {"fail": "no luck"}})
    assert [path.name for path in folder.iterdir()] == ["key"]
    assert "attribute.checkpoints" not in standin.lineage("attribute.encoder").inputs
