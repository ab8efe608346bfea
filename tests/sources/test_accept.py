import json

import polars as pl
import pytest

from weakcl_pipeline.errors import InputError
from weakcl_pipeline.sources import IngestionConfig, accept

CONFIG = IngestionConfig(id_column="id", image_column="image", split_column="split", labels=("class",))
SCHEMA = {
    "tags": {"kind": "tags", "inferred": True, "missing": 1},
    "wide": {"kind": "bool", "inferred": False, "missing": 0},
}
TABLE = pl.DataFrame(
    {
        "sample_id": list("abcdefgh"),
        "split": ["train"] * 4 + ["val"] * 2 + ["test"] * 2,
        "group": ["g", "g", "h", None, None, None, None, None],
        "image": [f"{c}.png" for c in "abcdefgh"],
        "label_class": ["x", "y", "x", None, "x", "y", "x", "y"],
        "tags": [["t", "u"], ["u"], [], None, ["t"], ["v"], [], []],
        "wide": [True, False] * 4,
    }
)


def rejects(*ids):
    return pl.DataFrame(
        {"sample_id": list(ids), "reason": ["truncated"] * len(ids)},
        schema={"sample_id": pl.String, "reason": pl.String},
    )


def test_rows_are_parted_and_none_is_lost():
    samples, attributes, quarantine, _ = accept(
        TABLE.lazy(), rejects("g", "b"), SCHEMA, CONFIG.model_copy(update={"labels": ()})
    )
    samples, attributes = samples.collect(), attributes.collect()
    assert samples.columns == ["sample_id", "split", "group", "image", "label_class"]
    assert samples["sample_id"].to_list() == list("acdefh")
    assert attributes.columns == ["sample_id", "split", "tags", "wide"]
    assert attributes["sample_id", "split"].equals(samples["sample_id", "split"])
    assert quarantine.rows() == [("g", "images", "truncated"), ("b", "images", "truncated")]
    assert set(samples["sample_id"]) | set(quarantine["sample_id"]) == set("abcdefgh")


def test_the_summary_counts_what_was_accepted():
    summary = accept(TABLE.lazy(), rejects("c"), SCHEMA, CONFIG).summary
    assert summary["rows"] == 8
    assert summary["accepted"] == 7
    assert summary["quarantined"] == 1
    assert summary["quarantine_reasons"] == {"truncated": 1}
    assert summary["splits"] == {"train": 3, "val": 2, "test": 2}
    assert summary["groups"] == 1
    assert summary["labels"] == {"class": {"x": 3, "y": 3}}
    assert summary["unlabelled"] == {"class": 1}
    assert summary["attributes"]["tags"] == {"kind": "tags", "inferred": True, "missing": 1, "distinct": 3}
    assert summary["attributes"]["wide"]["distinct"] == 2
    json.dumps(summary)


@pytest.mark.parametrize(
    ("lost", "message"), [(("g", "h"), "the test split has no samples"), (("b",), "only the value 'x'")]
)
def test_what_quarantine_leaves_must_still_be_usable(lost, message):
    with pytest.raises(InputError, match=message) as error:
        accept(TABLE.lazy(), rejects(*lost), SCHEMA, CONFIG)
    assert f"after {len(lost)} rows went to quarantine" in str(error.value)
