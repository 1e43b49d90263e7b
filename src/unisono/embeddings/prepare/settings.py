"""What makes the embeddings of a run, and whether it is what made those that are there already."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from unisono.base.errors import UnisonoError, UsageError
from unisono.embeddings.encoders import audio as encoders
from unisono.embeddings.encoders.audio import AudioEncoder, EncoderSpec, Layers, WeightsAbsentError
from unisono.embeddings.file import EncoderRecord
from unisono.embeddings.prepare.options import PrepareOptions
from unisono.embeddings.prepare.pooling import PARTS
from unisono.embeddings.prepare.sink import EncoderShards

NEEDING_NO_DOWNLOAD = ("musicnn", "dsp")
KNOWN_BEFORE_BUILDING = ("name", "rate_hz", "window_s", "hop_s", "pooling", "hidden_states")
"""What of an `EncoderRecord` is known before the weights are loaded."""


def hidden_states(options: PrepareOptions, shards: dict[str, EncoderShards]) -> dict[str, str]:
    """Say which hidden states of which encoder are wanted: as asked for, or else as in what is there already.

    Raises:
        UsageError: the option is not of the form name=all or name=4,8,12, or names an encoder that takes no part.
    """
    chosen = {}
    for name, its_shards in shards.items():
        chosen[name] = str((its_shards.settings() or {}).get("hidden_states", ""))
    for text in options.layers:
        name, _, states = text.partition("=")
        if name not in shards or not re.fullmatch(r"all|last|\d+(,\d+)*", states):
            raise UsageError(
                f"--layers {text}: expected one of the encoders {', '.join(shards)}, and which hidden states.",
                hint="For example: --layers mert=all, or mert=4,8,12, or mert=last",
            )
        chosen[name] = "" if states == "last" else states
    return chosen


def encoder_record(spec: EncoderSpec, options: PrepareOptions, states: str) -> EncoderRecord:
    """Describe the embeddings that an encoder makes with these options and these hidden states."""
    return EncoderRecord(
        name=spec.name,
        weights=spec.source,
        revision=spec.revision,
        license=spec.weights_license,
        rate_hz=spec.rate_hz,
        window_s=spec.window_s,
        hop_s=spec.hop_s,
        pooling=options.pooling,
        dim=spec.dim * PARTS[options.pooling],
        layers=spec.layers,
        hidden_states=states,
        noncommercial=spec.noncommercial,
        library=f"torch {version('torch').partition('+')[0]}, transformers {version('transformers')}",
    )


def differences(held: dict[str, Any], wanted: dict[str, Any], names: Iterable[str]) -> list[str]:
    """List in words where two settings differ, as far as both have them."""
    return [
        f"{name.replace('_', ' ')}: {held[name]!r} there, {wanted[name]!r} now"
        for name in names
        if name in held and name in wanted and held[name] != wanted[name]
    ]


def check_shards(shards: dict[str, EncoderShards], options: PrepareOptions, states: dict[str, str]) -> None:
    """Refuse to mix embeddings of different settings, as far as that can be told before the encoders are built.

    Raises:
        UsageError: lists the differences.
    """
    found = []
    for name, its_shards in shards.items():
        wanted = asdict(encoder_record(encoders.spec(name), options, states[name])) | {
            "keep_windows": options.keep_windows
        }
        for held in (its_shards.settings(), its_shards.shard_settings()):
            lines = differences(held or {}, wanted, (*KNOWN_BEFORE_BUILDING, "keep_windows"))
            found += [f"{name}: {line}" for line in lines]
    if found:
        raise refusal(options.output_path, list(dict.fromkeys(found)))


def check_built(shards: EncoderShards, record: EncoderRecord, options: PrepareOptions) -> None:
    """Refuse to add embeddings of a built encoder to those of another; note the settings if there are no shards yet.

    Raises:
        UsageError: lists the differences.
    """
    names = [name for name in asdict(record) if name != "library"]
    found = []
    for held in (shards.settings(), shards.shard_settings()):
        found += differences(held or {}, asdict(record), names)
    if found:
        raise refusal(options.output_path, [f"{record.name}: {line}" for line in dict.fromkeys(found)])
    if shards.shard_settings() is None:
        shards.write_settings(record, keep_windows=options.keep_windows)


def refusal(output: Path, found: Sequence[str]) -> UsageError:
    """Say what differs between what is there and what is asked for."""
    return UsageError(
        f"{output} was made with other settings:\n  " + "\n  ".join(found),
        hint="Use the same settings, or another --output-dir, or remove the folder to make everything anew.",
    )


def build_encoders(
    names: Iterable[str], devices: Iterable[str], states: dict[str, str]
) -> dict[str, dict[str, AudioEncoder]]:
    """Build each encoder once for each device: device -> name -> encoder.

    Raises:
        UnisonoError: weights are not here; names all of them, and what to use instead.
    """
    built: dict[str, dict[str, AudioEncoder]] = {}
    absent: list[WeightsAbsentError] = []
    for device in dict.fromkeys(devices):
        built[device] = {}
        for name in names:
            try:
                built[device][name] = encoders.build(name, device, layers=_layers(states[name]))
            except WeightsAbsentError as error:
                absent.append(error)
        if absent:
            raise _absent(absent)
    return built


def _layers(states: str) -> Layers | None:
    if not states:
        return None
    return "all" if states == "all" else tuple(int(number) for number in states.split(","))


def _absent(errors: list[WeightsAbsentError]) -> UnisonoError:
    names = [error.name for error in errors]
    if len(errors) == 1 and names[0] in NEEDING_NO_DOWNLOAD:
        return errors[0]
    listed = ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else names[0]
    return UnisonoError(
        f"The weights of {listed} are not here.",
        hint=f"Fetch them with: unisono encoders fetch {' '.join(names)}\n"
        f"Or use encoders that need no download: --encoders {' '.join(NEEDING_NO_DOWNLOAD)}",
    )
