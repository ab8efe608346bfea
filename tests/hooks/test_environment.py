import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest

import weakcl_pipeline
from weakcl_pipeline.hooks import environment


def test_library_versions_are_those_installed():
    versions = environment.library_versions()
    assert versions["python"] == platform.python_version()
    assert {name: versions[name] for name in ("kedro", "torch")} == {n: version(n) for n in ("kedro", "torch")}


def test_a_library_that_is_not_installed_is_left_out(monkeypatch):
    monkeypatch.setattr(environment, "_LIBRARIES", ("numpy", "no-such-library"))
    environment.library_versions.cache_clear()
    assert environment.library_versions().keys() == {"python", "numpy"}
    environment.library_versions.cache_clear()


@pytest.fixture
def package(tmp_path, monkeypatch):
    file = tmp_path / "src" / "__init__.py"
    file.parent.mkdir()
    file.write_text("")
    monkeypatch.setattr(weakcl_pipeline, "__file__", str(file))
    environment.code_revision.cache_clear()
    yield file
    environment.code_revision.cache_clear()


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.com"]
    return subprocess.run(["git", "-C", folder, *identity, *words], capture_output=True, text=True, check=True).stdout


def test_code_outside_a_repository_is_known_by_its_version(package):
    code = environment.code_revision()
    assert (code.package, code.revision, code.dirty) == (weakcl_pipeline.__version__, None, None)


def test_code_in_a_repository_is_known_by_its_commit(package, tmp_path):
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "src")
    git(tmp_path, "commit", "-qm", "first")
    code = environment.code_revision()
    assert (code.revision, code.dirty) == (git(tmp_path, "rev-parse", "HEAD").strip(), False)
    package.write_text("# changed")
    environment.code_revision.cache_clear()
    assert environment.code_revision().dirty is True


def test_a_repository_that_does_not_hold_the_code_is_not_its_revision(package, tmp_path):
    git(tmp_path, "init", "-q")
    (tmp_path / "other").write_text("")
    git(tmp_path, "add", "other")
    git(tmp_path, "commit", "-qm", "first")
    assert environment.code_revision().revision is None
