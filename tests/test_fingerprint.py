"""Copies of a recording are found whatever was done to them, and nothing else is."""

import io
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from unisono.audio import Decoder, Excerpt, Fault
from unisono.cli import main
from unisono.fingerprint import RATE_HZ, Fingerprint, fingerprint, of_samples, same_audio
from unisono.track import Track, read_tracks, write_tracks

SOURCE_HZ = 22_050
SECONDS = 10


def music(seed: int) -> np.ndarray:
    """Random notes of a scale, several at a time, with overtones."""
    source = np.random.default_rng(seed)
    sound = np.zeros(SOURCE_HZ * SECONDS)
    base, step_s = source.integers(48, 60), source.uniform(0.15, 0.4)
    for at_s in np.arange(0, SECONDS, step_s):
        for _ in range(source.integers(1, 4)):
            pitch = base + 12 * source.integers(0, 3) + source.choice([0, 2, 4, 5, 7, 9, 11])
            length = min(round(step_s * source.integers(1, 5) * SOURCE_HZ), len(sound) - round(at_s * SOURCE_HZ))
            time_s = np.arange(length) / SOURCE_HZ
            partials = [
                amount * np.sin(2 * np.pi * 440 * 2 ** ((pitch - 69) / 12) * n * time_s)
                for n, amount in ((1, 1), (2, 0.5), (3, 0.3))
            ]
            begin = round(at_s * SOURCE_HZ)
            sound[begin : begin + length] += sum(partials) * np.exp(-3 * time_s) * source.uniform(0.3, 1)
    return 0.25 * sound / np.abs(sound).max()


def copy(sound: np.ndarray, number: int, folder: Path) -> Path:
    """Write one of five kinds of copies."""
    kind, rate_hz, ending = number % 5, SOURCE_HZ, "mp3"
    if kind in (1, 4):
        sound = sound[round((1 + number % 4) * SOURCE_HZ) :]
    if kind in (2, 4):
        sound = sound * 10 ** ((6 if number % 2 else -6) / 20)
    if kind in (3, 4):
        sound, rate_hz = soxr.resample(sound, SOURCE_HZ, 16_000), 16_000
    if kind == 3:
        ending = "wav"
    path = folder / f"copy{number}.{ending}"
    options = {"bitrate_mode": "CONSTANT", "compression_level": 0.7} if ending == "mp3" else {"subtype": "PCM_16"}
    soundfile.write(path, sound, rate_hz, **options)
    return path


def take(path: Path) -> Fingerprint:
    taken = fingerprint(Decoder({RATE_HZ}), Excerpt(str(path), 0, 60))
    assert not isinstance(taken, Fault)
    return taken


def test_planted_copies_are_found_and_nothing_else(tmp_path: Path) -> None:
    originals, copies = [], []
    for number in range(25):
        sound = music(number)
        path = tmp_path / f"original{number}.wav"
        soundfile.write(path, sound, SOURCE_HZ, subtype="PCM_24")
        originals.append(take(path))
        copies.append(take(copy(sound, number, tmp_path)))
    found = list(same_audio(originals, copies))
    assert {(same.first, same.second) for same in found} == {(number, number) for number in range(25)}
    for same in found:
        trimmed_s = 1 + same.first % 4 if same.first % 5 in (1, 4) else 0
        assert same.offset_s == pytest.approx(trimmed_s, abs=0.1)
        assert same.different < 0.2
    assert list(same_audio(originals[:10], copies[10:])) == []


def test_gain_changes_nothing() -> None:
    sound = soxr.resample(music(1), SOURCE_HZ, RATE_HZ).astype(np.float32)
    assert np.array_equal(of_samples(sound), of_samples(sound / 4))


@pytest.mark.parametrize("samples", [np.zeros(0), np.zeros(3000), np.zeros(RATE_HZ * 10)])
def test_silence_and_shreds_match_nothing(samples: np.ndarray) -> None:
    taken = of_samples(samples.astype(np.float32))
    others = [of_samples(soxr.resample(music(1), SOURCE_HZ, RATE_HZ).astype(np.float32))]
    assert list(same_audio([taken], others)) == []
    assert list(same_audio([], others)) == []


def test_leaks_and_dedupe_listen_if_asked(tmp_path: Path) -> None:
    def track(path: Path, **fields) -> Track:
        caption = f"The one piece that is called {path.stem}"
        return Track(id=path.stem, audio_path=str(path), caption=caption, duration=SECONDS, **fields)

    paths = []
    for number in (1, 2):
        paths.append(tmp_path / f"original{number}.wav")
        soundfile.write(paths[-1], music(number), SOURCE_HZ)
    copied = copy(music(1), 0, tmp_path)
    train, benchmark = tmp_path / "train.json", tmp_path / "benchmark.json"
    write_tracks(train, map(track, paths))
    write_tracks(benchmark, [track(copied), track(tmp_path / "gone.mp3")])
    assert "No leaks" in run("leaks", train, benchmark)
    said = run("leaks", train, benchmark, "--match", "audio", code=1)
    assert (
        "audio" in said and "original1" in said and "1 of 2 records could not be listened to" in " ".join(said.split())
    )
    run("leaks", train, benchmark, "--match", "ids", "audio", "--remove")
    assert [item.id for item in read_tracks(tmp_path / "train.clean.json")] == ["original2"]
    write_tracks(train, map(track, [*paths, copied]))
    assert "3 records left" in run("dedupe", train)
    assert "2 records left" in run("dedupe", train, "--audio")


def run(*words: str | Path, code: int = 0) -> str:
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said), pytest.raises(SystemExit) as end:
        main([*map(str, words)])
    assert (end.value.code or 0) == code, said.getvalue()
    return said.getvalue()
