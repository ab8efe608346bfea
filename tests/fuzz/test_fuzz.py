"""The targets without atheris: what is right is read, random inputs are read or refused, and faults are noticed."""

import importlib.util
import mmap
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.fuzz import edits, trial
from tests.fuzz.choices import Choices
from tests.fuzz.targets import TARGETS
from tests.fuzz.trial import FindingError, Target, Trials
from tests.images.test_decode import memory
from weakcl_pipeline.errors import InputError

INPUTS = 80


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("name", TARGETS)
def test_what_is_right_is_read_and_random_inputs_are_read_or_refused(tmp_path, name):
    trials = Trials(TARGETS[name], tmp_path)
    assert {trials.run(seed) for seed in trials.seeds()} == {None}
    generator = random.Random(name)  # noqa: S311 - no secret
    messages = {trials.run(generator.randbytes(generator.choice([6, 24, 96]))) for _ in range(INPUTS)}
    assert len(messages) > 1
    assert trials.run(b"") is None


def written(folder):
    (folder / "a.txt").write_bytes(b"right")


def trials(folder, read):
    return Trials(Target(written, read, ("*.txt",)), folder)


def spoilt(folder):
    return (folder / "a.txt").read_bytes() != b"right"


def fail(folder):
    raise KeyError("a")


def hide_the_place(folder):
    raise InputError("it is wrong")


def write_beside(folder):
    (folder.parent / "beside.txt").write_bytes(b"x")


def remove(folder):
    (folder / "a.txt").unlink()


def grow(folder):
    size = memory("VmHWM") - memory("VmRSS") + (400 << 20)
    with mmap.mmap(-1, size) as pages:  # and not from malloc, which may have kept as much of what was freed
        pages[:: mmap.PAGESIZE] = b"x" * len(range(0, size, mmap.PAGESIZE))


def dawdle(folder):
    time.sleep(0.3)


@pytest.mark.parametrize(
    ("act", "finding"),
    [
        (fail, "not an InputError, but KeyError"),
        (hide_the_place, "names no place: it is wrong"),
        (write_beside, r"writes outside: \['open .*beside.txt"),
        (remove, r"writes outside: \['os.remove .*a.txt"),
        (grow, r"takes \d\d\d,\d\d\d,\d\d\d bytes of memory"),
        (dawdle, r"takes 0\.\d s"),
    ],
)
def test_what_must_not_be_is_found(tmp_path, monkeypatch, act, finding):
    monkeypatch.setattr(trial, "SECONDS", 0.2 if act is dawdle else 10)
    monkeypatch.setattr(trial, "BYTES", 200 << 20)
    trying = trials(tmp_path, lambda folder: act(folder) if spoilt(folder) else None)
    with pytest.raises(FindingError, match=finding):
        trying.run(bytes([*edits.WHOLE]) + b"wrong")
    assert (tmp_path / "data/a.txt").read_bytes() == b"right"


def test_a_refusal_is_told_and_temporary_files_are_allowed(tmp_path):
    def read(folder):
        if spoilt(folder):
            (tmp_path / "temporary/a").write_bytes(b"x")
            raise InputError(f"{folder / 'a.txt'}: {(folder / 'a.txt').read_text()}")

    trying = trials(tmp_path, read)
    assert trying.run(bytes([*edits.WHOLE]) + b"wrong") == f"{tmp_path / 'data/a.txt'}: wrong"
    assert trying.run(b"") is None


@pytest.mark.parametrize("edit", edits.EDITS)
def test_an_edit_is_what_its_input_says(edit):
    content, generator = b"id,file\n1,a.png\n2,b.png\n", random.Random(0)  # noqa: S311
    found = set()
    for _ in range(50):
        data = generator.randbytes(20)
        found.add(edit(content, Choices(data), [b"word"]))
        assert edit(content, Choices(data), [b"word"]) in found
    assert len(found) > 10
    assert all(len(spoilt_) <= edits.MOST + 100 for spoilt_ in found)


@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris (the extra `fuzz`) is not installed")
def test_atheris_runs(tmp_path):
    command = [sys.executable, "-m", "tests.fuzz", "wordnet", "--seconds=5", f"--folder={tmp_path}"]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert "stat::number_of_executed_units" in ended.stderr
    assert any((tmp_path / "wordnet/corpus").iterdir())
