"""The settings that make the embeddings of a run, and whether they agree with those of the embeddings on disk."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from unisono.base.arguments import as_path
from unisono.base.errors import UsageError
from unisono.embeddings.encoders import audio, tuned
from unisono.embeddings.encoders.audio import EncoderSpec
from unisono.embeddings.encoders.tuned import TunedFile
from unisono.embeddings.file import EncoderRecord
from unisono.embeddings.prepare.pooling import PARTS, Pooling
from unisono.embeddings.prepare.sink import EncoderShards

KNOWN_BEFORE_BUILDING = ("name", "rate_hz", "window_s", "hop_s", "tail", "pooling", "hidden_states")
"""The fields of an `EncoderRecord` that are known before the weights are loaded."""


@dataclass(frozen=True, kw_only=True)
class ContentSettings:
    """The settings that decide what `embeddings.h5` holds of the tracks; all runs into one file must agree in them."""

    pooling: Pooling = "mean"
    keep_windows: bool | int = False
    """Whether the windows are kept; a number (at least 2): that many of each track, evenly spread."""
    split_by: Literal["upstream", "seed"] = "upstream"
    seed: int = 42


@dataclass(frozen=True, kw_only=True)
class TrackChoice:
    """Which tracks of a unified file are embedded."""

    sample_size: int | None = None
    min_duration: float | None = None
    max_duration: float | None = None


def named(encoders: Sequence[str], layers: Sequence[str]) -> tuple[list[str], list[str], dict[str, TunedFile]]:
    """Resolve the names of encoders that are paths of checkpoints, which hold tuned ones.

    Args:
        encoders: names and paths.
        layers: as in `hidden_states`; those of a tuned encoder are known.

    Returns:
        The names of all encoders, the layers of all, and name -> checkpoint of the tuned ones.

    Raises:
        UsageError: two are of one name.
        DataError: a checkpoint holds no encoder.
    """
    names, states, tuned_in = [], list(layers), dict[str, TunedFile]()
    for each in encoders:
        if not tuned.is_path(each):
            names.append(each)
            continue
        path = as_path(each)
        record, weights = tuned.read(path)
        tuned_in[record.name] = TunedFile(str(path), weights.revision())
        tuned.remember(weights.revision(), path)
        names.append(record.name)
        states.append(f"{record.name}={record.hidden_states or 'last'}")
    if any(names.count(name) > 1 for name in tuned_in):
        raise UsageError(
            f"encoders names {', '.join(names)}: an encoder and its tuned form need folders of their own.",
            parameter="encoders",
        )
    return names, states, tuned_in


def hidden_states(layers: Iterable[str], shards: Mapping[str, EncoderShards]) -> dict[str, str]:
    """Return encoder -> which hidden states to embed with: as asked for, or else as in the embeddings on disk.

    Args:
        layers: "<encoder>=all", "<encoder>=mean" (the mean of all), "<encoder>=last", or numbers as in "<encoder>=4,8,12".
        shards: encoder -> its embeddings on disk.

    Raises:
        UsageError: one is of another form, or names an encoder that takes no part.
    """
    chosen = {name: str((its_shards.settings() or {}).get("hidden_states", "")) for name, its_shards in shards.items()}
    for text in layers:
        name, _, states = text.partition("=")
        if name not in shards or not re.fullmatch(r"all|mean|last|\d+(,\d+)*", states):
            raise UsageError(
                f"layers {text}: expected one of the encoders {', '.join(shards)}, and which hidden states.",
                hint="For example: mert=all, or mert=mean, or mert=4,8,12, or mert=last",
                parameter="layers",
            )
        chosen[name] = "" if states == "last" else states
    return chosen


def encoder_record(spec: EncoderSpec, pooling: Pooling, states: str) -> EncoderRecord:
    """Describe the embeddings that an encoder makes with this pooling and these hidden states."""
    return EncoderRecord(
        name=spec.name,
        weights=spec.source,
        revision=spec.revision,
        license=spec.weights_license,
        rate_hz=spec.rate_hz,
        window_s=spec.window_s,
        hop_s=spec.hop_s,
        tail=spec.tail,
        pooling=pooling,
        dim=spec.dim * PARTS[pooling],
        layers=spec.layers,
        hidden_states=states,
        noncommercial=spec.noncommercial,
        library=_library(),
    )


@cache
def _library() -> str:
    return f"torch {version('torch').partition('+')[0]}, transformers {version('transformers')}"


def differences(held: Mapping[str, Any], wanted: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    """List in words the names for which both settings have a value, and not the same."""
    return [
        f"{name.replace('_', ' ')}: {held[name]!r} there, {wanted[name]!r} now"
        for name in names
        if name in held and name in wanted and held[name] != wanted[name]
    ]


def check_shards(
    shards: Mapping[str, EncoderShards], content: ContentSettings, states: Mapping[str, str], folder: Path
) -> None:
    """Refuse to mix embeddings of different settings, as far as these are known before the encoders are built.

    Raises:
        UsageError: lists the differences.
    """
    found = []
    for name, its_shards in shards.items():
        record = encoder_record(audio.spec(name), content.pooling, states[name])
        wanted = asdict(record) | {"keep_windows": content.keep_windows}
        for held in (its_shards.settings(), its_shards.shard_settings()):
            lines = differences(held or {}, wanted, (*KNOWN_BEFORE_BUILDING, "keep_windows"))
            found += [f"{name}: {line}" for line in lines]
    if found:
        raise refusal(folder, list(dict.fromkeys(found)))


def check_tuned(
    shards: Mapping[str, EncoderShards], names: Iterable[str], tuned_in: Mapping[str, TunedFile], folder: Path
) -> None:
    """Refuse embeddings of a tuned encoder where those of another are asked for, even if none is missing.

    Raises:
        UsageError: names the revisions.
    """
    for name in names:
        held = (shards[name].settings() or {}).get("revision", "")
        wanted = tuned_in[name].revision if name in tuned_in else held.partition(tuned.MARK)[0]
        if held and held != wanted:
            raise refusal(folder, [f"{name}: revision: {held!r} there, {wanted!r} now"])


def check_built(shards: EncoderShards, record: EncoderRecord, folder: Path, *, keep_windows: bool | int) -> None:
    """Refuse to mix embeddings of a built encoder with those of another; write the settings if there are no shards yet.

    Raises:
        UsageError: lists the differences.
    """
    found = []
    for held in (shards.settings(), shards.shard_settings()):
        found += record_differences(held or {}, record)
    if found:
        raise refusal(folder, [f"{record.name}: {line}" for line in dict.fromkeys(found)])
    if shards.shard_settings() is None:
        shards.write_settings(record, keep_windows=keep_windows)


def record_differences(held: Mapping[str, Any], record: EncoderRecord) -> list[str]:
    """List in words what differs between the fields of a stored record and those of another; libraries may differ."""
    return differences(held, asdict(record), [name for name in asdict(record) if name != "library"])


def refusal(output: Path, found: Sequence[str]) -> UsageError:
    """Return the error that names the differences between the settings on disk and those asked for."""
    return UsageError(
        f"{output} was made with other settings:\n  " + "\n  ".join(found),
        hint="Use the same settings, or another --output-dir, or remove the folder to embed everything again.",
    )
