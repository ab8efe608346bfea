"""The project's configuration: Kedro's, with parameters that entries of the catalog can refer to."""

import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from kedro.config import MissingConfigException, OmegaConfigLoader
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import MarkedYAMLError, YAMLError  # type: ignore[import-untyped]

from weakcl_pipeline.errors import InputError

_RESOLVER = "parameters"


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
        self._register()
        found: dict[str, Any] = super().__getitem__(key)
        if key == "parameters":
            found |= {group: value for group, value in self.runtime_params.items() if group not in found}
        return found

    def _read_dir_configs(
        self, conf_path: str, patterns: Iterable[str], key: str, *args: Any, **kwargs: Any
    ) -> dict[Path, DictConfig]:
        """Read the files of an environment; Kedro names only some of those that it cannot read."""
        patterns = list(patterns)
        try:
            found: dict[Path, DictConfig] = super()._read_dir_configs(conf_path, patterns, key, *args, **kwargs)
        except (YAMLError, OmegaConfBaseException, UnicodeDecodeError):
            for path in (path for pattern in patterns for path in self._fs.glob(f"{conf_path}/{pattern}")):
                if self._is_valid_config_path(Path(path)):
                    _require_readable(path, self._fs.cat_file(path))
            raise
        return found

    def _check_duplicates(self, key: str, config_per_file: dict[Path, Any]) -> None:
        for path, config in config_per_file.items():
            if not isinstance(config, DictConfig):
                raise InputError(f"{path}: holds a list, but names with a value each are needed, as in `name: value`.")
        super()._check_duplicates(key, config_per_file)

    def _merge_and_resolve(self, key: str, config_per_file: Mapping[Path, DictConfig]) -> Any:
        try:
            if key != "parameters" or not config_per_file:
                return super()._merge_and_resolve(key, config_per_file)
            return self._merged_parameters(config_per_file)
        except OmegaConfBaseException as error:
            name = error.full_key or ""
            group = name.split(".")[0]
            places = [str(path) for path, config in config_per_file.items() if group in config]
            places += ["--params"] if key == "parameters" and group in self.runtime_params else []
            raise InputError(
                f"{' or '.join(places) or key}: {name} cannot be resolved: {_first_line(error)}. A parameter refers to "
                "another one by ${its.name}, the catalog to one by ${parameters:its.name}."
            ) from error

    def _merged_parameters(self, config_per_file: Mapping[Path, DictConfig]) -> Any:
        groups = {group for config in config_per_file.values() for group in config}
        given = {group: value for group, value in self.runtime_params.items() if group in groups}
        merged = OmegaConf.unsafe_merge(*config_per_file.values(), given)
        OmegaConf.clear_resolver(_RESOLVER)  # parameters that are resolved by all parameters would never end
        try:
            return OmegaConf.to_container(merged, resolve=True)
        finally:
            self._register()

    def _register(self) -> None:
        OmegaConf.register_new_resolver(_RESOLVER, self._parameter, replace=True)

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


def _require_readable(path: str, content: bytes) -> None:
    """Refuse a file that cannot be read.

    Raises:
        InputError: Says where it is wrong, and what is.
    """
    try:
        OmegaConf.load(io.StringIO(content.decode()))
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not written in UTF-8 (from byte {error.start} on). Save it as that.") from error
    except MarkedYAMLError as error:
        last = len(content.splitlines())
        line = f"line {min(error.problem_mark.line + 1, last)}: " if error.problem_mark else ""
        raise InputError(f"{path}: {line}{error.problem}. Correct it.") from error
    except OmegaConfBaseException as error:
        raise InputError(f"{path}: {error.full_key}: {_first_line(error)}. Correct it.") from error


def _first_line(error: BaseException) -> str:
    text = str(error).split("\n")[0]
    return text[:1].lower() + text[1:]
