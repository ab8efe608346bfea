import contextlib
import json

from tests.conftest import ROOT


def test_every_cell_of_the_notebook_runs_after_a_full_run(full_run):
    notebook = json.loads((ROOT / "notebooks/explore.ipynb").read_text())
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(not cell.get("outputs") for cell in notebook["cells"])
    namespace = {}
    with contextlib.chdir(full_run.path):
        for cell in cells:
            exec(compile(cell, "explore.ipynb", "exec"), namespace)  # noqa: S102
    assert namespace["neighbours"]("attribute", namespace["query"]).height == 5
