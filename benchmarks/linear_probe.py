"""The linear probe over a path of regularisation strengths, against scikit-learn's LogisticRegression.

Both fit softmax regressions on the same standardised features, the largest C last, each starting where the last ended,
and are judged by their best accuracy on held-out samples. scikit-learn has its default solver and tolerance, and room
for as many iterations as it wants.

Run: python benchmarks/linear_probe.py [--samples 50000] [--dim 512] [--classes 100] [--costs 20] [--rounds 1]
"""

import argparse
from collections.abc import Callable

import numpy as np
import sklearn
from sklearn.linear_model import LogisticRegression

from measured import alternate, machine, seconds, show
from weakcl_pipeline.evaluation.softmax_regression import fit_path

OURS, PEER = "weakcl-pipeline", "scikit-learn"
ITERATIONS = 1000
HELD_OUT = 0.2

Accuracies = list[float]


class Task:
    """Features that tell their classes in part, as those of an encoder do."""

    def __init__(self, samples: int, dim: int, classes: int) -> None:
        generator = np.random.default_rng(0)
        self.classes = classes
        labels = np.concatenate([np.arange(classes), generator.integers(classes, size=samples - classes)])
        scales = 1 / np.sqrt(1 + np.arange(dim))  # few directions vary much, many little
        centres = generator.normal(size=(classes, dim)) * scales
        features = 0.12 * centres[labels] + generator.normal(size=(samples, dim)) * scales
        features = ((features - features.mean(axis=0)) / features.std(axis=0)).astype(np.float32)
        held_out = generator.random(samples) < HELD_OUT
        held_out[:classes] = False
        self.train, self.labels = features[~held_out], labels[~held_out]
        self.test, self.test_labels = features[held_out], labels[held_out]

    def accuracy(self, scores: np.ndarray) -> float:
        """Return the share of held-out samples whose class has the highest score."""
        return float((scores.argmax(axis=1) == self.test_labels).mean())


def ours(task: Task, costs: np.ndarray) -> Accuracies:
    """Fit the path of this package."""
    fits = fit_path(task.train, task.labels, task.classes, costs.tolist())
    return [task.accuracy(fit.scores(task.test)) for fit in fits]


def peer(task: Task, costs: np.ndarray) -> Accuracies:
    """Fit the path of scikit-learn."""
    model = LogisticRegression(max_iter=ITERATIONS, warm_start=True)
    return [
        task.accuracy(model.set_params(C=cost).fit(task.train, task.labels).decision_function(task.test))
        for cost in costs
    ]


SIDES: dict[str, Callable[[Task, np.ndarray], Accuracies]] = {OURS: ours, PEER: peer}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=50_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--classes", type=int, default=100)
    parser.add_argument("--costs", type=int, default=20, help="strengths of regularisation")
    parser.add_argument("--rounds", type=int, default=1, help="measurements of each side, beside one unmeasured")
    arguments = parser.parse_args()
    task = Task(arguments.samples, arguments.dim, arguments.classes)
    costs = np.logspace(-4, 0, arguments.costs)
    print(machine(**{"scikit-learn": sklearn.__version__}))
    print(f"{len(task.train):,} x {arguments.dim}, {arguments.classes} classes, {arguments.costs} strengths")
    found: dict[str, Accuracies] = {}

    def run(side: str) -> Callable[[], None]:
        return lambda: found.update({side: SIDES[side](task, costs)})

    show(alternate({side: seconds(run(side)) for side in SIDES}, arguments.rounds), OURS, unit="s", form=".1f")
    for side, accuracies in found.items():
        print(f"{side}: best accuracy {max(accuracies):.2%}, at C = {costs[int(np.argmax(accuracies))]:.2g}")


if __name__ == "__main__":
    main()
