"""Checks of a table before any picture is decoded: what is wrong, where, and what to do."""

import logging
from collections.abc import Mapping
from typing import Any

import polars as pl

from weakcl_pipeline.attributes.columns import Columns
from weakcl_pipeline.attributes.schema import null_missing
from weakcl_pipeline.errors import FEW, InputError, brief, did_you_mean, some
from weakcl_pipeline.sources.roles import IngestionConfig
from weakcl_pipeline.sources.splits import SPLITS

logger = logging.getLogger(__name__)


def check_columns(schema: Mapping[str, pl.DataType], config: IngestionConfig, *, name: str) -> None:
    """Check that a raw table has the columns that the parameters name, with usable types.

    Args:
        schema: Of the table.
        config: The roles of its columns.
        name: Of the table, in the catalog.

    Raises:
        InputError: Naming the key and the column.
    """
    for column, key in config.columns().items():
        if column not in schema:
            hint = did_you_mean(column, schema)
            raise InputError(
                f"{name}: there is no column '{column}', which {key} names.{hint} The table has: {', '.join(schema)}."
            )
    for column, key in config.scalar_columns().items():
        if schema[column].is_nested() or schema[column] in (pl.Binary, pl.Duration, pl.Object):
            raise InputError(
                f"{name}: column '{column}' ({key}) has type {schema[column]}; it must"
                " hold one word or number in each cell."
            )
    dtype = schema[config.image_column]
    if dtype not in (pl.Binary, pl.String, pl.Categorical, pl.Enum):
        fields = ", ".join(field.name for field in dtype.fields) if isinstance(dtype, pl.Struct) else ""
        remedy = f" Make a column of one of its fields: {fields}." if fields else ""
        raise InputError(
            f"{name}: column '{config.image_column}' (ingestion.image_column) has type {dtype}; it must"
            f" hold encoded pictures (binary) or paths (text).{remedy}"
        )
    if dtype == pl.Binary and config.image_column in config.attributes:
        raise InputError(
            f"{name}: column '{config.image_column}' holds encoded pictures, which are no attribute. Remove"
            f" ingestion.attributes.{config.image_column}."
        )


def check_rows(table: Columns, config: IngestionConfig, *, name: str) -> None:
    """Check that a raw table has rows, and that boxes are whole.

    Raises:
        InputError: Naming the key and the column.
    """
    if table.height == 0:
        raise InputError(f"{name}: the table is empty (0 rows). Check the file that the catalog points to.")
    if config.box_columns is not None:
        _check_boxes(read_boxes(table, config, name=name), name)


def read_boxes(table: Columns, config: IngestionConfig, *, name: str) -> pl.DataFrame:
    """Return the columns of the boxes as numbers, null where missing or NaN; in tables of text they are written.

    Args:
        table: Has those columns.
        config: Names the columns, and says what is missing.
        name: Of the table, in the catalog.

    Raises:
        InputError: Naming the column, and the row of a text that is no number.
    """
    columns = (null_missing(table[column], config.missing) for column in config.box_columns or ())
    return pl.DataFrame([_pixels(column, name) for column in columns])


def check_ids(ids: pl.Series, column: str, *, name: str) -> None:
    """Check that every row has an id of its own.

    Raises:
        InputError: Listing the rows without an id, or the repeated ids with their rows.
    """
    if ids.null_count():
        raise InputError(
            f"{name}: column '{column}' (ingestion.id_column) is null in {_rows(ids.is_null())}."
            " Every sample needs an id; fill it in or remove the row."
        )
    repeated = ids.is_duplicated()
    if repeated.any():
        rows = (
            pl.DataFrame({"id": ids, "row": pl.int_range(len(ids), eager=True)})
            .filter(repeated)
            .group_by("id", maintain_order=True)
            .agg("row")
        )
        found = [f"{_cell(id_)} in rows {_shortened(at)}" for id_, at in rows.head(FEW).iter_rows()]
        raise InputError(
            f"{name}: column '{column}' (ingestion.id_column) repeats {rows.height} ids:"
            f" {some(found, rows.height, separator='; ')}. Ids must be unique; rename or remove the copies."
        )


def check_split_values(raw_splits: pl.Series, config: IngestionConfig) -> None:
    """Check that every row belongs to a split.

    Raises:
        InputError: Listing the unknown values with their rows, and the allowed values.
    """
    unknown = ~raw_splits.is_in(list(config.split_words())).fill_null(value=False)
    if unknown.any():
        values = raw_splits.filter(unknown).unique(maintain_order=True)
        raise InputError(
            f"raw_samples: column '{config.split_column}' (ingestion.split_column) holds"
            f" {_shortened([_cell(value) for value in values])} in {_rows(unknown)}; allowed:"
            f" {', '.join(config.split_values)}. Correct the rows, or map the value in"
            " ingestion.split_values."
        )


def check_samples(sizes: Mapping[str, int], labels: Mapping[str, pl.DataFrame], when: str) -> None:
    """Check that the splits can be trained on and compared, with the samples at hand.

    Args:
        sizes: Split -> how many samples it has.
        labels: Label -> ``value``, ``split`` and ``len``, how many samples of a split have a value; null = unlabelled.
        when: For the message: which samples these are, e.g. "raw_samples".

    Raises:
        InputError: Train is empty; or there are labels and val or test is empty; or a label has a single
            value in train, or none in val or test.
    """
    counts = ", ".join(f"{split} {sizes.get(split, 0)}" for split in SPLITS)
    if not sizes.get("train"):
        raise InputError(f"{when}: the train split has no samples ({counts}). Clusters and encoders learn from it.")
    for split, purpose in (("val", "settings are chosen on it"), ("test", "figures are measured on it")):
        if labels and not sizes.get(split):
            raise InputError(
                f"{when}: the {split} split has no samples ({counts}), but there are labels to evaluate with:"
                f" {purpose}. Assign samples to it in the split column, change the shares in ingestion.split, or remove"
                " ingestion.labels."
            )
    for label, counted in labels.items():
        _check_label(label, counted.drop_nulls("value"), when)


def check_groups(samples: pl.DataFrame, column: str) -> None:
    """Check that no group of samples is spread over several splits.

    Args:
        samples: Columns `group` and `split`; each pair need be there only once.
        column: The raw column that the groups come from, for the message.

    Raises:
        InputError: Listing the groups and their splits.
    """
    spread = (
        samples.drop_nulls("group")
        .group_by("group", maintain_order=True)
        .agg(pl.col("split").unique(maintain_order=True))
        .filter(pl.col("split").list.len() > 1)
    )
    if spread.height:
        found = [f"{_cell(group)} in {' and '.join(splits)}" for group, splits in spread.head(FEW).iter_rows()]
        raise InputError(
            f"raw_samples: {spread.height} groups of column '{column}' (ingestion.group_column) are spread"
            f" over several splits: {some(found, spread.height, separator='; ')}."
            " What is learnt from one part would be tested on the other; move each group into one split."
        )


def _pixels(column: pl.Series, name: str) -> pl.Series:
    if not (column.dtype.is_numeric() or column.dtype in (pl.Null, pl.String)):
        raise InputError(
            f"{name}: column '{column.name}' (ingestion.box_columns) has type {column.dtype}; it must hold"
            " numbers of pixels."
        )
    numbers = column.cast(pl.Float64, strict=False)
    wrong = numbers.is_null() & column.is_not_null()
    if wrong.any():
        raise InputError(
            f"{name}: column '{column.name}' (ingestion.box_columns) holds {_cell(column.filter(wrong)[0])} in"
            f" {_rows(wrong)}; it must hold numbers of pixels. Correct the cells."
        )
    return numbers.fill_nan(None)


def _check_boxes(boxes: pl.DataFrame, name: str) -> None:
    known = boxes.select(pl.sum_horizontal(pl.all().is_not_null())).to_series()
    half_known = known.is_between(1, boxes.width - 1)
    if half_known.any():
        raise InputError(
            f"{name}: columns {', '.join(boxes.columns)} (ingestion.box_columns) are partly null in"
            f" {_rows(half_known)}. A box needs all four; for the whole picture leave all four empty."
        )


def _check_label(label: str, counted: pl.DataFrame, when: str) -> None:
    on_train = pl.col("split") == "train"
    train = counted.filter(on_train)
    values = train["value"].unique().sort()
    if len(values) < 2:
        held = f"only the value {_cell(values[0])}" if len(values) else "no value at all"
        raise InputError(
            f"{when}: label column '{label}' (ingestion.labels) holds {held} in the {train['len'].sum()} labelled"
            " train samples; at least two are needed. Remove it from ingestion.labels, or correct the column."
        )
    for split in ("val", "test"):
        if split not in counted["split"]:
            raise InputError(
                f"{when}: label column '{label}' (ingestion.labels) holds no value at all in the {split} samples;"
                f" representations are evaluated on them. Label some, or remove it from ingestion.labels."
            )
    unseen = sorted(set(counted.filter(~on_train)["value"]) - set(values))
    if unseen:
        logger.warning("label '%s': no train sample has %s; a probe cannot predict it", label, _shortened(unseen))


def _rows(where: pl.Series) -> str:
    rows = where.arg_true().to_list()
    return f"row{'s' if len(rows) > 1 else ''} {_shortened(rows)} (counted from 0)"


def _cell(text: str | None) -> str:
    return repr(text and brief(text))


def _shortened(values: list[Any]) -> str:
    return some([str(value) for value in values[:FEW]], len(values))
