"""Real runs: what they record, and what they refuse."""
import pytest
from weakcl_pipeline.errors import InputError

def test_full(standin):
    v = standin.run("full")
    print(standin.lineage("report").model_dump_json(indent=1))
    print(standin.lineage("attribute.encoder").model_dump_json(indent=1))

def test_refused(standin):
    standin.run("full")
    standin.run("clustering", params={"clustering": {"count": 5}})
    standin.run("evaluation")
