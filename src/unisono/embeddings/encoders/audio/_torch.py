"""The part that encoders with a large network share: filling a model with weights, and running it window by window."""

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from unisono.base.errors import DataError, UsageError
from unisono.embeddings.encoders.audio import Layers


def fill(
    model: torch.nn.Module,
    tensors: dict[str, torch.Tensor],
    path: Path,
    title: str,
    *,
    unused: tuple[str, ...] | None = None,
) -> None:
    """Put the tensors of a file into a model that was built without memory (on the device "meta"), as float32.

    Args:
        model: has names and shapes.
        tensors: by name. Those that the model does not have (pre-training heads, other towers) are left out.
        path: of the file, for messages.
        title: of the model, for messages.
        unused: what the names of tensors that are left out contain; any others are refused. Default: any may be.

    Raises:
        DataError: the file lacks tensors of the model, has others, or has them in other shapes: it is of another model.
    """
    wanted = model.state_dict()
    found = {_new_name(name): tensor for name, tensor in tensors.items()}
    missing = sorted(wanted.keys() - found.keys())
    if missing:
        raise DataError(
            f"{path} is not of {title}: it lacks {len(missing)} of {len(wanted)} tensors, the first is {missing[0]}.",
            hint="It may be of another model, or of another size of it than config.json says.",
        )
    unknown = sorted(
        name for name in found.keys() - wanted.keys() if unused is not None and not any(part in name for part in unused)
    )
    if unknown:
        raise DataError(
            f"{path} is not of {title}, which has no {unknown[0]} (and {len(unknown) - 1} more of the file's tensors).",
            hint="It may be of another model, or of another version of it.",
        )
    for name, tensor in wanted.items():
        if found[name].shape != tensor.shape:
            raise DataError(
                f"{path} is not of {title}: {name} is {list(found[name].shape)}, expected {list(tensor.shape)}.",
                hint="It may be of another size of the model than config.json says.",
            )
    floats = {
        name: found[name].float() if tensor.is_floating_point() else found[name] for name, tensor in wanted.items()
    }
    model.load_state_dict(floats, assign=True)
    _compute_places(model)
    model.requires_grad_(False).eval()


def _compute_places(model: torch.nn.Module) -> None:
    """Compute the numbers of places and the kinds of tokens, which transformers counts but does not store."""
    for module in model.modules():
        for name, buffer in module.named_buffers(recurse=False):
            if buffer.is_meta and name in ("position_ids", "token_type_ids"):
                count = torch.arange(buffer.shape[-1]) if name == "position_ids" else torch.zeros(buffer.shape[-1])
                module.register_buffer(name, count.long().expand(buffer.shape), persistent=False)


def _new_name(name: str) -> str:
    """Return the name that PyTorch now has for the parts of a weight-normed convolution."""
    old = {"weight_g": "parametrizations.weight.original0", "weight_v": "parametrizations.weight.original1"}
    head, _, tail = name.rpartition(".")
    return f"{head}.{old[tail]}" if tail in old else name


def layer_numbers(layers: Layers, count: int) -> list[int]:
    """Resolve a choice of hidden states of a model with `count` layers, which has `count + 1` of them.

    Raises:
        UsageError: there is no hidden state of that number.
    """
    if layers == "last":
        return [count]
    if layers == "all" or layers == "mean":
        return list(range(count + 1))
    wrong = [number for number in layers if not 0 <= number <= count]
    if wrong or not layers:
        raise UsageError(f"There is no hidden state {wrong}: this model has 0 to {count}, or last, or all.")
    return list(layers)


class LayerMeans:
    """The means over time of a model's hidden states, recorded while it runs.

    Hidden state i is the input of layer i; the state after the last layer is the model's output. This definition does not
    depend on what a library lists in `hidden_states`.
    """

    def __init__(self, layers: torch.nn.ModuleList, numbers: list[int], *, average: bool = False) -> None:
        """Watch hidden states of a model, and remove the layers above them; `average` makes one embedding of them."""
        self.numbers = numbers
        self.average = average
        self._of_call = threading.local()  # several threads may run the model at once
        if max(numbers) < len(layers):
            del layers[max(numbers) + 1 :]
        for number in numbers:
            if number < len(layers):
                layers[number].register_forward_pre_hook(partial(self._note, number))

    def _note(self, number: int, _: torch.nn.Module, given: tuple[torch.Tensor, ...]) -> None:
        self._of_call.means[number] = given[0].float().mean(dim=1)

    def during(self, forward: Callable[[], torch.Tensor]) -> torch.Tensor:
        """Run the model, whose output is [B, T, D], and return the means [B, D], or [B, L, D] if several are watched."""
        means: dict[int, torch.Tensor] = {}
        self._of_call.means = means
        output = forward()
        chosen = [means[number] if number in means else output.float().mean(dim=1) for number in self.numbers]
        if len(chosen) == 1:
            return chosen[0]
        return torch.stack(chosen).mean(dim=0) if self.average else torch.stack(chosen, dim=1)


def run(forward: Callable[[torch.Tensor], torch.Tensor], windows: torch.Tensor) -> torch.Tensor:
    """Run a network over windows [B, samples], in bfloat16 where that is fast, and return its result [B, ...] as float32.

    On a CPU each window runs alone: matrix products round differently for different numbers of rows, so only then does an
    embedding not depend, bit for bit, on the other windows. A single window keeps the cores busy.
    """
    with torch.inference_mode():
        if windows.device.type == "cpu":
            return torch.cat([forward(window) for window in windows[:, None]]).float()
        with torch.autocast(windows.device.type, torch.bfloat16):
            return forward(windows).float()
