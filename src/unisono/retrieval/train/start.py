"""Where a training starts: from nothing, from a pretrained joint model, or from a trained one.

From a joint model the heads start as the identity (`heads.Residual`), so that the first step scores as the joint model does.
From a checkpoint they start with its weights.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from os import fspath
from typing import Any

from unisono.base.errors import UsageError
from unisono.embeddings.encoders import text as text_encoders
from unisono.embeddings.encoders.text import TextEncoderSpec
from unisono.embeddings.file import EncoderRecord
from unisono.retrieval import checkpoint as checkpoints
from unisono.retrieval import models
from unisono.retrieval.checkpoint import Checkpoint
from unisono.retrieval.train.config import TrainingConfig
from unisono.retrieval.train.data import TrainingData

HEADS = {"projection": "joint", "text_head": "residual", "audio_head": "residual", "audio_scaling": "none"}
"""Settings of a training that starts from a joint model."""
KEPT = (
    "audio_encoder", "text_encoder", "projection", "dim", "text_head", "audio_head", "hidden", "dropout", "audio_scaling",
    "whiten_dim", "loss", "temperature", "lora", "lora_rank",
)  # fmt: skip
"""Settings that a training takes over from the checkpoint that it starts from."""


@dataclass(frozen=True)
class Start:
    """Where a training starts."""

    settings: dict[str, Any]
    """Of the training, complete with those that follow from the start."""
    checkpoint: Checkpoint | None = None
    """The trained model that it starts from."""


def find_start(given: Mapping[str, Any]) -> Start:
    """Complete the settings of a training by those that follow from the model that it starts from, if it does.

    Raises:
        UsageError: there is no such model, a training cannot start from it, or a setting contradicts it.
    """
    named = given.get("model")
    if named is None:
        return Start(dict(given))
    named = fspath(named)
    given = {**given, "model": named}
    if named in models.names():
        if named not in text_encoders.names():
            raise UsageError(
                f"A training cannot start from the model {named}: it has no text encoder of its own.",
                hint=f"Start from one of these, or from a checkpoint: {', '.join(joint_models())}",
                parameter="model",
            )
        wanted = {"audio_encoder": named, "text_encoder": named, **HEADS}
        return Start(_completed(given, wanted, {"audio_noise": 0.0}))
    found = checkpoints.load(models.checkpoint_path(named))
    options = {name: tuple(value) if isinstance(value, list) else value for name, value in found.options.items()}
    options = asdict(TrainingConfig()) | options
    wanted = {name: options[name] for name in KEPT}
    return Start(_completed(given, wanted, {name: options[name] for name in ("audio_noise", "tune_audio")}), found)


def joint_models() -> list[str]:
    """List the joint models that a training can start from."""
    return [name for name in models.names() if name in text_encoders.names()]


def _completed(given: Mapping[str, Any], wanted: Mapping[str, Any], usual: Mapping[str, Any]) -> dict[str, Any]:
    for name, value in wanted.items():
        if given.get(name, value) != value:
            raise UsageError(
                f"{name} {given[name]} does not go with the start from {given['model']}, whose {name} is {value}.",
                hint="Leave it out, or train a new model without model (--model).",
                parameter=name,
            )
    return {**usual, **given, **wanted}


def check_data(config: TrainingConfig, start: Checkpoint | None, text: TextEncoderSpec, data: TrainingData) -> None:
    """Refuse data or a text encoder that are not of the model that a new training starts from.

    Raises:
        UsageError: names the difference.
    """
    if config.model is None:
        return
    if start is None:
        differ = [] if data.encoder.revision == text.revision else [("revision", data.encoder.revision, text.revision)]
    else:
        differ = _differences(data.encoder, start.embeddings_of)
        if text.revision != start.text_encoder.revision:
            raise UsageError(
                f"{config.model} was trained with the text encoder {text.name} of revision "
                f"{start.text_encoder.revision}; the one here is of {text.revision}.",
                hint="Fetch that version, or train a new model.",
            )
    if differ:
        name, found, wanted = differ[0]
        raise UsageError(
            f"{data.where}: its {data.encoder.name} embeddings were made with {name} {found!r}; {config.model} needs "
            f"{wanted!r}.",
            hint=f"Prepare the music again with: unisono prepare --encoders {data.encoder.name} --output-dir ...",
        )


def _differences(found: EncoderRecord, wanted: EncoderRecord) -> list[tuple[str, Any, Any]]:
    """List what matters and differs between two records of embeddings."""
    held = asdict(found)
    return [
        (name, held[name], value) for name, value in asdict(wanted).items() if name != "library" and held[name] != value
    ]
