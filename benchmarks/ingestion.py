"""What ingestion and clustering of a large table take, and what the same steps take in pandas.

Run ``python benchmarks/ingestion.py [rows] [--only=ours|pandas] [--narrow]``. A CSV of 40 mixed attributes is made
once (`wide_table`), or with ``--narrow`` a Parquet file of 12, for which there is ours alone. Each side goes from it to
Parquet and to clusters at all granularities in a process of its own, without pictures. Clusters must come out alike.
Peak memory is the largest resident set of the process in a step, with libraries and pages of mapped files. Choosing a
granularity by simulated batches, which has no counterpart in pandas, is a part of ours alone.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
from polars.testing import assert_frame_equal

from wide_table import ingestion, write_csv, write_parquet

GRANULARITIES = (5, 10, 20, 50)
NARROW_GRANULARITIES = (5, 10, 20, 30)
REJECTED = ["s000000003"]
SIDES = ("ours", "pandas")


def main(rows: int, sides: list[str], *, narrow: bool) -> None:
    """Make the table, run the sides, and compare what they made."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        folder = Path(name)
        table = folder / ("table.parquet" if narrow else "table.csv")
        (write_parquet if narrow else write_csv)(table, rows)
        print(f"{rows:,} rows, {table.stat().st_size / 1e9:.2f} GB of {table.suffix[1:]}", flush=True)
        for side in sides:
            (folder / side).mkdir()
            subprocess.run([sys.executable, __file__, f"--side={side}", str(rows), str(table)], check=True, cwd=folder)
        if len(sides) == len(SIDES):
            first, second = (pl.read_parquet(folder / side / "clusters.parquet") for side in sides)
            assert_frame_equal(first.select(second.columns), second)
            print("clusters are alike")


def run(side: str, rows: int, table: Path) -> None:
    """Run one side and print its steps."""
    begun = last = time.perf_counter()
    peaks = []

    def lap(step: str) -> None:
        nonlocal last
        now = time.perf_counter()
        peaks.append(peak())
        print(f"{side:>7}  {step:<24}{now - last:8.1f} s  {peaks[-1]:8.2f} GB", flush=True)
        last = now

    (in_pandas if side == "pandas" else ours)(rows, table, table.parent / side, lap)
    from measured import machine  # noqa: PLC0415 (imports torch, which pandas does without)

    print(f"{side:>7}  {'total':<24}{last - begun:8.1f} s  {max(peaks):8.2f} GB; {machine()}", flush=True)


def peak() -> float:
    """Return this process's largest resident set since the last call, in GB; ru_maxrss would count its parent's."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # begins anew
    return next(int(line.split()[1]) * 1024 / 1e9 for line in lines if line.startswith("VmHWM"))


def ours(rows: int, table: Path, folder: Path, lap: Callable[[str], None]) -> None:
    """Go through the nodes, and save and load their results as the catalog does."""
    from weakcl_pipeline.attributes.clustering import ClusteringConfig  # noqa: PLC0415 (counted as a step)
    from weakcl_pipeline.contrastive.trainer import TrainingConfig  # noqa: PLC0415
    from weakcl_pipeline.datasets import LazyTableDataset, TableDataset, TensorsDataset  # noqa: PLC0415
    from weakcl_pipeline.pipelines.clustering.nodes import form_clusters  # noqa: PLC0415
    from weakcl_pipeline.pipelines.ingestion.nodes import accept_samples, type_samples  # noqa: PLC0415
    from weakcl_pipeline.sources import SOURCES  # noqa: PLC0415

    def lazy(name: str, **options: Any) -> LazyTableDataset:
        return LazyTableDataset(filepath=(folder / f"{name}.parquet").as_posix(), **options)

    def eager(name: str) -> TableDataset:
        return TableDataset(filepath=(folder / f"{name}.parquet").as_posix())

    narrow = table.suffix == ".parquet"
    config = ingestion(rows, narrow=narrow)
    lap("import")
    raw = SOURCES["table"].model_validate({"path": str(table)}).scan()
    typed, schema = type_samples(raw, config)
    lap("type and check")
    lazy("sample_table", compression="lz4").save(typed)
    del typed
    lap("write sample table")
    rejects = pl.DataFrame({"sample_id": REJECTED, "reason": ["no picture"]})
    samples, attributes, _, _ = accept_samples(lazy("sample_table").load(), rejects, schema, config)
    lap("accept")
    eager("samples").save(samples)
    lazy("attributes").save(attributes)
    lap("write attributes")
    granularities = NARROW_GRANULARITIES if narrow else GRANULARITIES
    clustering = ClusteringConfig(granularities=granularities)
    training = TrainingConfig(epochs=1, batch_size=256)
    attributes = lazy("attributes").load()
    binary, rule, clusters = form_clusters(attributes, schema, clustering, training, seed=0)
    lap("binarise, cluster")
    eager("binary").save(binary)
    TensorsDataset(filepath=(folder / "rule.safetensors").as_posix()).save(rule)
    eager("clusters").save(clusters)
    lap("write them")


def in_pandas(rows: int, table: Path, folder: Path, lap: Callable[[str], None]) -> None:
    """Go through the same steps in pandas."""
    from in_pandas import cluster, ingest  # noqa: PLC0415 (counted as a step)

    config = ingestion(rows)
    lap("import")
    ingest(table, folder, config, REJECTED, lap)
    cluster(folder, config, GRANULARITIES, lap)


if __name__ == "__main__":
    options = [argument for argument in sys.argv[1:] if argument.startswith("--")]
    values = [argument for argument in sys.argv[1:] if not argument.startswith("--")]
    chosen = {option.partition("=")[0]: option.partition("=")[2] for option in options}
    count = int(values[0]) if values else 1_000_000
    if "--side" in chosen:
        run(chosen["--side"], count, Path(values[1]))
    else:
        only = "ours" if "--narrow" in chosen else chosen.get("--only")
        main(count, list(SIDES) if only is None else [only], narrow="--narrow" in chosen)
