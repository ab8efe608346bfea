"""Every case of tests/broken is told by name, nothing else is written, and docs/troubleshooting.md says so."""

import importlib.util
import re

import pytest

from tests.broken import KINDS
from tests.broken.case import refused, tell
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    return tell(KINDS, tmp_path_factory.mktemp("broken"))


@pytest.fixture(scope="module")
def builder():
    spec = importlib.util.spec_from_file_location("build_troubleshooting", ROOT / "docs/build_troubleshooting.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def wrong(case, outcome):
    """What is wrong with how a case ends."""
    if outcome.stopped and not refused(outcome.error):
        yield f"not an InputError, but {outcome.error!r}"
    if not outcome.message:
        yield "no message"
    yield from (f"does not name {name!r}" for name in case.names if name not in outcome.message)
    yield from (f"writes or changes {file}" for file in outcome.changed)
    if re.search(r"\[type=|pydantic|Error: |Traceback|object at 0x|/tmp/", outcome.message):
        yield "tells a library's words"


def test_every_case_is_told_with_its_place_and_nothing_else_is_written(told):
    problems = [
        f"{kind}: {case.title}: {problem}\n  {outcome.message}"
        for kind, cases in told.items()
        for case, outcome in cases
        for problem in wrong(case, outcome)
    ]
    assert not problems, "\n".join(problems)


def test_a_broken_row_is_alone_in_quarantine(told):
    quarantined = [outcome.message for _, outcome in told["Pictures"] if not outcome.stopped]
    assert quarantined
    assert [message for message in quarantined if "\n" in message] == []


def test_the_page_is_what_the_cases_say(told, builder):
    assert builder.build(told) + "\n" == (ROOT / "docs/troubleshooting.md").read_text()


def test_there_are_at_least_sixty_and_none_twice():
    titles = [case.title for cases in KINDS.values() for case in cases]
    assert len(titles) >= 60
    assert len(set(titles)) == len(titles)
