"""Rules on binary attributes, as the tests of single rules use them."""

import numpy as np
import polars as pl

from weakcl_pipeline.attributes import AttributeKind, AttributeSpec, FittingData


def fit_binary(rule, binary, train, granularities):
    """Fit a rule on bool columns."""
    specs = dict.fromkeys(binary.columns, AttributeSpec(kind=AttributeKind.BOOL))
    return rule.fit(FittingData(binary, specs, np.asarray(train)), granularities)


def cluster(rule, binary, train, granularities):
    """Fit a rule on bool columns, and cluster the same rows."""
    return fit_binary(rule, binary, train, granularities).assign(binary)


def everyone(table: pl.DataFrame):
    """All rows are of the train split."""
    return np.ones(table.height, dtype=bool)
