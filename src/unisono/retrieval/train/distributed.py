"""Training on several processes, as started by `torchrun`. With one process, all functions here do nothing."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from unisono.base.errors import UnisonoError, UsageError
from unisono.base.log import log


class LostProcessError(UnisonoError):
    """Another process of the training ended, or cannot be reached."""


@contextmanager
def processes(device: torch.device) -> Iterator[None]:
    """Join the processes that `torchrun` started until the block ends; only the first one writes to the log."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield
        return
    with _transfer():
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    before = log.disabled
    log.disabled = before or dist.get_rank() > 0
    try:
        yield
    finally:
        log.disabled = before
        dist.destroy_process_group()


@contextmanager
def _transfer() -> Iterator[None]:
    """Turn the failure of a transfer between processes into an error that says so."""
    try:
        yield
    except RuntimeError as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        said = str(error).partition("\n")[0]
        raise LostProcessError(
            f"Another process of the training ended, or cannot be reached ({said[:200]}).",
            hint="The first message in the output of the other processes tells why.",
        ) from error


def rank() -> int:
    """Return the number of this process, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    """Return the number of processes."""
    return dist.get_world_size() if dist.is_initialized() else 1


def mine(count: int) -> slice:
    """Return which of the rows of a batch are of this process."""
    size = count // world_size()
    return slice(rank() * size, (rank() + 1) * size)


class _Gather(torch.autograd.Function):
    """The rows of all processes, with a gradient: the loss of each process depends on the rows of all."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        parts = [torch.empty_like(rows) for _ in range(world_size())]
        with _transfer():
            dist.all_gather(parts, rows.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (gradient,) = gradients
        gradient = gradient.contiguous()
        with _transfer():
            dist.all_reduce(gradient)
        return gradient.chunk(world_size())[rank()]


def gather(rows: Tensor) -> Tensor:
    """Concatenate the rows [b, D] of all processes to [B, D], in the order of their numbers; differentiable."""
    if world_size() == 1:
        return rows
    joined: Tensor = _Gather.apply(rows)  # type: ignore[no-untyped-call]
    return joined


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Average the gradients over the processes, in one transfer."""
    if world_size() == 1:
        return
    with_gradient = [parameter for parameter in parameters if parameter.grad is not None]
    joined = torch.cat([parameter.grad.flatten() for parameter in with_gradient if parameter.grad is not None])
    with _transfer():
        dist.all_reduce(joined)
    joined /= world_size()
    parts = torch.split(joined, [each.numel() for each in with_gradient])
    for parameter, part in zip(with_gradient, parts, strict=True):
        parameter.grad = part.view_as(parameter)


def any_process(flag: bool, device: torch.device) -> bool:
    """Return whether the flag is set in any process; the result is the same in all."""
    if world_size() == 1:
        return flag
    value = torch.tensor(int(flag), device=device)
    with _transfer():
        dist.all_reduce(value, op=dist.ReduceOp.MAX)
    return bool(value)


def average(value: float, device: torch.device) -> float:
    """Average a number over the processes."""
    if world_size() == 1:
        return value
    total = torch.tensor(value, dtype=torch.float64, device=device)
    with _transfer():
        dist.all_reduce(total)
    return float(total) / world_size()


def refuse_differences(found: dict[str, Any]) -> None:
    """Refuse to train if the processes, which may run on several machines, do not have the same before them.

    Args:
        found: what must be equal in all processes, by its name in words.

    Raises:
        UsageError: names what differs from the first process, and in which one.
    """
    if world_size() == 1:
        return
    everywhere: list[Any] = [None] * world_size()
    with _transfer():
        dist.all_gather_object(everywhere, found)
    for number, other in enumerate(everywhere):
        for name, value in everywhere[0].items():
            if other[name] != value:
                raise UsageError(
                    f"The processes of the training differ in {name}: {value} in process 0, {other[name]} in process "
                    f"{number}.",
                    hint="Give all nodes the same data and the same unisono, and a checkpoint folder that they share.",
                )


def total(values: Tensor, device: torch.device) -> Tensor:
    """Add tensors of all processes."""
    if world_size() == 1:
        return values
    summed = values.to(device, torch.float32)
    with _transfer():
        dist.all_reduce(summed)
    return summed.to("cpu", values.dtype)
