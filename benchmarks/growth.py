"""How the time of each step grows with samples, batch, picture size, k and number of attributes.

A step runs at doubling sizes, of each the fastest of several runs, and the exponent is fitted to the upper half in
log-log. It is set beside the exponent of the step's algorithm; sorting and hashing, whose tables leave the cache as
samples get many, count as linear. Time is that of the processor in one thread: what threads cost to start would hide
growth at small sizes, and others on the machine disturb it less.

Run: python benchmarks/growth.py [--doublings 4] [--seconds 0.2] [--figure docs/images/growth.png]
"""

import argparse
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from threadpoolctl import threadpool_limits

from measured import machine
from weakcl_pipeline.attributes import AttributeKind, AttributeSpec
from weakcl_pipeline.attributes.affinity import Affinity
from weakcl_pipeline.attributes.granularity import bits_learned
from weakcl_pipeline.attributes.kmeans import kmeans
from weakcl_pipeline.attributes.measures import mutual_information
from weakcl_pipeline.attributes.rules import (
    FittingData,
    Given,
    HierarchyLevel,
    MergeSmall,
    MixedKMeans,
    Rule,
    TopEntropy,
    Vectors,
)
from weakcl_pipeline.contrastive.objectives.affinity import AffinityInfoNCE
from weakcl_pipeline.contrastive.objectives.cl_infonce import ClInfoNCE
from weakcl_pipeline.contrastive.sampler import SamplerConfig, draw_batches, has_partner
from weakcl_pipeline.evaluation.knn import nearest
from weakcl_pipeline.evaluation.softmax_regression import fit_path
from weakcl_pipeline.images.augment import Augmentation, AugmentationConfig

RUNS = 5
DIM = 128

Work = Callable[[], object]


@dataclass(frozen=True)
class Step:
    """A step, and what its time is measured against.

    Attributes:
        name: Of the step.
        against: What grows.
        smallest: Where it starts.
        expected: The exponent of its algorithm.
        prepare: Makes the work at a size.
    """

    name: str
    against: str
    smallest: int
    expected: int
    prepare: Callable[[int], Work]


@dataclass(frozen=True)
class Growth:
    """What was measured of a step: seconds at each size."""

    step: Step
    sizes: list[int]
    seconds: list[float]

    @property
    def exponent(self) -> float:
        """The slope in log-log of the upper half."""
        half = min(len(self.sizes) // 2, len(self.sizes) - 2)
        return float(np.polyfit(np.log(self.sizes[half:]), np.log(self.seconds[half:]), 1)[0])


def measure(step: Step, doublings: int, seconds: float) -> Growth:
    """Run a step at sizes that double, each at least `RUNS` times and for at least some seconds."""
    sizes = [step.smallest * 2**power for power in range(doublings + 1)]
    fastest = []
    for size in sizes:
        work = step.prepare(size)
        work()
        taken: list[float] = []
        while len(taken) < RUNS or sum(taken) < seconds:
            started = time.process_time()
            work()
            taken.append(time.process_time() - started)
        fastest.append(min(taken))
    return Growth(step, sizes, fastest)


def views(batch: int, side: int) -> Work:
    """Two augmented views of each picture."""
    pictures = torch.rand(2 * batch, 3, side, side).mul_(255).to(torch.uint8)
    augmentation, generator = Augmentation(AugmentationConfig()), torch.Generator().manual_seed(0)
    return lambda: augmentation(pictures, generator)


def batches(samples: int) -> Work:
    """The batches of an epoch, of which clusters of ten are told."""
    clusters = np.random.default_rng(0).integers(samples // 10, size=samples)
    return lambda: draw_batches(clusters, 128, SamplerConfig(), np.random.default_rng(0))


def granularity(samples: int) -> Work:
    """What anchors learn in simulated batches, by which a granularity is chosen."""
    clusters = np.random.default_rng(0).integers(samples // 10, size=samples)
    draw = batches(samples)
    return lambda: bits_learned(clusters, has_partner(draw(), clusters))  # type: ignore[arg-type]


def loss(anchors: int) -> Work:
    """Forward and backward pass of the loss."""
    z = F.normalize(torch.randn(anchors, DIM), dim=1).requires_grad_()
    clusters = (torch.arange(anchors // 2) // 10).repeat(2)
    objective = ClInfoNCE()
    return lambda: torch.autograd.grad(objective(z, clusters), z)


def flags(rows: int, attributes: int) -> FittingData:
    """Binary attributes."""
    generator = np.random.default_rng(0)
    kinds = generator.integers(64, size=rows)
    shares = generator.beta(0.3, 0.7, size=(64, attributes))
    table = pl.DataFrame(
        {f"a{i}": generator.random(rows, dtype=np.float32) < shares[kinds, i] for i in range(attributes)}
    )
    specs = dict.fromkeys(table.columns, AttributeSpec(kind=AttributeKind.BOOL))
    return FittingData(table, specs, np.arange(rows) % 10 < 7)


def column(values: pl.Series, kind: AttributeKind) -> FittingData:
    """One attribute, named ``column``, that says nothing beside what a rule takes from it."""
    table = pl.DataFrame({"column": values})
    spec = AttributeSpec(kind=kind, min_count=len(values))
    return FittingData(table, {"column": spec}, np.arange(len(values)) % 10 < 7)


def clustered(rule: Rule, data: FittingData, k: int) -> Work:
    """Fit a rule, and assign clusters to its rows."""
    return lambda: rule.fit(data, [k]).assign(data.attributes)


def given(rows: int) -> Work:
    """As many values as rows by ten."""
    values = np.random.default_rng(0).integers(rows // 10, size=rows)
    return clustered(Given(column="column"), column(pl.Series(values).cast(pl.String), AttributeKind.CATEGORICAL), 1)


def paths(rows: int) -> Work:
    """Paths of three nodes."""
    nodes = np.random.default_rng(0).integers(8, size=(rows, 3)).astype(str)
    return clustered(HierarchyLevel(), column(pl.Series(nodes.tolist()), AttributeKind.HIERARCHY), 2)


def vectors(rows: int) -> Work:
    """Vectors that came with the samples."""
    points = np.random.default_rng(0).normal(size=(rows, 32)).astype(np.float32)
    return clustered(Vectors(starts=1), column(pl.Series(points), AttributeKind.VECTOR), 20)


def mixed(rows: int) -> Work:
    """K-means of attributes with as many iterations at every size: of one round, as none is missing."""
    return clustered(MixedKMeans(starts=1), flags(rows, 20), 20)


def merged(clusters: int) -> Work:
    """Clusters of four, merged until they have ten."""
    rows = 4 * clusters
    data = flags(rows, 20)
    names = pl.Series("given", np.arange(rows) % clusters).cast(pl.String)
    specs = {**data.specs, "given": AttributeSpec(kind=AttributeKind.CATEGORICAL, min_count=rows)}
    whole = FittingData(data.attributes.with_columns(names), specs, np.ones(rows, dtype=np.bool_))  # type: ignore[attr-defined]
    return clustered(MergeSmall(of=Given(column="given"), min_size=10), whole, 1)


def affinity(samples: int, attributes: int) -> Work:
    """What affinities are computed from."""
    data = flags(samples, attributes)
    return lambda: Affinity(data.attributes, data.specs)  # type: ignore[arg-type]


def affinity_loss(anchors: int, attributes: int) -> Work:
    """Forward and backward pass of the loss whose positives are weighted by affinity."""
    data = flags(anchors // 2, attributes)
    similar, objective = Affinity(data.attributes, data.specs), AffinityInfoNCE()  # type: ignore[arg-type]
    samples = torch.arange(anchors // 2)
    z = F.normalize(torch.randn(anchors, DIM), dim=1).requires_grad_()
    return lambda: torch.autograd.grad(objective(z, samples, similar), z)


def lloyd(points: int, k: int) -> Work:
    """K-means of embeddings."""
    embeddings = np.random.default_rng(0).normal(size=(points, 64)).astype(np.float32)
    return lambda: kmeans(embeddings, k, spherical=True, iterations=10, seed=0)


def neighbours(samples: int) -> Work:
    """The nearest of all samples for a thousand."""
    features = np.random.default_rng(0).normal(size=(samples, DIM)).astype(np.float32)
    return lambda: nearest(features[:1000], features, 50)


def probe(samples: int) -> Work:
    """Linear probes of three strengths."""
    generator = np.random.default_rng(0)
    labels = np.arange(samples) % 20
    features = (generator.normal(size=(20, DIM))[labels] / 4 + generator.normal(size=(samples, DIM))).astype(np.float32)
    return lambda: fit_path(features, labels, 20, (0.001, 0.01, 0.1))


def information(samples: int) -> Work:
    """Mutual information of clusters of ten and a hundred classes."""
    generator = np.random.default_rng(0)
    clusters, classes = generator.integers(samples // 10, size=samples), generator.integers(100, size=samples)
    return lambda: mutual_information(clusters, classes)


STEPS = [
    Step("two views", "batch", 32, 1, lambda n: views(n, 64)),
    Step("two views", "side of pictures", 16, 2, lambda n: views(64, n)),
    Step("batches of an epoch", "samples", 20_000, 1, batches),
    Step("choice of granularity", "samples", 20_000, 1, granularity),
    Step("loss", "anchors", 512, 2, loss),
    Step("affinity loss", "anchors", 512, 2, lambda n: affinity_loss(n, 20)),
    Step("affinity loss", "attributes", 64, 1, lambda n: affinity_loss(1024, n)),
    Step("affinities prepared", "samples", 10_000, 1, lambda n: affinity(n, 20)),
    Step("affinities prepared", "attributes", 8, 1, lambda n: affinity(20_000, n)),
    Step("top_entropy", "rows", 100_000, 1, lambda n: clustered(TopEntropy(), flags(n, 20), 10)),
    Step("top_entropy", "k", 8, 1, lambda n: clustered(TopEntropy(), flags(200_000, 128), n)),
    Step("top_entropy", "attributes", 32, 1, lambda n: clustered(TopEntropy(), flags(100_000, n), 10)),
    Step("given", "rows", 20_000, 1, given),
    Step("hierarchy_level", "rows", 20_000, 1, paths),
    Step("vectors", "rows", 5_000, 1, vectors),
    Step("mixed_k_means", "rows", 5_000, 1, mixed),
    Step("merge_small", "clusters", 250, 2, merged),
    Step("k-means", "samples", 5_000, 1, lambda n: lloyd(n, 100)),
    Step("k-means", "k", 50, 1, lambda n: lloyd(20_000, n)),
    Step("k-NN", "samples", 5_000, 1, neighbours),
    Step("linear probe", "samples", 2_000, 1, probe),
    Step("information", "samples", 50_000, 1, information),
]


def draw(found: list[Growth]) -> Figure:
    """Draw time against size for each step, with the slope of its algorithm."""
    columns = 6
    figure = Figure(figsize=(15, 2.6 * math.ceil(len(found) / columns)), layout="constrained")
    places = figure.subplots(math.ceil(len(found) / columns), columns, squeeze=False).ravel()
    for axes in places[len(found) :]:
        axes.set_axis_off()
    for growth, axes in zip(found, places, strict=False):
        step, sizes, seconds = growth.step, np.array(growth.sizes), growth.seconds
        axes.loglog(sizes, seconds[-1] * (sizes / sizes[-1]) ** step.expected, "--", color="#999999")
        axes.loglog(sizes, seconds, "o-", color="#0072B2", markersize=4)
        axes.set_title(f"{step.name}\nexponent {growth.exponent:.2f}, algorithm {step.expected}", fontsize=10)
        axes.set_xlabel(step.against, fontsize=9)
        axes.set_ylabel("s", fontsize=9)
        axes.set_xticks(sizes, [short(size) for size in growth.sizes], fontsize=8)
        axes.tick_params(axis="y", labelsize=8)
        axes.minorticks_off()
        axes.grid(visible=True, alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def short(size: int) -> str:
    """Write thousands as k."""
    return f"{size // 1000}k" if size >= 10_000 else str(size)


def main() -> None:
    """Measure, print a table, and draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--doublings", type=int, default=4, help="of the smallest size")
    parser.add_argument("--seconds", type=float, default=0.2, help="that a size is run for at least")
    parser.add_argument("--only", default="", help="steps whose name holds this")
    parser.add_argument("--figure", type=Path, help="where to draw")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    threadpool_limits(1)  # those of scikit-learn
    print(machine())
    print("| step | against | sizes | time | exponent | of the algorithm |\n| --- | --- | --- | --- | ---: | ---: |")
    found = []
    for step in STEPS:
        if arguments.only not in step.name:
            continue
        growth = measure(step, arguments.doublings, arguments.seconds)
        sizes = f"{growth.sizes[0]:,} - {growth.sizes[-1]:,}"
        times = f"{growth.seconds[0]:.2g} - {growth.seconds[-1]:.2g} s"
        print(
            f"| {step.name} | {step.against} | {sizes} | {times} | {growth.exponent:.2f} | {step.expected} |",
            flush=True,
        )
        found.append(growth)
    if arguments.figure:
        draw(found).savefig(arguments.figure, dpi=80)


if __name__ == "__main__":
    main()
