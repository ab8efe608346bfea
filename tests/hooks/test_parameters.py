from types import SimpleNamespace
from typing import Annotated, Literal

import pytest
from kedro.config import MissingConfigException
from kedro.framework import project
from kedro.pipeline import Node, Pipeline
from pydantic import Field

from weakcl_pipeline.config import Config
from weakcl_pipeline.errors import InputError
from weakcl_pipeline.hooks import ParametersHook
from weakcl_pipeline.hooks import parameters as module


class Optimiser(Config):
    learning_rate: float = Field(default=0.1, gt=0)


class Crop(Config):
    name: Literal["crop"] = "crop"
    margin: int = Field(default=1, ge=0)


class Twice(Config):
    name: Literal["twice"] = "twice"


class Training(Config):
    epochs: int = 1
    view: Annotated[Crop | Twice, Field(discriminator="name")] = Crop()
    optimiser: Optimiser = Optimiser()
    schedule: tuple[Optimiser, ...] = ()


def train(training: Training, seed: int, depth: int | None) -> int:
    return training.epochs * seed * (depth or 1)


def everything(parameters: dict) -> int:
    return len(parameters)


def check(parameters: dict, monkeypatch, extra: tuple[Node, ...] = (), env: str | None = None) -> None:
    node = Node(train, ["params:training", "params:seed", "params:images.size"], "number", name="train")
    monkeypatch.setattr(module, "pipelines", {"training": Pipeline([node, *extra])})
    ParametersHook().after_context_created(SimpleNamespace(config_loader={"parameters": parameters}, env=env))


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"seed": 1, "training": {"epochs": 2, "optimiser": {"learning_rate": 0.5}}, "images": {"anything": 1}},
        {"seed": 0},
    ],
)
def test_good_parameters_pass(parameters, monkeypatch):
    check(parameters, monkeypatch)


@pytest.mark.parametrize(
    ("parameters", "problem"),
    [
        ({"sed": 1}, "sed: there is no such parameter. Did you mean seed?"),
        ({"wavelets": 1}, "wavelets: there is no such parameter; there are images, seed, training"),
        (
            {"training": {"view": {"name": "crop", "margins": 1}}},
            "training.view.margins: there is no such parameter. Did you mean training.view.margin?",
        ),
        ({"training": {"view": {"name": "crop", "margin": -1}}}, "training.view.margin: Input should be greater"),
        ({"training": {"view": {"name": "crap"}}}, "training.view: Input tag 'crap' found using 'name'"),
        ({"training": {"epocs": 1}}, "training.epocs: there is no such parameter. Did you mean training.epochs?"),
        (
            {"training": {"optimiser": {"learning_rat": 1}}},
            "training.optimiser.learning_rat: there is no such parameter. "
            "Did you mean training.optimiser.learning_rate?",
        ),
        ({"training": {"schedule": [{"x": 1}]}}, "training.schedule.0.x: there is no such parameter"),
        ({"training": {"epochs": True}}, "training.epochs: must not be true or false"),
        ({"training": {"optimiser": {"learning_rate": True}}}, "training.optimiser.learning_rate: must not be true or"),
        ({"training": {"view": {"name": "crop", "margin": False}}}, "training.view.margin: must not be true or false"),
        (
            {"training": {"optimiser": {"learning_rate": -1}}},
            "training.optimiser.learning_rate: Input should be greater than 0 (it is -1)",
        ),
        ({"training": {"epochs": "many"}}, "training.epochs: Input should be a valid integer"),
        ({"training": 3}, "training: Input should be a valid dictionary"),
        ({"training": None}, "training: Input should be a valid dictionary"),
        ({"seed": "abc"}, "seed: Input should be a valid integer (it is 'abc')"),
        ({"seed": -1}, "seed: Input should be greater than or equal to 0 (it is -1)"),
        ({"seed": 1.5}, "seed: Input should be a valid integer (it is 1.5)"),
        ({"seed": True}, "seed: Input should be a valid integer (it is True)"),
        ({"seed": 2**63}, "seed: Input should be less than 9223372036854775808"),
        ({"seed": None}, "seed: Input should be a valid integer (it is None)"),
    ],
)
def test_a_bad_parameter_is_named_with_what_may_have_been_meant(parameters, problem, monkeypatch):
    with pytest.raises(InputError) as error:
        check(parameters, monkeypatch)
    assert f"  {problem}" in str(error.value)


@pytest.mark.parametrize("given", ["https://user:ge@heim@host/a.zip", ["https://user:ge@heim@host/a.zip"]])
def test_no_password_in_messages(given, monkeypatch):
    with pytest.raises(InputError) as error:
        check({"training": {"epochs": given}}, monkeypatch)
    assert "https://host/a.zip" in str(error.value)
    assert "heim" not in str(error.value)


def test_all_problems_are_told_at_once(monkeypatch):
    with pytest.raises(InputError) as error:
        check({"sed": 1, "training": {"epocs": 1, "epochs": "x"}}, monkeypatch)
    assert str(error.value).count("\n  ") == 3


def test_a_node_that_takes_all_parameters_knows_any_group(monkeypatch):
    check({"wavelets": 1}, monkeypatch, extra=(Node(everything, "parameters", "count", name="everything"),))


def test_a_project_without_parameters_passes():
    class NoParameters(dict):
        def __getitem__(self, key: str) -> None:
            raise MissingConfigException(key)

    assert project.pipelines is not None
    ParametersHook().after_context_created(SimpleNamespace(config_loader=NoParameters()))


@pytest.mark.parametrize(("env", "folder"), [(None, "conf/local/"), ("mine", "conf/mine/")])
def test_the_files_are_those_of_the_environment(monkeypatch, env, folder):
    with pytest.raises(InputError) as error:
        check({"sed": 1}, monkeypatch, env=env)
    assert f"conf/base/parameters*.yml, {folder}parameters*.yml or --params" in str(error.value)
