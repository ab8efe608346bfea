"""The workers' gradients, added up while the backward pass still runs."""

from collections.abc import Iterable, Sequence

import torch
import torch.distributed as dist
from torch import Tensor, nn

from weakcl_pipeline.contrastive.group import Group

_MESSAGE_BYTES = 8 * 2**20


class GradientSum:
    """Replaces the gradients of parameters by the sums of what the workers have.

    A backward pass has the gradients of the last layers first. They are put into messages of some megabytes in that
    order, and a message is sent once it is complete, so it travels while the layers before are still computed, as in
    PyTorch's DistributedDataParallel (Li et al., VLDB 2020). All workers send their messages in one order, whichever is
    complete first; those that lack a gradient, because the loss does not depend on all parameters, are sent last.

    Args:
        parameters: From the first layer to the last, the same on every worker; from now on each backward pass has to be
            followed by :meth:`finish`.
        group: The workers. One that is alone has the sums already.
        message_bytes: Size of a message, at which it is complete.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], group: Group, message_bytes: int = _MESSAGE_BYTES) -> None:
        trained = [parameter for parameter in parameters if parameter.requires_grad] if group.size > 1 else []
        self._messages = _in_messages(trained[::-1], message_bytes)
        self._message_of = {parameter: i for i, message in enumerate(self._messages) for parameter in message}
        self._begin()
        for parameter in trained:
            parameter.register_post_accumulate_grad_hook(self._arrived)  # type: ignore[no-untyped-call]

    def finish(self) -> None:
        """Wait until all gradients are sums."""
        while len(self._sent) < len(self._messages):
            self._send()
        for sent in self._sent:
            sent.receive()
        self._begin()

    def _begin(self) -> None:
        self._missing = [len(message) for message in self._messages]
        self._sent: list[_Sent] = []

    def _arrived(self, parameter: nn.Parameter) -> None:
        self._missing[self._message_of[parameter]] -= 1
        while len(self._sent) < len(self._messages) and not self._missing[len(self._sent)]:
            self._send()

    def _send(self) -> None:
        self._sent.append(_Sent([p.grad for p in self._messages[len(self._sent)] if p.grad is not None]))


def average_gradients(parameters: Iterable[nn.Parameter], group: Group) -> None:
    """Replace each gradient, of which every worker has all, by the workers' mean, in one message."""
    if group.size == 1:
        return
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    _Sent(gradients).receive()
    for gradient in gradients:
        gradient.div_(group.size)


class _Sent:
    """A message on its way.

    Args:
        gradients: Those of a message; none, and there is no message.
    """

    def __init__(self, gradients: Sequence[Tensor]) -> None:
        self._gradients = gradients
        self._message = torch.cat([gradient.flatten() for gradient in gradients]) if gradients else None
        self._work = dist.all_reduce(self._message, async_op=True) if self._message is not None else None

    def receive(self) -> None:
        """Wait for the sums, and put them into the gradients."""
        if self._message is None or self._work is None:
            return
        self._work.wait()
        sums = torch.split(self._message, [gradient.numel() for gradient in self._gradients])
        for gradient, summed in zip(self._gradients, sums, strict=True):
            gradient.copy_(summed.view(gradient.shape))


def _in_messages(parameters: Sequence[nn.Parameter], message_bytes: int) -> list[list[nn.Parameter]]:
    messages: list[list[nn.Parameter]] = []
    size = message_bytes
    for parameter in parameters:
        if size >= message_bytes:
            messages.append([])
            size = 0
        messages[-1].append(parameter)
        size += parameter.numel() * parameter.element_size()
    return messages
