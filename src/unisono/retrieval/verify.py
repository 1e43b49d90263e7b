"""Verify a model or an encoder with its real weights: loaded strictly, tested, compared with golden vectors.

Golden vectors are `retrieval/golden/<name>.json`: what the published weights made of three descriptions, and of a sine
sweep, on some machine. They have the form of a record of `unisono models verify`: a record that someone sends becomes one by
being put there. There are only those that could be made so far.
"""

import json
import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unisono import __version__
from unisono.base.arguments import nearest
from unisono.base.errors import DataError, UnisonoError, UsageError
from unisono.base.files import write_whole
from unisono.embeddings.encoders import audio, self_test, text
from unisono.embeddings.encoders.fetch import fetch_encoder, is_here
from unisono.embeddings.encoders.weights import RECORD, root
from unisono.retrieval import models

Floats = NDArray[np.float32]
FORMAT = "unisono verification"
GOLDEN_TEXTS = self_test.TEXTS[:3]
TOLERANCE = 0.01
"""Golden vectors may differ by this share of their largest number: libraries and processors round differently."""
DECIMALS = 6


@dataclass(frozen=True, kw_only=True)
class TowerRecord:
    """What was found out about one tower."""

    source: str
    revision: str
    measured: float
    """Of text: the mean cosine of twelve contrasting descriptions. Of audio: by how much a sweep and silence differ."""
    golden: str
    """agrees, none (there are none), or by how much the vectors differ from them."""
    vectors: dict[str, list[float]]
    """Of descriptions, or of `sweep`: what becomes golden vectors."""


@dataclass(frozen=True, kw_only=True)
class VerificationRecord:
    """What `unisono models verify` found out; its JSON can be sent to the authors of unisono."""

    name: str
    passed: bool
    failure: str
    """Why it did not pass; empty if it did."""
    when: str
    machine: str
    versions: dict[str, str]
    files: dict[str, dict[str, Any]]
    """Name -> size and sha256, of the files that were fetched."""
    text: TowerRecord | None = None
    audio: TowerRecord | None = None

    def write(self, path: Path) -> None:
        """Write the record as JSON."""
        content = {"format": FORMAT, "version": 1, **asdict(self)}
        write_whole(path, json.dumps(content, ensure_ascii=False, indent=1) + "\n")


def verify(name: str, device: str = "cpu") -> VerificationRecord:
    """Fetch the weights if they are not here, load them strictly, test both towers and compare the golden vectors.

    Args:
        name: of a model that needs no training, or of an audio or text encoder.
        device: where it runs: cpu, cuda:0, ...

    Returns:
        The record; `passed` is False, with the reason, if the weights could be loaded but do not work, or not as elsewhere.

    Raises:
        UsageError: there is no such model or encoder.
        UnisonoError, WeightsAbsentError: the weights are not here and cannot be fetched.
        DataError: a file is not the published one.
    """
    known = sorted({*models.names(), *audio.names(), *text.names()})
    if name not in known:
        raise UsageError(f"There is no model {name!r}.{nearest(name, known)}", hint="Known: " + ", ".join(known))
    _fetch(name)
    found: dict[str, TowerRecord] = {}
    failure = ""
    try:
        if name in models.names() or name in text.names():
            found["text"] = _text(name, device)
        if name in audio.names():
            found["audio"] = _audio(name, device)
        differ = [f"{tower}: {each.golden}" for tower, each in found.items() if each.golden not in ("agrees", "none")]
        failure = "; ".join(differ)
    except DataError as error:
        failure = error.message
    return VerificationRecord(
        name=name,
        passed=not failure,
        failure=failure,
        when=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=f"{platform.system()} {platform.machine()}, {device}",
        versions=_versions(),
        files=_files(name),
        **found,
    )


def _fetch(name: str) -> None:
    """Fetch what is not here."""
    if name in audio.names() or name in text.names():
        if is_here(name) is False:
            fetch_encoder(name)
    elif not models.get(name).is_here():
        raise UnisonoError(f"The weights of {name} are not here.", hint=models.spec(name).install)


def _text(name: str, device: str) -> TowerRecord:
    embed: Callable[[list[str]], Floats]
    if name in models.names():
        model = models.get(name).build(device)
        encoder, embed = model.text_encoder, model.embed_text
    else:
        encoder = text.build(name, device)
        embed = encoder.embed
    measured = self_test.check_text(embed, name)
    vectors = dict(zip(GOLDEN_TEXTS, embed(list(GOLDEN_TEXTS)), strict=True))
    return _record(name, "text", encoder.spec.source, encoder.spec.revision, measured, vectors)


def _audio(name: str, device: str) -> TowerRecord:
    encoder = audio.build(name, device)
    spec, embed = encoder.spec, audio.on_arrays(encoder, device)
    measured = self_test.check_audio(embed, name, rate_hz=spec.rate_hz, window_s=spec.window_s)
    heard = embed(self_test.sweep(spec.rate_hz, spec.window_s)[None])[0]
    return _record(name, "audio", spec.source, spec.revision, measured, {"sweep": heard.reshape(-1)})


def _record(
    name: str, tower: str, source: str, revision: str, measured: float, vectors: dict[str, Floats]
) -> TowerRecord:
    return TowerRecord(
        source=source,
        revision=revision,
        measured=round(measured, DECIMALS),
        golden=compare(golden(name).get(tower) or {}, revision, vectors),
        vectors={each: [round(float(number), DECIMALS) for number in vector] for each, vector in vectors.items()},
    )


def golden(name: str) -> dict[str, Any]:
    """Return the golden vectors of a model or encoder; empty if there are none."""
    place = files("unisono.retrieval") / "golden" / f"{name}.json"
    found: dict[str, Any] = json.loads(place.read_text(encoding="utf-8")) if place.is_file() else {}
    return found


def compare(expected: dict[str, Any], revision: str, vectors: dict[str, Floats]) -> str:
    """Compare vectors with golden ones of a tower; return "agrees", "none", or what differs."""
    if not expected or expected["revision"] != revision:
        return "none"
    for each, vector in vectors.items():
        wanted = np.array(expected["vectors"].get(each, ()), dtype=np.float32)
        if wanted.shape != vector.shape:
            return f"{each!r} has {len(vector)} numbers, the golden vector {len(wanted)}"
        apart = float(np.abs(vector - wanted).max() / max(np.abs(wanted).max(), 1e-12))
        if not apart <= TOLERANCE:
            return f"{each!r} differs from the golden vector by {apart:.1%} of its largest number"
    return "agrees"


def _versions() -> dict[str, str]:
    found = {"unisono": __version__, "python": platform.python_version()}
    for package in ("torch", "transformers", "tokenizers", "numpy"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _files(name: str) -> dict[str, dict[str, Any]]:
    """Return what `fetch` recorded of the files; empty for weights of a package, or put there by hand."""
    path = root() / name / RECORD
    try:
        found: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, LookupError):
        return {}
    return found
