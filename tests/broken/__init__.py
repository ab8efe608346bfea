"""The ways in which tables and pictures are broken, one kind per file. docs/troubleshooting.md lists all of them.

To add a case, append it to its list and run `python docs/build_troubleshooting.py`.
"""

from tests.broken import archives, columns, new_data, official, parameters, pictures, results, splits, tables, urls
from tests.broken.case import Case

KINDS: dict[str, list[Case]] = {
    "Files of tables": tables.CASES,
    "Columns and cells": columns.CASES,
    "Splits and labels": splits.CASES,
    "Pictures": pictures.CASES,
    "Archives of pictures": archives.CASES,
    "URLs": urls.CASES,
    "The paper's data sets": official.CASES,
    "Parameters": parameters.CASES,
    "Earlier results": results.CASES,
    "A new environment by `kedro weakcl new-data`": new_data.CASES,
}
"""Heading -> cases."""
