import pytest
import yaml

from weakcl_pipeline.config_loader import ConfigLoader
from weakcl_pipeline.errors import InputError

CATALOG = {"encoder": {"type": "x", "filepath": "data/${parameters:apply.method,attribute}/encoder"}}


@pytest.fixture
def conf(tmp_path):
    for folder in ("base", "local"):
        (tmp_path / folder).mkdir()
    (tmp_path / "base/catalog.yml").write_text(yaml.safe_dump(CATALOG))
    return tmp_path


def load(conf, **options):
    return ConfigLoader(conf.as_posix(), base_env="base", default_run_env="local", **options)


@pytest.mark.parametrize(
    ("base", "local", "given", "method"),
    [
        (None, None, None, "attribute"),
        ({"seed": 0}, None, None, "attribute"),
        ({"apply": {"method": "supervised"}}, None, None, "supervised"),
        ({"apply": {"method": "supervised"}}, {"apply": {"method": "cmc"}}, None, "cmc"),
        ({"apply": {"method": "supervised"}}, {"apply": {"method": "cmc"}}, {"apply": {"method": "pcl"}}, "pcl"),
    ],
)
def test_the_catalog_follows_a_parameter_wherever_it_is_given(conf, base, local, given, method):
    for folder, parameters in (("base", base), ("local", local)):
        if parameters:
            (conf / folder / "parameters.yml").write_text(yaml.safe_dump(parameters))
    assert load(conf, runtime_params=given)["catalog"]["encoder"]["filepath"] == f"data/{method}/encoder"


def test_each_loader_has_its_own_parameters(conf):
    (conf / "base/parameters.yml").write_text(yaml.safe_dump({"apply": {"method": "supervised"}}))
    first, second = load(conf, runtime_params={"apply": {"method": "pcl"}}), load(conf)
    assert second["catalog"]["encoder"]["filepath"] == "data/supervised/encoder"
    assert first["catalog"]["encoder"]["filepath"] == "data/pcl/encoder"


BASE = {"training": {"epochs": 18, "batch_size": 128}, "seed": 0, "double": "${training.epochs}"}


@pytest.mark.parametrize(
    ("local", "given", "expected"),
    [
        ({"clustering": {"k": 5}}, {"training": {"epochs": 1}}, {"training": {"epochs": 1, "batch_size": 128}}),
        ({"training": {"batch_size": 64}}, {"training": {"epochs": 1}}, {"training": {"batch_size": 64, "epochs": 1}}),
        ({"training": {"batch_size": 64}}, {"seed": 3}, {"training": {"batch_size": 64}, "seed": 3}),
        (None, {"training": {"epochs": 1}}, {"training": {"epochs": 1, "batch_size": 128}, "double": 1}),
        ({"clustering": {"k": 5}}, {"traning": {"epochs": 1}}, {"traning": {"epochs": 1}, "clustering": {"k": 5}}),
        ({"a": "${runtime_params:seed}"}, {"seed": 4}, {"a": 4, "seed": 4}),
    ],
)
def test_a_parameter_of_the_command_line_changes_its_group_wherever_that_is(conf, local, given, expected):
    (conf / "base/parameters.yml").write_text(yaml.safe_dump(BASE))
    if local:
        (conf / "local/parameters.yml").write_text(yaml.safe_dump(local))
    found = load(conf, runtime_params=given)["parameters"]
    assert {key: found[key] for key in expected} == expected
    assert found.keys() == BASE.keys() | (local or {}).keys() | given.keys()


@pytest.mark.parametrize("file", ["base/parameters.yml", "local/parameters_a.yml", "local/catalog.yml"])
@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("a: 1\na: 2\n", "line 2: found duplicate key a"),
        ("seed: *x", "line 1: found undefined alias"),
        ("seed: [1", "line 1: did not find expected ',' or ']'"),
        ("- 1\n- 2", "holds a list, but names with a value each are needed"),
        (b"seed: \xff", "is not written in UTF-8 (from byte 6 on)"),
        ("seed: ${nix", "seed: no viable alternative at input '${nix'"),
        ("seed: ${nix}", "seed cannot be resolved: interpolation key 'nix' not found"),
        ("seed: ${nix:1}", "seed cannot be resolved: unsupported interpolation type nix"),
        ("a: ${b}\nb: ${a}", "a cannot be resolved: recursive interpolation detected"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_the_place(conf, file, content, problem):
    (conf / "base/parameters.yml").write_text("")
    (conf / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError) as error:
        load(conf)["catalog" if "catalog" in file else "parameters"]
    assert str(error.value).startswith(f"{conf / file}: {problem}")


def test_a_parameter_cannot_be_resolved_by_all_parameters_but_the_catalog_can_again_after_that(conf):
    (conf / "base/parameters.yml").write_text("seed: ${parameters:seed}")
    loader = load(conf)
    with pytest.raises(
        InputError, match=r"parameters.yml: seed cannot be resolved.*refers to another one by \$\{its.name"
    ):
        loader["parameters"]
    (conf / "base/parameters.yml").write_text("apply: {method: pcl}")
    assert loader["catalog"]["encoder"]["filepath"] == "data/pcl/encoder"
