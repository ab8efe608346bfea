"""The base of every parameter group."""

from pydantic import BaseModel, ConfigDict


class Config(BaseModel):
    """A typed, immutable parameter group.

    A misspelt key or a value outside its range is refused, so that Kedro stops a run before its first node.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
