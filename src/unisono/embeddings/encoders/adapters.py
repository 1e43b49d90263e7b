"""LoRA adapters in a network: small trained matrices, added to the frozen ones. Source: Hu et al. 2021."""

from typing import TYPE_CHECKING

from unisono.base.extras import extra

if TYPE_CHECKING:
    from torch import Tensor, nn

MARK = "lora_"
"""What the names of the weights of adapters contain."""


def add(network: "nn.Module", rank: int, dropout: float, *, to: "str | list[str]", unused: str | None = None) -> None:
    """Add adapters to layers of a network, in place.

    Args:
        network: its own weights stay frozen.
        rank: of the adapters.
        dropout: of their inputs, in training.
        to: names of the layers, or "all-linear".
        unused: pattern of names of layers that get none.

    Raises:
        MissingExtraError: the peft library is not installed.
    """
    with extra("lora", "Tuning an encoder with LoRA"):
        from peft import LoraConfig, inject_adapter_in_model
    config = LoraConfig(r=rank, lora_alpha=2 * rank, lora_dropout=dropout, target_modules=to, exclude_modules=unused)
    inject_adapter_in_model(config, network)
    for parameter in parameters(network):
        parameter.data = parameter.data.float()


def parameters(network: "nn.Module") -> "list[nn.Parameter]":
    """Return the weights of the adapters."""
    return [parameter for name, parameter in network.named_parameters() if MARK in name]


def state(network: "nn.Module") -> "dict[str, Tensor]":
    """Return the weights of the adapters by name."""
    return {name: tensor for name, tensor in network.state_dict().items() if MARK in name}


def switch_dropout(network: "nn.Module", on: bool) -> None:
    """Switch the dropout of the adapters on or off, and nothing else of the network."""
    for name, module in network.named_modules():
        if "lora_dropout" in name:
            module.train(on)


def merge(network: "nn.Module") -> None:
    """Add the adapters to the weights of their layers, so that they cost nothing when the network runs."""
    for module in network.modules():
        if callable(merged := getattr(module, "merge", None)):
            merged()
