"""The paper's cluster rule on a large table of binary attributes, against pandas.

The paper's code holds the finished clusters alone, and says of them that there is "a numeric id for each unique
attribute combination": the k columns of highest entropy, and `groupby(columns).ngroup()`, which the peer does. Both
sides get the table in memory in their own form, and give the clusters of all granularities. Time and peak memory beyond
the table are of processes of their own, one of each side after the other.

Run: python benchmarks/cluster_rule.py [--rows 10000000] [--rounds 3]
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version

import numpy as np

from measured import Rounds, machine, peak_memory, show

ATTRIBUTES, GRANULARITIES, SIDES = 40, (5, 10, 20), ("weakcl-pipeline", "pandas")

Table = dict[str, np.ndarray]


def table(rows: int) -> Table:
    """Return binary attributes that depend on each other, bool (rows,) each."""
    generator = np.random.default_rng(0)
    kind = generator.integers(64, size=rows)
    shares = generator.beta(0.3, 0.7, size=(64, ATTRIBUTES))
    return {f"a{i:02d}": generator.random(rows, dtype=np.float32) < shares[kind, i] for i in range(ATTRIBUTES)}


def ours(columns: Table, train: np.ndarray) -> Callable[[], np.ndarray]:
    """Return what clusters with this package; it gives the clusters at the finest granularity."""
    import polars as pl  # noqa: PLC0415 (neither side pays for the other's libraries)

    from weakcl_pipeline.attributes import AttributeKind, AttributeSpec  # noqa: PLC0415
    from weakcl_pipeline.attributes.rules import FittingData, TopEntropy  # noqa: PLC0415

    frame = pl.DataFrame(columns)
    columns.clear()
    specs = dict.fromkeys(frame.columns, AttributeSpec(kind=AttributeKind.BOOL))

    def run() -> np.ndarray:
        _, clusters = TopEntropy().fit_assign(FittingData(frame, specs, train), GRANULARITIES)
        return clusters[max(GRANULARITIES)]

    return run


def peer(columns: Table, train: np.ndarray) -> Callable[[], np.ndarray]:
    """Return what clusters with pandas; it gives the clusters at the finest granularity."""
    import pandas as pd  # noqa: PLC0415

    frame = pd.DataFrame(columns)
    columns.clear()

    def run() -> np.ndarray:
        share = frame[train].mean()
        bits = -(share * np.log2(share) + (1 - share) * np.log2(1 - share))
        order = bits.sort_values(ascending=False).index.tolist()
        clusters = {k: frame.groupby(order[:k], sort=False).ngroup() for k in GRANULARITIES}
        return clusters[max(GRANULARITIES)].to_numpy()

    return run


def side(name: str, rows: int) -> dict[str, float]:
    """Measure one side in this process."""
    columns = table(rows)
    run = (ours if name == SIDES[0] else peer)(columns, np.arange(rows) % 10 < 7)
    clusters: list[np.ndarray] = []
    taken: list[float] = []

    def timed() -> None:
        started = time.perf_counter()
        clusters.append(run())
        taken.append(time.perf_counter() - started)

    memory = peak_memory(timed)
    return {"clusters": len(np.unique(clusters[0])), "seconds": taken[0], "memory": memory}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each side")
    parser.add_argument("--side", choices=SIDES, help="measure one side alone, and print JSON")
    arguments = parser.parse_args()
    if arguments.side:
        print(json.dumps(side(arguments.side, arguments.rows)))
        return
    print(machine(polars=version("polars"), pandas=version("pandas")))
    print(f"{arguments.rows:,} rows, {ATTRIBUTES} binary attributes, k = {', '.join(map(str, GRANULARITIES))}")
    found: dict[str, list[dict[str, float]]] = {name: [] for name in SIDES}
    for _ in range(arguments.rounds):
        for name in SIDES:
            words = [sys.executable, __file__, "--side", name, "--rows", str(arguments.rows)]
            found[name].append(json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout))
    if len({run["clusters"] for runs in found.values() for run in runs}) > 1:
        raise ValueError(f"the sides come to different clusters: {found}")
    for measure, unit, form in (("seconds", "s", ".1f"), ("memory", "MB of peak memory", ",.0f")):
        rounds: Rounds = {name: [run[measure] for run in runs] for name, runs in found.items()}
        show(rounds, SIDES[0], unit=unit, form=form)


if __name__ == "__main__":
    main()
