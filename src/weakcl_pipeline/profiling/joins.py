"""How further tables belong to a table of pictures."""

from typing import Any

import polars as pl

from weakcl_pipeline.errors import InputError
from weakcl_pipeline.profiling.sampling import holds_single
from weakcl_pipeline.sources.roles import is_pattern
from weakcl_pipeline.sources.table import in_words


def find_join(samples: pl.LazyFrame, other: pl.LazyFrame, name: str) -> dict[str, Any]:
    """Find the key by which a table belongs to the samples, and what to take of it.

    The key is the column of both tables whose values agree most. Where the other table repeats it, there is a row for
    each tag or the like, and its other columns become lists.

    Args:
        samples: The table of the pictures, as a source yields it.
        other: The further table.
        name: Of the further table, for messages.

    Returns:
        The options `by`, `take` and `collect` of `sources.table.SideTable`, as far as they are needed.

    Raises:
        InputError: The tables share no column, or the further one adds none.
    """
    have, found = samples.collect_schema(), other.collect_schema()
    usable = [column for column in found if not is_pattern(column)]
    shared, new = [column for column in usable if column in have], [column for column in usable if column not in have]
    keys = [column for column in shared if holds_single(have[column]) and holds_single(found[column])]
    if not keys:
        raise InputError(
            f"--join {name}: no column has the name of one in the table of the pictures, so nothing tells which rows"
            f" belong together. Columns here: {', '.join(found)}; there: {', '.join(have)}. Rename the key, or leave"
            " --join out and write `join` with `by` and `key` into catalog.yml."
        )
    if not new:
        raise InputError(
            f"--join {name}: all its columns ({', '.join(found)}) are in the table of the pictures already."
        )
    by = max(keys, key=lambda column: _agreeing(samples, other, column))
    if other.select(in_words(by).drop_nulls().is_duplicated().any()).collect(engine="streaming").item():
        return {"by": by, "collect": new}
    return {"by": by} if len(found) == len(new) + 1 else {"by": by, "take": new}


def _agreeing(samples: pl.LazyFrame, other: pl.LazyFrame, column: str) -> int:
    """Return how many values of a column both tables have."""
    values = (table.select(in_words(column).unique()) for table in (samples, other))
    common = next(values).join(next(values), on=column)
    return int(common.select(pl.len()).collect(engine="streaming").item())
