"""The models that find music without having been trained here, and one protocol for them and for trained checkpoints.

A model is one module, registered by being in this folder: a docstring that is the model card, `SPEC`, `is_here()`, and
`build(device) -> JointModel`. Modules import torch and other large packages inside `build` or below.
"""

from dataclasses import dataclass
from pathlib import Path

from unisono.base.arguments import AnyPath, as_path, checked
from unisono.base.registry import Registry
from unisono.retrieval.model_base import Floats, JointModel

__all__ = ["Floats", "JointModel", "ModelSpec", "checkpoint_path", "get", "load_model", "names", "spec"]


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """What is known of a model before it is loaded."""

    name: str
    title: str
    languages: str
    """The languages of the descriptions that it understands."""
    license: str
    """Licence of the weights."""
    noncommercial: bool = False
    encoders: tuple[str, ...]
    """The audio encoders whose embeddings it reads, the preferred one first."""
    size: int = 0
    """Bytes to download from the hub; 0 if there is nothing to download there."""
    install: str = ""
    """Command that brings its weights."""
    verified: str
    """Whether it was loaded with its real weights, and what was checked with them."""


_MODELS = Registry(__name__, "model", "; or name the checkpoint of a trained model")
names = _MODELS.names
get = _MODELS.module


def spec(name: str) -> ModelSpec:
    """Return what is known of the model of that name."""
    found: ModelSpec = get(name).SPEC
    return found


@checked
def load_model(model: AnyPath, device: str = "cpu") -> JointModel:
    """Load a model by its name, or a trained one from its checkpoint.

    Args:
        model: one of `names()`, or the path of a checkpoint.
        device: where it runs: auto, cpu, cuda, cuda:1, ...

    Raises:
        UsageError: there is no such model or file.
        DataError: the checkpoint is truncated, holds something else, or would run code when read; or the model's
            towers, tested when its weights are loaded for the first time, do not tell descriptions or music apart.
        WeightsAbsentError: its weights are not on this machine.
    """
    name = str(model)
    if name in names():
        built: JointModel = get(name).build(device)
        _test_once(built, name)
        return built
    from unisono.retrieval.model import load_model as load_checkpoint  # imports torch

    return load_checkpoint(checkpoint_path(model), device)


def checkpoint_path(model: AnyPath) -> Path:
    """Return the path of a checkpoint that is no model's name.

    Raises:
        UsageError: there is no such file, and it looks like the name of a model.
    """
    path = as_path(model)
    if not path.exists() and path.name == str(model) and not path.suffix:
        get(str(model))
    return path


def _test_once(model: JointModel, name: str) -> None:
    """Refuse a model whose towers map all to one vector, unless its weights passed before.

    Raises:
        DataError: the message has what was measured.
    """
    from unisono.embeddings.encoders import audio, self_test

    revision = model.text_encoder.spec.revision
    if self_test.has_passed(name, "text", revision):
        return
    self_test.check_text(model.embed_text, name)
    if spec(name).size:
        audio.build(spec(name).encoders[0])  # which tests it
    self_test.note_passed(name, "text", revision)
