"""Writes troubleshooting.md: runs the cases of tests/broken and notes what a user is told.

python docs/build_troubleshooting.py
"""

import logging
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

PAGE = Path(__file__).parent / "troubleshooting.md"
sys.path.insert(0, str(PAGE.parent.parent))  # the tests are no installed package

from tests.broken import KINDS  # noqa: E402
from tests.broken.case import NEUTRAL, Told, tell  # noqa: E402

INTRODUCTION = f"""\
# Troubleshooting

{{count}} ways in which tables and folders of pictures are broken, and what you are told of each. The tests make every
one of them and run it (`tests/broken`), and this page is what came of it (`docs/build_troubleshooting.py`), so it
holds the very words to search for. `{NEUTRAL}` stands for wherever the data is.

What is wrong with a table, a parameter or an archive stops the run, and results that were there before stay as they
are. A picture that cannot be used does not stop it: its row goes to `quarantine`, shown here as
`sample_id | stage | reason`, and the others go on, unless more are bad than `images.max_bad_fraction` allows.
`kedro run --verbose` adds the traceback.
"""


def build(told: dict[str, list[Told]]) -> str:
    """Return the page.

    Args:
        told: Heading -> its cases, each with what came of it.
    """
    head = INTRODUCTION.format(count=sum(map(len, told.values())))
    contents = "\n".join(f"- [{kind}](#{_anchor(kind)})" for kind in told)
    return "\n".join([head, contents, *(_section(kind, cases) for kind, cases in told.items())])


def _section(kind: str, cases: list[Told]) -> str:
    return "\n".join([f"\n## {kind}", *(line for told in cases for line in _lines(told))])


def _lines(told: Told) -> Iterator[str]:
    case, outcome = told
    yield f"\n### {case.title}\n"
    yield f"```text\n{outcome.message}\n```"
    if case.remedy:
        yield f"\n{case.remedy}"


def _anchor(heading: str) -> str:
    """Return the name that GitHub gives to a heading."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)  # of runs that are to fail
    with tempfile.TemporaryDirectory() as folder:
        PAGE.write_text(build(tell(KINDS, Path(folder))) + "\n")
