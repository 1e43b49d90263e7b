"""Whether a network works at all: one that was never trained, or whose weights were lost, maps all to one vector.

Weights are tested when they are loaded for the first time; that they passed is noted in `<root>/.tested/<name>.json`.
"""

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from unisono.base.errors import DataError
from unisono.base.files import write_whole
from unisono.embeddings.encoders.weights import root

TEXTS = (
    "death metal with screaming vocals and fast double-bass drums",
    "a quiet solo harp",
    "cheerful children's choir",
    "deep house for a club",
    "lonely blues guitar",
    "baroque harpsichord music",
    "hip-hop beat with a male rapper",
    "sad slow string quartet",
    "loud punk rock",
    "Indian sitar and tabla",
    "dreamy ambient synthesizer",
    "a woman sings jazz",
)
"""Descriptions of music that nobody would confuse."""
HINT = "Its weights were probably never trained, or were lost in a conversion. Use another model or other weights."
COLLAPSED = 0.98
"""The mean cosine of two of them must be lower."""
NEAR = 1e-4
"""A sine sweep and silence must differ by more than this in some number."""

Floats = NDArray[np.float32]
Tower = Literal["text", "audio"]


def check_text(embed: Callable[[list[str]], Floats], name: str) -> float:
    """Refuse a model whose text tower, from n texts to [n, D], does not tell contrasting descriptions apart.

    Return the mean cosine of two of them.

    Raises:
        DataError: numbers are not finite, or the vectors are nearly the same; the message has what was measured.
    """
    vectors = _finite(embed(list(TEXTS)), name, "texts").astype(np.float64)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = vectors / np.where(lengths > 0, lengths, 1)
    count = len(TEXTS)
    cosine = float((unit @ unit.T)[np.triu_indices(count, 1)].mean())
    if cosine >= COLLAPSED or not lengths.all():
        raise DataError(
            f"The text tower of {name} does not work: {count} contrasting descriptions have a mean cosine of {cosine:.4f} "
            f"(it must be below {COLLAPSED}).",
            hint=HINT,
        )
    return cosine


def sweep(rate_hz: int, window_s: float) -> Floats:
    """Return a sine that sweeps from 100 Hz to four tenths of the sample rate, [samples]."""
    time_s = np.arange(round(rate_hz * window_s)) / rate_hz
    phase = 2 * np.pi * (100 * time_s + (0.4 * rate_hz - 100) * time_s**2 / (2 * window_s))
    return (0.5 * np.sin(phase)).astype(np.float32)


def check_audio(embed: Callable[[Floats], Floats], name: str, *, rate_hz: int, window_s: float) -> float:
    """Refuse a model whose audio tower, from [B, samples] to [B, D], maps a sine sweep and silence to one vector.

    Return by how much the two differ in the number where they differ most.

    Raises:
        DataError: numbers are not finite, or the vectors are the same.
    """
    heard = sweep(rate_hz, window_s)
    windows = np.stack([heard, np.zeros_like(heard)])
    vectors = _finite(embed(windows), name, "audio")
    apart = float(np.abs(vectors[0] - vectors[1]).max())
    if apart <= NEAR:
        raise DataError(
            f"The audio tower of {name} does not work: a sine sweep and silence differ by {apart:.1e} at most.",
            hint=HINT,
        )
    return apart


def has_passed(name: str, tower: Tower, revision: str) -> bool:
    """Return whether the weights of that revision passed the test before."""
    return _noted(name).get(tower) == revision


def note_passed(name: str, tower: Tower, revision: str) -> None:
    """Note that they passed; where it cannot be noted, they are tested again the next time."""
    with suppress(OSError):
        _note(name).parent.mkdir(parents=True, exist_ok=True)
        write_whole(_note(name), json.dumps({**_noted(name), tower: revision}) + "\n")


def _note(name: str) -> Path:
    return root() / ".tested" / f"{name}.json"


def _noted(name: str) -> dict[str, str]:
    try:
        found = json.loads(_note(name).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _finite(vectors: Floats, name: str, what: str) -> Floats:
    if not np.isfinite(vectors).all():
        raise DataError(f"The model {name} does not work: its vectors of {what} are not finite.")
    return vectors
