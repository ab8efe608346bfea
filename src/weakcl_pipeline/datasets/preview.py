"""Rows as Kedro-Viz can show them."""

from collections.abc import Iterable, Sequence
from typing import Any

from kedro_datasets._typing import TablePreview

_SHOWN = 6  # items of a list


def table_preview(columns: Sequence[str], rows: Iterable[Iterable[Any]]) -> TablePreview:
    """Return rows for Kedro-Viz, whose JSON knows neither bytes nor lists within a table.

    Fractions have four digits, so that more columns find a place.
    """
    data = [[_shown(value) for value in row] for row in rows]
    return TablePreview({"index": list(range(len(data))), "columns": list(columns), "data": data})


def _shown(value: Any) -> Any:
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    if isinstance(value, list | tuple):
        items = [str(_shown(item)) for item in value[:_SHOWN]]
        rest = f", ... ({len(value)})" if len(value) > _SHOWN else ""
        return ", ".join(items) + rest
    if isinstance(value, float):
        return round(value, 4) if abs(value) >= 1 else float(f"{value:.4g}")
    return value
