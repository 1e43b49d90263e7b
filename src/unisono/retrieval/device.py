"""The device that a model runs on."""

import os

import torch

from unisono.base.errors import UsageError


def local_device(name: str) -> torch.device:
    """Return the device of this process: with `cuda` or `auto`, each process of a machine uses a GPU of its own.

    Raises:
        UsageError: there is no such device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and "LOCAL_RANK" in os.environ:
        name = f"cuda:{os.environ['LOCAL_RANK']}"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"device must be auto, cpu, cuda or cuda:1, found {name!r}.", parameter="device") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(
            f"device {name!r} is not there: torch finds {torch.cuda.device_count()} GPUs.", parameter="device"
        )
    return device
