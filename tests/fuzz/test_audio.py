"""Whatever a file holds, opening and decoding it ends, in bounded time and memory, with samples or with a fault."""

import os
import random
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from tests.audio.odd_files import Mp3, ape, encoded, flac_of_unknown_length, id3v2, jpeg
from tests.fuzz.rounds import damaged, run
from unisono.audio.decode import Excerpt, decode
from unisono.audio.faults import CUT_SHORT, DAMAGED, NOT_A_NUMBER, SILENT, TOO_SHORT, Fault
from unisono.audio.probe import probe
from unisono.audio.quality import listen
from unisono.tracks.track import Caption, Track

ROUNDS = 25
ABOUT_EXCERPTS = {CUT_SHORT, DAMAGED, NOT_A_NUMBER, SILENT, TOO_SHORT}
"""Faults that only decoding finds."""

KINDS: dict[str, Callable[[], bytes]] = {
    "mp3": lambda: Mp3(4).whole,
    "mp3 without header": lambda: Mp3(4, 22_050, 1, "VARIABLE").audio,
    "mp3 with tags": lambda: id3v2(2000, jpeg(500)) + Mp3(4, 44_100, 1, "VARIABLE").whole + ape(3000),
    "ogg": lambda: encoded(3, 44_100, 2, "OGG", "VORBIS"),
    "chained": lambda: encoded(2, 22_050, 1, "OGG", "VORBIS") + encoded(2, 48_000, 2, "OGG", "OPUS"),
    "flac": lambda: encoded(3, 22_050, 2, "FLAC"),
    "flac of unknown length": lambda: flac_of_unknown_length(encoded(3, 22_050, 1, "FLAC")),
    "wav": lambda: encoded(3, 22_050, 2, "WAV", "FLOAT"),
    "adpcm": lambda: encoded(3, 22_050, 1, "WAV", "IMA_ADPCM"),
    "rf64": lambda: encoded(3, 22_050, 1, "RF64", "PCM_16"),
    "aiff": lambda: encoded(3, 22_050, 2, "AIFF", "PCM_16"),
    "caf": lambda: encoded(3, 22_050, 2, "CAF", "PCM_16"),
    "au": lambda: encoded(3, 22_050, 2, "AU", "PCM_16"),
}
sound = cache(lambda kind: KINDS[kind]())


@pytest.mark.parametrize("kind", KINDS)
def test_every_stage_survives_and_agrees(tmp_path: Path, kind: str) -> None:
    path, outcomes = tmp_path / "a.sound", []

    def trial(chance: random.Random) -> None:
        path.write_bytes(damaged(sound(kind), chance))
        probed = probe(str(path))
        samples = decode(Excerpt(str(path), 0, 20), 16_000)
        found = listen(Track(id="a", audio_path=str(path), duration=3, captions=(Caption("A calm song"),)))
        outcomes.append(not probed.fault and not isinstance(samples, Fault))
        if probed.fault:
            assert isinstance(samples, Fault) and samples.reason == probed.fault
            assert [item.kind for item in found] == ["unreadable"]
        elif isinstance(samples, Fault):
            assert samples.reason in ABOUT_EXCERPTS
        else:
            assert np.isfinite(samples).all()
            assert probed.duration_s * 0.49 < len(samples) / 16_000 < probed.duration_s + 0.1  # a few frames

    run(trial, ROUNDS)
    assert "FUZZ_ROUND" in os.environ or sum(outcomes) > ROUNDS / 8
