"""Multinomial logistic regression for a whole path of regularisation strengths.

Why not scikit-learn's: evaluating a method fits some fifty such regressions, and nearly all of the time goes into two
matrix products an iteration. Here a path of strengths takes fewer and cheaper ones:

- Features are rotated to their principal axes, in which the curvature of each axis and class is known well enough to
  start from: its variance times the mean of p (1 - p), plus the penalty.
- L-BFGS keeps its pairs from strength to strength, for the penalty's share of a pair is known. Forgetting them nearly
  doubled the iterations (38 to 71, and 47 to 86, of 20 strengths on two tasks). Each is written once, into a slot.
- Logits are updated by the step times the product of a direction, so that a shorter step costs no further product.
- Many samples are multiplied in bfloat16 where the hardware does so. Along the principal axes rounding is small beside
  the spread of each axis; as it is the step that is rounded, not the weights, errors do not add up: the loss stays
  within 1e-4 of the minimum where the regularisation is not very weak (C up to 1, say).

docs/benchmarks.md has the times.
"""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from weakcl_pipeline.contrastive.device import keep_freed_memory
from weakcl_pipeline.hardware import computes_bf16

logger = logging.getLogger(__name__)

_RANK_TOLERANCE = 1e-10  # share of the largest eigenvalue below which a direction is empty; they are in float64
_HISTORY = 20  # pairs of L-BFGS
_FLAT = 0.2  # a search along a line ends where no more than this share of its slope is left
_TRIALS = 20  # steps at most of such a search
_CAUTION = 4  # a fit ends where its estimate of twice what is left is this many times less than the tolerance
_COARSE = 1e-5  # nats of tolerance from which on errors of bfloat16 do not matter, given
_MANY = 1000  # samples or more


@dataclass(frozen=True)
class SoftmaxRegression:
    """A fitted classifier.

    Attributes:
        cost: The inverse regularisation strength C that it was fitted with.
        weight: float32 (D, K).
        bias: float32 (K,).
        loss: The minimised function's value, in nats.
        converged: Whether the loss had stopped falling before the last iteration allowed.
    """

    cost: float
    weight: Tensor
    bias: Tensor
    loss: float
    converged: bool

    def scores(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Compute unnormalised log-probabilities, float32 (N, K), of features, float32 (N, D)."""
        scores: npt.NDArray[np.float32] = torch.addmm(self.bias, torch.from_numpy(features), self.weight).numpy()
        return scores


def fit_path(
    features: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
    classes: int,
    costs: Sequence[float],
    *,
    tolerance: float = 1e-4,
    max_iterations: int = 200,
) -> list[SoftmaxRegression]:
    """Minimise ``mean_i CE(x_i W + b, y_i) + |W|^2 / (2 C N)`` for each C, each fit starting where the last ended.

    This is scikit-learn's ``LogisticRegression(C)`` divided by C N; with two classes its C is twice ours, for it then
    has one vector where there are two here. The bias is not penalised.

    Args:
        features: float32 (N, D), standardised: the mean of each column should be about 0.
        labels: Class of each sample, int64 (N,), in [0, classes); every class occurs.
        classes: Number of classes K.
        costs: The values of C, fitted in increasing order, in which each is a good start for the next.
        tolerance: A fit ends when no more than this many nats are left to gain, by an estimate.
        max_iterations: A fit ends after so many iterations in any case.

    Returns:
        A classifier per cost, in increasing order of C.
    """
    keep_freed_memory()
    x, y = torch.from_numpy(np.ascontiguousarray(features)), torch.from_numpy(labels)
    rotation, variance = _principal_axes(x)
    coarse = tolerance >= _COARSE and len(y) >= _MANY and computes_bf16(x.device)
    search = _Search(x @ rotation, y, classes, variance, torch.bfloat16 if coarse else torch.float32)
    fits = []
    for cost in sorted(costs):
        loss, converged = search.minimise(1 / (cost * len(y)), tolerance, max_iterations)
        weight, bias = search.solution[:-1], search.solution[-1]
        fits.append(SoftmaxRegression(cost, rotation @ weight, bias, loss, converged))
    _log_unconverged(fits, max_iterations)
    return fits


def _principal_axes(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return an orthonormal basis of the rows' space, float32 (D, R), and the mean square along each axis, (R,).

    A ridge solution lies in that space, so nothing is lost where R < D, as with few samples.
    """
    moments = (x.T @ x).double() / len(x)
    values, vectors = torch.linalg.eigh(moments)
    present = values > max(_RANK_TOLERANCE * float(values[-1]), torch.finfo(torch.float64).tiny)
    return vectors[:, present].float(), values[present].float()


class _Search:
    """L-BFGS on the penalised cross-entropy, going on from strength to strength.

    Args:
        x: float32 (N, R), along principal axes.
        y: int64 (N,).
        classes: Number of classes K.
        variance: Mean square of each column of x, float32 (R,).
        dtype: What matrix products with x multiply in; they add up in float32.

    Attributes:
        solution: float32 (R + 1, K), the bias last.
    """

    def __init__(self, x: Tensor, y: Tensor, classes: int, variance: Tensor, dtype: torch.dtype) -> None:
        one = torch.ones(1)
        self._x = torch.cat([x, one.expand(len(x), 1)], dim=1).to(dtype)
        self._transposed = self._x.T if dtype == torch.float32 else self._x.T.contiguous()  # bfloat16's fast layout
        self._variance = torch.cat([variance, one]).unsqueeze(1)
        self._y, self._rows = y, torch.arange(len(y))
        bias = torch.bincount(y, minlength=classes).div(len(y)).log()
        self.solution = torch.cat([torch.zeros(len(variance), classes), bias[None]])
        self._pairs = _Pairs(self.solution)
        self._logits = bias.expand(len(y), classes)
        self._excess = self._excess_of(self._logits)
        self._gradient = self._gradient_of(self._excess)

    def minimise(self, penalty: float, tolerance: float, max_iterations: int) -> tuple[float, bool]:
        """Move the solution to the minimum for a penalty; return the loss there and whether it has been reached."""
        penalties = torch.full_like(self._variance, penalty)
        penalties[-1] = 0
        scale = 1 / (self._variance * self._spread() + penalties)
        self._pairs.penalise(penalties)
        converged = False
        for _ in range(max_iterations):
            gradient = self._gradient + penalties * self.solution
            direction = -self._pairs.solve(gradient, scale)
            direction = direction.to(self._x.dtype).float()  # so that the logits stay those of the solution
            slope = float((gradient * direction).sum())
            converged = -slope < tolerance / _CAUTION
            if converged:
                break
            if not self._descend(direction, slope, penalties):
                converged = not self._pairs  # rounding is all that is left
                if converged:
                    break
                self._pairs.clear()
        entropy = F.cross_entropy(self._logits, self._y)
        return float(entropy + penalties.mul(self.solution.square()).sum() / 2), converged

    def _descend(self, direction: Tensor, slope: float, penalties: Tensor) -> bool:
        """Go along a direction until the loss, which is convex, is flat there; return whether that worked."""
        change = torch.mm(self._x, direction.to(self._x.dtype)).float()
        step, before, steepness = 1.0, 0.0, slope
        for _ in range(_TRIALS):
            solution = torch.add(self.solution, direction, alpha=step)
            logits = torch.add(self._logits, change, alpha=step)
            excess = self._excess_of(logits)
            steep = float(torch.dot(excess.flatten(), change.flatten())) / len(self._y)
            steep += float((penalties * solution * direction).sum())
            if abs(steep) <= _FLAT * -slope:
                gradient = self._gradient_of(excess)
                self._pairs.add(step * direction, gradient - self._gradient)
                self.solution, self._logits, self._excess, self._gradient = solution, logits, excess, gradient
                return True
            secant = step - steep * (step - before) / (steep - steepness or math.inf)
            step, before, steepness = min(max(secant, step / 4), 4 * step), step, steep
        return False

    def _excess_of(self, logits: Tensor) -> Tensor:
        """Return probabilities minus targets, float32 (N, K): the derivative of the cross-entropy's sum."""
        excess = logits.softmax(dim=1)
        excess[self._rows, self._y] -= 1
        return excess

    def _spread(self) -> Tensor:
        """Return the mean of p (1 - p) of each class, float32 (K,)."""
        distance = self._excess.abs()  # p, or 1 - p of the target
        return (distance - distance.square()).mean(dim=0).clamp_min_(torch.finfo(torch.float32).eps)

    def _gradient_of(self, excess: Tensor) -> Tensor:
        return torch.mm(self._transposed, excess.to(self._x.dtype)).float().div_(len(self._y))


class _Pairs:
    """Steps with the changes of the gradient, from which L-BFGS knows the curvature.

    Pairs lie in slots, the newest in that of the oldest, and the inner products of steps with changes are kept. So a
    pair is written once, and an iteration reads each a few times: copying them in their order took longer than the
    products with samples, where these are few.

    Args:
        like: A step, float32 (R + 1, K).
    """

    def __init__(self, like: Tensor) -> None:
        self._steps = like.new_empty(_HISTORY, like.numel())
        self._changes = torch.empty_like(self._steps)  # with the penalty's share
        self._products = torch.empty(_HISTORY, _HISTORY, dtype=torch.float64)  # of the step in row i and change in j
        self._penalties = torch.zeros(len(like), 1)
        self._slots: list[int] = []  # from the oldest to the newest

    def __len__(self) -> int:
        return len(self._slots)

    def clear(self) -> None:
        """Forget all."""
        self._slots.clear()

    def penalise(self, penalties: Tensor) -> None:
        """Let changes have the share of other penalties, float32 (R + 1, 1)."""
        steps, changes = self._steps[: len(self)], self._changes[: len(self)]
        more = (penalties - self._penalties).expand(-1, steps.shape[1] // len(penalties)).flatten()
        changes.addcmul_(steps, more)
        self._products[: len(self), : len(self)] = (steps @ changes.T).double()
        self._penalties = penalties

    def add(self, step: Tensor, change: Tensor) -> None:
        """Remember a step, float32 (R + 1, K), and the change of the gradient without the penalty's, likewise."""
        if float((step * change).sum()) <= 0:  # which only rounding does to a convex function
            return
        slot = len(self) if len(self) < _HISTORY else self._slots.pop(0)
        self._slots.append(slot)
        self._steps[slot] = step.flatten()
        self._changes[slot] = torch.addcmul(change, self._penalties, step).flatten()
        self._products[: len(self), slot] = (self._steps[: len(self)] @ self._changes[slot]).double()

    def solve(self, gradient: Tensor, scale: Tensor) -> Tensor:
        """Return the inverse Hessian, which is scale, float32 (R + 1, K), where nothing is known, times the gradient.

        The two loops of L-BFGS as matrix products (Byrd, Nocedal and Schnabel 1994, theorem 2.2).
        """
        if not self:
            return scale * gradient
        steps, changes, slots = self._steps[: len(self)], self._changes[: len(self)], torch.tensor(self._slots)
        upper = self._products[slots][:, slots].triu()
        along = (steps @ gradient.flatten()).double()[slots, None]
        inner = torch.linalg.solve_triangular(upper, along, upper=True)
        rest = scale * (gradient - (_in_slots(inner, slots) @ changes).view_as(gradient))
        outer = upper.diagonal()[:, None] * inner - (changes @ rest.flatten()).double()[slots, None]
        outer = torch.linalg.solve_triangular(upper.T, outer, upper=False)
        product: Tensor = rest + (_in_slots(outer, slots) @ steps).view_as(gradient)
        return product


def _in_slots(column: Tensor, slots: Tensor) -> Tensor:
    """Return numbers (m, 1) of pairs, from the oldest to the newest, in the order of their slots, float32 (m,)."""
    return torch.empty(len(slots)).index_copy_(0, slots, column[:, 0].float())


def _log_unconverged(fits: Sequence[SoftmaxRegression], max_iterations: int) -> None:
    slow = [f"{fit.cost:g}" for fit in fits if not (fit.converged and math.isfinite(fit.loss))]
    if slow:
        message = "softmax regression: no convergence in %d iterations at C = %s; raise max_iterations"
        logger.warning(message, max_iterations, ", ".join(slow))
