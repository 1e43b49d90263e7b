"""Read an export back: safetensors and JSON, so that nothing in it is executed."""

from pathlib import Path

import torch

from unisono.base.errors import DataError
from unisono.embeddings.encoders.exported_files import CONFIG, PART, WEIGHTS, read_files, tower_in
from unisono.embeddings.encoders.text import TextEncoderSpec
from unisono.embeddings.encoders.tuned import TunedWeights
from unisono.embeddings.file import EncoderRecord
from unisono.retrieval.checkpoint import Checkpoint, TrainedOn
from unisono.retrieval.checkpoint_content import NAMED, ContentError, check_content
from unisono.retrieval.heads import Architecture

ADAPTER = "text_encoder."
"""What the names of the adapters' tensors begin with."""


def read_folder(folder: Path) -> Checkpoint:
    """Read an export back.

    What the model was trained on is known as numbers only, not by ids: whether a benchmark was seen cannot be told.

    Raises:
        DataError: a file is missing or damaged, or something in it is not what it must be.
    """
    config, tensors = read_files(folder)
    try:
        content = {
            "options": config["training_options"],
            **tower_in(config, tensors),
            "text_encoder": config["text_encoder"],
            "architecture": config["architecture"],
            "trained_on": {**config["trained_on"], "digests": dict.fromkeys(NAMED, torch.empty(0, dtype=torch.int64))},
            "weights": {name: each for name, each in tensors.items() if not name.startswith((ADAPTER, PART))},
            "adapter": {name.removeprefix(ADAPTER): each for name, each in tensors.items() if name.startswith(ADAPTER)},
            "optimizer": {},
            "progress": {},
        }
        check_content(content)
    except (ContentError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{folder}: {CONFIG} or {WEIGHTS} is not of an export: {error}.") from error
    return Checkpoint(
        options=content["options"],
        audio_encoder=EncoderRecord(**content["audio_encoder"]),
        text_encoder=TextEncoderSpec(**content["text_encoder"]),
        architecture=Architecture(**content["architecture"]),
        trained_on=TrainedOn(**content["trained_on"] | {"digests": {}}),
        weights=content["weights"],
        adapter=content["adapter"],
        tower=TunedWeights(**content["tower"]) if "tower" in content else None,
    )
