"""The contract of a checkpoint's content: what each part must be. A file may be damaged, or come from anyone."""

import math
import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import msgspec
import torch

from unisono.embeddings.encoders.text import TextEncoderSpec
from unisono.embeddings.encoders.tuned import check_content as check_tower
from unisono.embeddings.file import EncoderRecord
from unisono.retrieval.heads import Architecture, ProjectionHeads

Number = int | float
PARTS = (
    "options",
    "audio_encoder",
    "text_encoder",
    "architecture",
    "trained_on",
    "weights",
    "adapter",
    "optimizer",
    "progress",
)
NAMED = ("id", "recording", "artist_id", "caption")
MEASURES = ("recall@1", "recall@5", "recall@10", "mrr", "map@10", "median_rank")
MOST_DIM = 1 << 20
MOST_LAYERS = 4096


class TrainedOnContent(msgspec.Struct, forbid_unknown_fields=True):
    """The part `trained_on`."""

    ids_sha256: str
    excerpts: int
    captions: int
    datasets: dict[str, int]
    licenses: dict[str, int]
    origins: dict[str, int]
    digests: dict[str, Any]
    val_digests: dict[str, Any] = {}


class ProgressContent(msgspec.Struct, forbid_unknown_fields=True):
    """The part `progress`."""

    epoch: int = 0
    batch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    best: float = 0.0
    best_epoch: int = 0
    chance: dict[str, float] = {}
    history: list[dict[str, Number | dict[str, Number]]] = []
    warnings: list[str] = []
    mrr_by_luck: float = 0.0
    skipped: dict[str, str] = {}


class ContentError(ValueError):
    """A part of a checkpoint is not what it must be; the message says which, and what is wrong."""


def check_content(content: Mapping[str, Any]) -> None:
    """Check all parts of a checkpoint.

    Raises:
        ContentError: a part is missing, or of a wrong type, shape or value.
    """
    for part in PARTS:
        if part not in content:
            raise ContentError(f"{part} is missing")
    _convert(content, "options", dict[str, bool | int | float | str | list[str] | None])
    options = content["options"]
    for name, kinds in (("data_dir", (str, list, type(None))), ("data_root", (str, type(None)))):
        _demand(isinstance(options.get(name), kinds), "options", f"{name} is {options.get(name)!r}")
    for part, kind in (
        ("audio_encoder", EncoderRecord),
        ("text_encoder", TextEncoderSpec),
        ("architecture", Architecture),
    ):
        _convert(content, part, kind)
        unknown = set(content[part]) - {each.name for each in fields(kind)}
        _demand(not unknown, part, f"unknown: {', '.join(map(str, unknown))}")
    _demand(isinstance(content.get("start", {}), dict), "start", "not a table of tensors")
    _check_numbers(content)
    _check_sizes(content["architecture"], content["audio_encoder"], content["text_encoder"])
    _check_weights(content)
    _check_trained_on(content)
    _check_progress(content)
    _check_optimizer(content["optimizer"])
    _check_music(content.get("music", {}), content["architecture"])


def _convert(content: Mapping[str, Any], part: str, kind: Any) -> None:
    try:
        msgspec.convert(content[part], kind)
    except (msgspec.ValidationError, TypeError, ValueError, RecursionError) as error:
        raise ContentError(f"{part}: {error}") from error


def _demand(holds: bool, part: str, what: str) -> None:
    if not holds:
        raise ContentError(f"{part}: {what}")


def _check_numbers(content: Mapping[str, Any]) -> None:
    for part in ("options", "audio_encoder", "architecture"):
        for name, value in content[part].items():
            _demand(not isinstance(value, float) or math.isfinite(value), part, f"{name} is {value}")
    audio = content["audio_encoder"]
    for name in ("rate_hz", "window_s", "hop_s"):
        _demand(0 < audio[name] < 1e9, "audio_encoder", f"{name} is {audio[name]}")
    _demand(bool(re.fullmatch(r"[\w.-]+", audio["name"])), "audio_encoder", f"name is {audio['name'][:80]!r}")
    if content["adapter"]:
        rank = content["options"].get("lora_rank")
        _demand(isinstance(rank, int) and 0 < rank < MOST_DIM, "options", f"lora_rank is {rank!r}")


def _check_sizes(architecture: Mapping[str, Any], audio: Mapping[str, Any], text: Mapping[str, Any]) -> None:
    for name in ("text_dim", "audio_dim", "dim", "scaled_dim", "hidden", "layers"):
        most = MOST_LAYERS if name == "layers" else MOST_DIM
        _demand(0 < architecture[name] <= most, "architecture", f"{name} is {architecture[name]}")
    _demand(0 <= architecture["dropout"] < 1, "architecture", f"dropout is {architecture['dropout']}")
    for head, inputs in (("text_head", "text_dim"), ("audio_head", "scaled_dim")):
        fits = architecture[head] != "residual" or architecture[inputs] == architecture["dim"]
        _demand(fits, "architecture", f"{head} is residual, but {inputs} and dim differ")
    for name, other, value in (
        ("text_dim", "text_encoder", text["dim"]),
        ("audio_dim", "audio_encoder", audio["dim"]),
        ("layers", "audio_encoder", audio.get("layers", 1)),
    ):
        _demand(
            architecture[name] == value, "architecture", f"{name} is {architecture[name]}, in {other} it is {value}"
        )


def _check_weights(content: Mapping[str, Any]) -> None:
    for part in ("weights", "adapter"):
        _demand(isinstance(content[part], dict), part, "not a table of tensors")
        for name, tensor in content[part].items():
            _check_tensor(part, name, tensor)
    _check_fits(content, "weights")
    if "tower" in content:
        try:
            check_tower(content["tower"])
        except ValueError as error:
            raise ContentError(f"tower: {error}") from error
        for name, tensor in content["tower"]["tensors"].items():
            _check_tensor("tower", name, tensor)
    if content.get("start"):
        for name, tensor in content["start"].items():
            _check_tensor("start", name, tensor)
        _check_fits(content, "start")


def _check_fits(content: Mapping[str, Any], part: str) -> None:
    with torch.device("meta"):  # the sizes without the memory
        expected = ProjectionHeads(Architecture(**content["architecture"])).state_dict()
    found = content[part]
    differ = sorted(set(map(str, found)) ^ set(expected))
    _demand(not differ, part, f"they do not fit the architecture: {', '.join(differ[:3])}")
    for name, tensor in expected.items():
        shapes = f"{name} has the shape {tuple(found[name].shape)}, the architecture says {tuple(tensor.shape)}"
        _demand(found[name].shape == tensor.shape, part, shapes)


def _check_tensor(part: str, name: Any, tensor: Any, *, floats: bool = True) -> None:
    _demand(isinstance(name, str), part, f"{name!r} is no name")
    _demand(isinstance(tensor, torch.Tensor) and tensor.layout == torch.strided, part, f"{name} is no tensor")
    _demand(not tensor.is_quantized and tensor.device.type != "meta", part, f"{name} is no plain tensor")
    is_held = tensor.numel() * tensor.element_size() <= tensor.untyped_storage().nbytes()
    _demand(is_held, part, f"{name} claims more numbers than the file holds")
    if floats:
        _demand(tensor.is_floating_point(), part, f"{name} is of {tensor.dtype}")
        _demand(bool(torch.isfinite(tensor).all()), part, f"{name} holds numbers that are not finite")


def _check_trained_on(content: Mapping[str, Any]) -> None:
    part = "trained_on"
    _convert(content, part, TrainedOnContent)
    found = content[part]
    for each in ("digests", "val_digests"):
        for name, tensor in found.get(each, {}).items():
            _check_tensor(part, name, tensor, floats=False)
            _demand(tensor.dtype == torch.int64 and tensor.ndim == 1, part, f"{each} of {name} are no digests")
    missing = [name for name in NAMED if name not in found["digests"]]
    _demand(not missing, part, f"no digests of {', '.join(missing)}")
    counts = [found["excerpts"], found["captions"]]
    counts += [count for name in ("datasets", "licenses", "origins") for count in found[name].values()]
    _demand(min(counts) >= 0, part, "a count is negative")


def _check_progress(content: Mapping[str, Any]) -> None:
    part = "progress"
    _convert(content, part, ProgressContent)
    found = content[part]
    counts = [found.get(name, 0) for name in ("epoch", "batch", "step", "best_epoch")]
    history = found.get("history", [])
    _demand(min(counts) >= 0 and found.get("best_epoch", 0) <= len(history), part, "a count is out of range")
    for entry in history:
        for name in ("epoch", "step", "loss", "temperature"):
            _demand(isinstance(entry.get(name), (int, float)), part, f"an epoch lacks {name}")
        for name, measured in entry.items():
            if isinstance(measured, dict):
                _demand(set(MEASURES) <= set(measured), part, f"an epoch lacks measures of {name}")
    chance = found.get("chance", {})
    _demand(not chance or set(MEASURES) <= set(chance), part, "chance lacks measures")
    _check_finite(part, found)


def _check_optimizer(found: Any) -> None:
    part = "optimizer"
    _demand(isinstance(found, dict), part, "not a table")
    if not found:
        return
    _demand(
        isinstance(found.get("state"), dict) and isinstance(found.get("param_groups"), list), part, "not that of AdamW"
    )
    for number, state in found["state"].items():
        _demand(isinstance(number, int) and isinstance(state, dict), part, "not that of AdamW")
        for name, tensor in state.items():
            _check_tensor(part, name, tensor)
    for group in found["param_groups"]:
        _demand(isinstance(group, dict) and isinstance(group.get("params"), list), part, "not that of AdamW")
        _check_finite(part, group)


def _check_music(found: Any, architecture: Mapping[str, Any]) -> None:
    part = "music"
    _demand(isinstance(found, dict), part, "not a table")
    if not found:
        return
    _demand(set(found) == {"mean", "std", "limit"}, part, "a part is missing or unknown")
    for name, tensor in found.items():
        _check_tensor(part, name, tensor)
        shape = (1,) if name == "limit" else (architecture["layers"], architecture["audio_dim"])
        _demand(tuple(tensor.shape) == shape, part, f"{name} has the shape {tuple(tensor.shape)}, not {shape}")


def _check_finite(part: str, value: Any) -> None:
    if isinstance(value, dict):
        for name, item in value.items():
            _demand(not isinstance(item, float) or math.isfinite(item), part, f"{name} is {item}")
            _check_finite(part, item)
    elif isinstance(value, list):
        for item in value:
            _check_finite(part, item)
