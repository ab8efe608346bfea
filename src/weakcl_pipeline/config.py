"""The base of every parameter group, and what is wrong with one in words."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, TypeGuard, get_args

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from weakcl_pipeline.errors import shown

_WORDS = dict.fromkeys(("tuple_type", "list_type"), "must be a list, as [a, b]")
"""What pydantic says in the words of Python."""


class Config(BaseModel):
    """A typed, immutable parameter group.

    A misspelt key or a value outside its range is refused, so that Kedro stops a run before its first node. Nor is true
    taken for 1, which Python holds for the same: ``epochs: yes`` is no number.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _truth_is_no_number(cls, given: Any) -> Any:
        fields = cls.model_fields
        for key, value in given.items() if isinstance(given, Mapping) else ():
            if isinstance(value, bool) and key in fields and not _takes_truth(fields[key].annotation):
                raise PydanticCustomError("truth", "must not be true or false", {"key": key})
        return given


def _takes_truth(kind: Any) -> bool:
    return kind in (bool, Any) or any(_takes_truth(part) for part in get_args(kind))


def explained(error: ValidationError, model: type | None, key: str = "", noun: str = "parameter") -> Iterator[str]:
    """Yield what is wrong, problem by problem, each with its key and what may have been meant.

    Args:
        error: What pydantic found.
        model: What was validated.
        key: Key of the group.
        noun: What the keys are.
    """
    for detail in error.errors():
        truth = (detail["ctx"]["key"],) if detail["type"] == "truth" else ()
        path, owner = _along(model, (*detail["loc"], *truth))
        name = _dotted(key, *path)
        if detail["type"] == "extra_forbidden":
            known = [_dotted(key, *path[:-1], field) for field in owner.model_fields] if owner else []
            yield f"{name}: there is no such {noun}{suggestion(name, known)}"
            continue
        if detail["type"] == "missing":
            yield f"{name}: is missing"
            continue
        words, given = _WORDS.get(detail["type"], detail["msg"].removeprefix("Value error, ")), detail["input"]
        it_is = (
            "" if isinstance(given, Mapping) and detail["type"] in ("value_error", "truth") else f" (it is {given!r})"
        )
        yield shown(f"{name}: {words}{it_is}" if name else f"{words}{it_is}")


def suggestion(name: str, known: list[str]) -> str:
    """Return what may have been meant by a name, or what names there are."""
    matches = get_close_matches(name, known, n=1)
    return f". Did you mean {matches[0]}?" if matches else f"; there are {', '.join(known)}" if known else ""


def _dotted(*keys: str) -> str:
    return ".".join(key for key in keys if key)


def _along(model: Any, location: tuple[Any, ...]) -> tuple[list[str], type[BaseModel] | None]:
    """Return the keys of a location in a model, and the model that its last key should be a field of.

    Where there are several models to choose from by their `name`, pydantic puts the name into the location.
    """
    keys: list[str] = []
    kind, owner = model, None
    for part in location:
        if (chosen := _by_name(kind, part)) is not None:
            kind = chosen
            continue
        keys.append(str(part))
        owner = kind if _is_model(kind) else None
        field = owner.model_fields.get(part) if owner else None
        kind = field.annotation if field else None
    return keys, owner


def _by_name(kind: Any, name: Any) -> type[BaseModel] | None:
    choices = [choice for choice in get_args(kind) if _is_model(choice) and "name" in choice.model_fields]
    return next((choice for choice in choices if choice.model_fields["name"].default == name), None)


def _is_model(kind: Any) -> TypeGuard[type[BaseModel]]:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
