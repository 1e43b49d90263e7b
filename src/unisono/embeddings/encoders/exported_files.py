"""The files of an exported model, and the tuned audio encoder in them: safetensors and JSON, so that nothing is executed."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unisono.base.errors import DataError

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS = "model.safetensors"
CONFIG = "config.json"
TOWER = "tuned_audio_encoder"
"""What of the description says how the audio encoder was tuned, if it was."""
PART = "audio_encoder."
"""What the names of its tensors begin with."""


def read_files(folder: Path) -> "tuple[dict[str, Any], dict[str, Tensor]]":
    """Read the description and the tensors of an export.

    Raises:
        DataError: a file is missing or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        config = json.loads((folder / CONFIG).read_bytes())
        tensors = load_file(folder / WEIGHTS)
    except FileNotFoundError as error:
        raise DataError(
            f"{folder} is not an export: it has no {Path(error.filename or '').name or WEIGHTS}."
        ) from error
    except (OSError, ValueError, RecursionError, SafetensorError) as error:
        raise DataError(f"{folder} cannot be read: {error}.") from error
    if not isinstance(config, dict):
        raise DataError(f"{folder}: {CONFIG} is not of an export.")
    return config, tensors


def tower_in(config: Mapping[str, Any], tensors: "Mapping[str, Tensor]") -> dict[str, Any]:
    """Return the parts `audio_encoder` and `tower` of a checkpoint, as far as an export has them."""
    found = {"audio_encoder": config.get("audio_encoder")}
    if isinstance(tower := config.get(TOWER), dict):
        named = {name.removeprefix(PART): each for name, each in tensors.items() if name.startswith(PART)}
        found["tower"] = {**tower, "tensors": named}
    return found
