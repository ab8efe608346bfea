"""The project's configuration: Kedro's, with parameters that entries of the catalog can refer to."""

from typing import Any

from kedro.config import MissingConfigException, OmegaConfigLoader
from omegaconf import OmegaConf


class ConfigLoader(OmegaConfigLoader):
    """Kedro's loader, for which ``${parameters:<key>,<default>}`` in the catalog is the value of a parameter.

    Kedro's own ``runtime_params`` sees the command line alone, and ``globals`` not even that; a parameter has one
    value, wherever it was given.
    """

    def __getitem__(self, key: str) -> dict[str, Any]:
        """Return a kind of configuration; resolvers are global, so this loader's parameters take their place first."""
        OmegaConf.register_new_resolver("parameters", self._parameter, replace=True)
        found: dict[str, Any] = super().__getitem__(key)
        return found

    def _parameter(self, key: str, default: Any = None) -> Any:
        try:
            value: Any = self["parameters"]
        except MissingConfigException:
            return default
        for part in key.split("."):
            if not isinstance(value, dict) or part not in value:
                return default
            value = value[part]
        return value
