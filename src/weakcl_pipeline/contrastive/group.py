"""The workers that compute together: which part of the work is whose, and what they tell each other."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import Annotated, Any, Literal, Self, TypeVar

import torch
import torch.distributed as dist
from pydantic import Field, model_validator
from torch import Tensor

from weakcl_pipeline.config import Config

T = TypeVar("T")

_PATIENCE = timedelta(days=7)


class LauncherConfig(Config):
    """In how many processes encoders are trained, embed and are evaluated; each process computes a part.

    Attributes:
        kind: ``inline`` computes in the process that runs the node, ``torchrun`` starts workers through
            torch.distributed's elastic launcher, ``ray`` on a Ray cluster.
        workers: How many on each machine, or on the whole Ray cluster; ``auto`` is one for each GPU, or one where there
            is none. ``inline`` is always one.
        restarts: How often the workers are started again, from the last checkpoint, after one has died.
        machines: How many machines train together: the one that runs the node, and those that join it
            (`kedro weakcl join`).
        rendezvous: Where several machines meet: a name and a port of the one that runs the node, as in ``gpu1:29400``.
        address: The Ray cluster: a name and a port of its head, as in ``gpu1:6379``, or ``auto`` for the one that this
            machine belongs to. None starts one on this machine, for as long as the work takes.
    """

    kind: Literal["inline", "torchrun", "ray"] = "inline"
    workers: Literal["auto"] | Annotated[int, Field(ge=1)] = "auto"
    restarts: int = Field(default=1, ge=0)
    machines: int = Field(default=1, ge=1)
    rendezvous: str | None = Field(default=None, pattern=r"^[^:\s]+:\d+$")
    address: str | None = Field(default=None, pattern=r"^(auto|[^:\s]+:\d+)$")

    @model_validator(mode="after")
    def _fields_are_those_of_the_kind(self) -> Self:
        if self.kind == "ray" and (self.machines > 1 or self.rendezvous is not None):
            raise ValueError("machines and rendezvous belong to kind: torchrun; with kind: ray, the cluster has them")
        if self.kind != "ray" and self.address is not None:
            raise ValueError(f"address belongs to kind: ray, not to kind: {self.kind}")
        return self

    @property
    def here(self) -> Self:
        """The same workers, those of this machine alone."""
        return self.model_copy(update={"machines": 1, "rendezvous": None})

    @model_validator(mode="after")
    def _machines_can_meet(self) -> Self:
        if self.machines > 1 and (self.kind == "inline" or self.rendezvous is None):
            raise ValueError("several machines need kind: torchrun, and a rendezvous, the HOST:PORT where they meet")
        return self


@dataclass(frozen=True)
class Group:
    """Workers that compute a part each: of a batch, whose embeddings all of them see, of points, or of calls.

    Every worker calls the same methods in the same order. One that is alone is told what it says.

    Attributes:
        rank: This worker's number, from 0.
        size: How many workers there are.
    """

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is the worker that writes checkpoints and tells the user how far things are."""
        return self.rank == 0

    def part(self, count: int) -> slice:
        """Return which of so many things are this worker's; the parts differ in size by one at most."""
        return self.parts(count)[self.rank]

    def parts(self, count: int) -> list[slice]:
        """Return :meth:`part` of each worker."""
        bounds = [count * rank // self.size for rank in range(self.size + 1)]
        return [slice(start, stop) for start, stop in pairwise(bounds)]

    def count(self, count: int) -> int:
        """Return how many of so many things are this worker's."""
        part = self.part(count)
        return int(part.stop - part.start)

    def most(self, count: int) -> int:
        """Return how many of so many things are at most one worker's."""
        return -(-count // self.size)

    def fewest(self, count: int) -> int:
        """Return how many of so many things are at least one worker's."""
        return count // self.size

    def gather(self, own: Tensor, count: int) -> Tensor:
        """Put the parts of all workers together, so that gradients flow back into each worker's own.

        Args:
            own: (V b, ...): V views of the worker's b of the samples, one view of all of them after the other.
            count: B, the samples of all workers.

        Returns:
            (V B, ...), ordered likewise. What each worker computes from it, it has to compute from all of it: the
            gradients that the others have for this worker's part are not asked for, as they would be its own.
        """
        if self.size == 1:
            return own
        views = own.view(-1, self.count(count), *own.shape[1:])
        gathered: Tensor = _Gather.apply(views, self, count)
        return gathered.flatten(0, 1)

    def collect(self, own: Tensor, counts: Sequence[int]) -> Tensor:
        """Put the rows of all workers together on the one that leads; the others keep their own.

        Args:
            own: (b, ...): on the CPU.
            counts: b of each worker, which may differ at will.

        Returns:
            (B, ...): those of the first worker, then those of the second, and so on.
        """
        if not self.leads:
            dist.send(own, dst=0)
            return own
        if self.size == 1:
            return own
        whole = own.new_empty(sum(counts), *own.shape[1:])
        for rank, rows in enumerate(torch.split(whole, list(counts))):
            if rank:
                dist.recv(rows, src=rank)
            else:
                rows.copy_(own)
        return whole

    def sum(self, own: Tensor) -> Tensor:
        """Return the sum of what the workers have; its gradient goes to all of them."""
        summed: Tensor = own if self.size == 1 else _Sum.apply(own)
        return summed

    def each(self, calls: Sequence[Callable[[], T]]) -> list[T]:
        """Have each call made by one of the workers, in turns; return what all of them returned, in their order."""
        if self.size == 1:
            return [call() for call in calls]
        patient = dist.new_group(backend="gloo", timeout=_PATIENCE)  # one worker's calls may take far longer
        own = [call() for call in calls[self.rank :: self.size]]
        returned: list[list[T]] = [[] for _ in range(self.size)]
        dist.all_gather_object(returned, own, group=patient)  # type: ignore[arg-type]
        return [returned[number % self.size][number // self.size] for number in range(len(calls))]

    def agree(self, tensors: Iterable[Tensor]) -> None:
        """Overwrite tensors by those of the worker that leads."""
        if self.size == 1:
            return
        for tensor in tensors:
            message = tensor.detach().contiguous()
            dist.broadcast(message, src=0)
            tensor.detach().copy_(message)

    def tell(self, news: T) -> T:
        """Return what the worker that leads says; what the others say is ignored."""
        if self.size == 1:
            return news
        message: list[Any] = [news]
        dist.broadcast_object_list(message, src=0)
        told: T = message[0]
        return told


ALONE = Group()


@dataclass(frozen=True)
class Shard:
    """Points of which each worker of a group has a part.

    Attributes:
        own: Those of this worker, float32 (b, D), on its device: the rows :meth:`Group.part` of all.
        count: N, the points of all workers.
        group: The workers.
    """

    own: Tensor
    count: int
    group: Group

    @classmethod
    def whole(cls, points: Tensor) -> Self:
        """Return points (N, D) that are all here."""
        return cls(points, len(points), ALONE)


class _Gather(torch.autograd.Function):
    """Parts along the second dimension, which may be of unequal length, to the whole."""

    @staticmethod
    def forward(ctx: Any, own: Tensor, group: Group, count: int) -> Tensor:
        ctx.part = group.part(count)
        padded = own.new_zeros(own.shape[0], group.most(count), *own.shape[2:])
        padded[:, : own.shape[1]] = own
        received = [torch.empty_like(padded) for _ in range(group.size)]
        dist.all_gather(received, padded)
        counts = (part.stop - part.start for part in group.parts(count))
        return torch.cat([part[:, :own_count] for part, own_count in zip(received, counts, strict=True)], dim=1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return gradient[:, ctx.part].contiguous(), None, None


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, own: Tensor) -> Tensor:
        return _all_reduced(own)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _all_reduced(gradient)


def _all_reduced(own: Tensor) -> Tensor:
    message = own.clone(memory_format=torch.contiguous_format)
    dist.all_reduce(message)
    return message
