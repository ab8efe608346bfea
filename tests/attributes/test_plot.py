import io

import numpy as np
import polars as pl
import pytest
from matplotlib import rc_context
from matplotlib.figure import Figure

from weakcl_pipeline.attributes.clustering import ClusteringConfig
from weakcl_pipeline.attributes.plot import as_written, plot_granularities
from weakcl_pipeline.attributes.report import assemble_report, describe_granularity


def test_a_label_with_dollars_is_no_formula():
    label = pl.Series(["a", "b"] * 4)
    figures = describe_granularity(
        np.arange(8) // 2, {"preis_$_$": label}, batch_size=4, shuffles=2, rng=np.random.default_rng(0)
    )
    figures |= {"partner_share_cluster_aware": 1.0, "bits_learned": 1.0}
    report = assemble_report({2: figures}, ClusteringConfig(granularities=(2,)), 2, batch_size=4)
    drawn = io.StringIO()
    with rc_context({"svg.fonttype": "none"}):  # texts as texts
        plot_granularities(report).savefig(drawn, format="svg")
    assert "Information (T = preis_$_$)" in drawn.getvalue()


@pytest.mark.parametrize("name", ["plain", "5 $", "$x_$", r"a\$b$", r"\$x\$"])
def test_matplotlib_writes_a_name_as_it_is(name):
    text = Figure().text(0, 0, as_written(name))
    assert text._preprocess_math(text.get_text()) == (name, False)
