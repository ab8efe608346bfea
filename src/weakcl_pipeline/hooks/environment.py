"""The code and the libraries of this process."""

import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import weakcl_pipeline
from weakcl_pipeline.datasets.lineage import CodeRecord

_LIBRARIES = (
    "kedro",
    "kedro-datasets",
    "numpy",
    "polars",
    "pyarrow",
    "pillow",
    "torch",
    "torchvision",
    "timm",
    "scikit-learn",
    "safetensors",
)


@cache
def library_versions() -> dict[str, str]:
    """Return the versions of Python and of the installed libraries that shape the numbers."""
    versions = {"python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


@cache
def code_revision() -> CodeRecord:
    """Return the package's version and, where git tracks its files, the commit and whether they differ."""
    root = Path(weakcl_pipeline.__file__).parent
    package = weakcl_pipeline.__version__
    if _git(root, "ls-files", "--error-unmatch", "__init__.py") is None:
        return CodeRecord(package=package)
    changes = _git(root, "status", "--porcelain", "--", ".")
    dirty = None if changes is None else bool(changes)
    return CodeRecord(package=package, revision=_git(root, "rev-parse", "HEAD"), dirty=dirty)


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        command = ["git", "-C", str(folder), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        return None
