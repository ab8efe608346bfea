"""JSON lines: one JSON object per line."""

import io
import json
import logging
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import polars as pl
from polars.exceptions import PanicException, PolarsError

from weakcl_pipeline.errors import InputError
from weakcl_pipeline.sources.formats.base import Format, lazy
from weakcl_pipeline.sources.formats.text import Utf8Stream, encoding_of

logger = logging.getLogger(__name__)

_BLOCK = 4 << 20
"""Bytes parsed at once."""
_LONGEST = 64 << 20
"""Bytes that a line may have."""


class JsonLines(Format):
    """JSON lines. A key that a line leaves out is null; numbers among texts become texts."""

    takes = ("encoding",)

    def scan(self) -> pl.LazyFrame:
        """Return the table; one pass finds its columns, another one reads it where it is collected."""
        schema: pl.Schema | None = None
        for first, block in self._blocks():
            try:
                found = pl.read_ndjson(io.BytesIO(block), infer_schema_length=None).schema
                known = [found] if schema is None else [schema, found]
                schema = pl.concat([pl.DataFrame(schema=one) for one in known], how="diagonal_relaxed").schema
            except (PolarsError, PanicException) as error:
                raise self._broken(first, block, schema, error) from error
        if not schema:
            raise InputError(f"{self.path}: the table is empty; it has no line with a key.")
        schema = pl.Schema({name: pl.String() if dtype == pl.Null else dtype for name, dtype in schema.items()})
        logger.info("%s: JSON lines in %s, %d keys", self.path, self._encoding, len(schema))

        def batches(wanted: list[str]) -> Iterator[pl.DataFrame]:
            for first, block in self._blocks():
                try:
                    yield pl.read_ndjson(io.BytesIO(block), schema=schema)[wanted]
                except (PolarsError, PanicException) as error:
                    raise self._broken(first, block, schema, error) from error

        return lazy(batches, schema)

    @cached_property
    def _encoding(self) -> str:
        return encoding_of(self.path, self.options.encoding)

    def _blocks(self) -> Iterator[tuple[int, bytes]]:
        """Yield whole lines, and the number of the first, counted from 1. A JSON text has no raw line end in it."""
        line, begun = 1, b""
        with Utf8Stream(self.path, self._encoding) as stream:
            while block := stream.read(_BLOCK):
                begun += block
                end = begun.rfind(b"\n") + 1
                if end:
                    if begun[:end].strip():
                        yield line, begun[:end]
                    line += begun.count(b"\n", 0, end)
                    begun = begun[end:]
                if len(begun) > _LONGEST:
                    raise InputError(
                        f"{self.path}, line {line}: longer than {_LONGEST >> 20} MiB. Is this one JSON document, and"
                        " not one object per line? Write it as JSON lines."
                    )
        if begun.strip():
            yield line, begun

    def _broken(self, first: int, block: bytes, schema: pl.Schema | None, error: BaseException) -> InputError:
        """Name the line that is at fault: not JSON, no object, or with a value of another kind than before."""
        kinds = {name: _kind_of_type(dtype) for name, dtype in (schema or {}).items()}
        for number, line in enumerate(block.split(b"\n"), first):
            if not line.strip():
                continue
            try:
                value = json.loads(line)
            except (ValueError, RecursionError) as fault:
                whole = " It begins like one JSON document; write it as JSON lines." if number == 1 else ""
                at = f" from character {fault.colno} on" if isinstance(fault, json.JSONDecodeError) else ""
                return InputError(f"{self.path}, line {number}: not JSON{at}: {_shown(line)}.{whole}")
            if not isinstance(value, dict):
                return InputError(
                    f"{self.path}, line {number}: not a JSON object but {_shown(line)}. Every line must be one object,"
                    ' {"column": value, ...}.'
                )
            for key, cell in value.items():
                kind = _kind(cell)
                if kind is not None and kinds.setdefault(key, kind) not in (kind, None):
                    return InputError(
                        f"{self.path}, line {number}, key '{key}': {_shown(json.dumps(cell).encode())} is {kind}, but"
                        f" {kinds[key]} in lines before. Write one kind of value under each key."
                    )
        return InputError(f"{self.path}, from line {first} on: not JSON lines: {error}")


def _kind(cell: Any) -> str | None:
    if isinstance(cell, list):
        return "a list"
    if isinstance(cell, dict):
        return "an object"
    if isinstance(cell, bool):
        return "true or false"
    return None if cell is None else "a text or number"


def _kind_of_type(dtype: pl.DataType) -> str | None:
    if isinstance(dtype, pl.List):
        return "a list"
    if isinstance(dtype, pl.Struct):
        return "an object"
    if dtype == pl.Boolean:
        return "true or false"
    return None if dtype == pl.Null else "a text or number"


def _shown(line: bytes) -> str:
    text = line[:60].decode("utf-8", "replace")
    return repr(text if len(line) <= 60 else text + "...")
