"""The loss, forward and backward: time and memory against the dense formula and two libraries, and its growth.

The peers are the dense formula of SupCon as papers write it, pytorch-metric-learning's SupConLoss, and, where each
picture stands for itself, lightly's NTXentLoss. All get the same L2-normalised embeddings in float32, two views of each
picture; pictures are in clusters of ten, or alone. Time alternates in one process; peak memory is what the resident set
of a process of its own grows by.

Run: python benchmarks/loss.py [--anchors 8192] [--rounds 5] [--largest 18]
"""

import argparse
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version

import torch
import torch.nn.functional as F
from lightly.loss import NTXentLoss
from pytorch_metric_learning.losses import SupConLoss
from torch import Tensor

from measured import alternate, machine, peak_memory, seconds, show
from weakcl_pipeline.contrastive.objectives.cl_infonce import ClInfoNCE, ClInfoNCEConfig

DIM, TEMPERATURE, IN_CLUSTER = 128, 0.1, 10
SMALLEST = 9

Loss = Callable[[Tensor, Tensor], Tensor]


def dense(z: Tensor, clusters: Tensor) -> Tensor:
    """Compute the loss from the whole matrix of similarities."""
    alone = torch.eye(len(z), dtype=torch.bool)
    similarities = (z @ z.T / TEMPERATURE).masked_fill(alone, -torch.inf)
    log_q = similarities - similarities.logsumexp(dim=1, keepdim=True)
    positive = (clusters[:, None] == clusters) & ~alone
    return -(torch.where(positive, log_q, 0).sum(dim=1) / positive.sum(dim=1)).mean()


def lightly(z: Tensor, clusters: Tensor) -> Tensor:
    """Compute lightly's loss of the two views of each picture, which knows no clusters."""
    return NTXentLoss(temperature=TEMPERATURE)(*z.chunk(2))


OURS = "weakcl-pipeline"
SIDES: dict[str, Loss] = {
    OURS: ClInfoNCE(ClInfoNCEConfig(temperature=TEMPERATURE)),
    "dense formula": dense,
    "pytorch-metric-learning": SupConLoss(temperature=TEMPERATURE),
    "lightly": lightly,
}
KNOW_NO_CLUSTERS = ("lightly",)


def task(side: str, anchors: int, in_cluster: int) -> Callable[[], float]:
    """Return forward and backward pass of a side, which give the loss."""
    generator = torch.Generator().manual_seed(0)
    z = F.normalize(torch.randn(anchors, DIM, generator=generator), dim=1).requires_grad_()
    clusters = (torch.arange(anchors // 2) // in_cluster).repeat(2)

    def run() -> float:
        z.grad = None
        loss = SIDES[side](z, clusters)
        loss.backward()
        return float(loss)

    return run


def memory(side: str, anchors: int, in_cluster: int) -> float:
    """Return the peak memory of a side in MB, measured in a process of its own."""
    words = [sys.executable, __file__, "--side", side, "--anchors", str(anchors), "--in-cluster", str(in_cluster)]
    return float(subprocess.run(words, check=True, capture_output=True, text=True).stdout)


def compare(anchors: int, in_cluster: int, rounds: int) -> None:
    """Measure all sides that can do it, after a check that they agree."""
    sides = [side for side in SIDES if in_cluster == 1 or side not in KNOW_NO_CLUSTERS]
    tasks = {side: task(side, anchors, in_cluster) for side in sides}
    losses = {side: run() for side, run in tasks.items()}
    if max(losses.values()) - min(losses.values()) > 1e-3:
        raise ValueError(f"the losses differ: {losses}")
    print(f"\n{anchors:,} anchors, clusters of {in_cluster}: forward + backward", flush=True)
    show(alternate({side: seconds(run) for side, run in tasks.items()}, rounds), OURS, unit="s")
    show({side: [memory(side, anchors, in_cluster)] for side in sides}, OURS, unit="MB of peak memory", form=",.0f")


def growth(largest: int) -> None:
    """Measure ours at more and more anchors."""
    print("\nanchors, seconds, MB of peak memory")
    for power in range(SMALLEST, largest + 1):
        anchors = 2**power
        print(
            f"2^{power}  {seconds(task(OURS, anchors, IN_CLUSTER))():9.3f}  {memory(OURS, anchors, IN_CLUSTER):8,.0f}"
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--anchors", type=int, default=8192, help="views in the batch")
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each side")
    parser.add_argument("--largest", type=int, default=18, help="two to the power of this is the largest batch of ours")
    parser.add_argument("--side", choices=SIDES, help="print the peak memory of one side alone")
    parser.add_argument("--in-cluster", type=int, default=IN_CLUSTER, help="pictures in a cluster, with --side")
    arguments = parser.parse_args()
    if arguments.side:
        task(arguments.side, 64, 1)()  # loads what loads late
        print(peak_memory(task(arguments.side, arguments.anchors, arguments.in_cluster)))
        return
    peers = {name: version(name) for name in ("lightly", "pytorch-metric-learning")}
    print(machine(**peers))
    for in_cluster in (IN_CLUSTER, 1):
        compare(arguments.anchors, in_cluster, arguments.rounds)
    growth(arguments.largest)


if __name__ == "__main__":
    main()
