"""The project's configuration: Kedro's, with parameters that entries of the catalog can refer to."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kedro.config import MissingConfigException, OmegaConfigLoader
from omegaconf import DictConfig, OmegaConf


class ConfigLoader(OmegaConfigLoader):
    """Kedro's loader, for which ``${parameters:<key>,<default>}`` in the catalog is the value of a parameter.

    Kedro's own ``runtime_params`` sees the command line alone, and ``globals`` not even that; a parameter has one
    value, wherever it was given.

    A parameter of the command line changes its group, whichever environment that is in. Kedro puts it beside the
    groups of the environment as well, where those that it does not have would consist of it alone, and then take the
    place of the base's.
    """

    def __getitem__(self, key: str) -> dict[str, Any]:
        """Return a kind of configuration; resolvers are global, so this loader's parameters take their place first."""
        OmegaConf.register_new_resolver("parameters", self._parameter, replace=True)
        found: dict[str, Any] = super().__getitem__(key)
        if key == "parameters":
            found |= {group: value for group, value in self.runtime_params.items() if group not in found}
        return found

    def _merge_and_resolve(self, key: str, config_per_file: Mapping[Path, DictConfig]) -> Any:
        if key != "parameters" or not config_per_file:
            return super()._merge_and_resolve(key, config_per_file)
        groups = {group for config in config_per_file.values() for group in config}
        given = {group: value for group, value in self.runtime_params.items() if group in groups}
        return OmegaConf.to_container(OmegaConf.unsafe_merge(*config_per_file.values(), given), resolve=True)

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
