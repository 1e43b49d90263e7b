"""Durations are those of the audio that is there, whatever a header says; the journal saves asking twice."""

import gzip
import os
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import soundfile

from unisono.audio import probe as durations
from unisono.audio.probe import Journal, Probed, probe, probe_all

RATE_HZ = 16_000


def sound(path: Path, seconds: float, rate_hz: int = RATE_HZ, channels: int = 1, **options: str) -> Path:
    noise = np.random.default_rng(0).standard_normal((round(seconds * rate_hz), channels)) * 0.1
    soundfile.write(path, noise.astype(np.float32), rate_hz, **options)
    return path


@pytest.mark.parametrize("name", ["a.mp3", "a.wav", "a.flac", "a.ogg"])
@pytest.mark.parametrize(("rate_hz", "channels"), [(8000, 1), (44_100, 2)])
def test_sound_files(tmp_path: Path, name: str, rate_hz: int, channels: int) -> None:
    path = sound(tmp_path / name, 1.25, rate_hz, channels)
    assert probe(str(path)) == Probed(soundfile.info(path).duration)
    assert probe(str(path)).duration_s == pytest.approx(1.25, abs=0.06)


@pytest.mark.parametrize(("rate_hz", "channels", "seconds"), [(96_000, 6, 0.5), (8000, 1, 600)])
def test_odd_but_sound_files(tmp_path: Path, rate_hz: int, channels: int, seconds: float) -> None:
    assert probe(str(sound(tmp_path / "a.wav", seconds, rate_hz, channels))) == Probed(seconds)


@pytest.mark.parametrize("name", ["a.mp3", "a.flac", "a.ogg", "a.wav"])
def test_cut_files_have_the_duration_of_what_is_there(tmp_path: Path, name: str) -> None:
    path = sound(tmp_path / name, 20)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    probed = probe(str(path))
    there = 0
    try:
        with soundfile.SoundFile(path) as file:
            while frames := len(file.read(1000)):
                there += frames
    except soundfile.SoundFileError:
        pass
    assert not probed.fault
    assert probed.duration_s == pytest.approx(there / RATE_HZ, abs=0.1)
    assert 5 < probed.duration_s < 8
    assert ("cut short" in probed.detail) == (name in ("a.mp3", "a.flac"))


def test_a_tag_before_the_music_hides_no_cut(tmp_path: Path) -> None:
    path = sound(tmp_path / "a.mp3", 20)
    tag = b"ID3\x04\0\0" + bytes([0, 1, 0, 0]) + bytes(1 << 14)
    content = path.read_bytes()
    path.write_bytes(tag + content)
    assert probe(str(path)) == Probed(soundfile.info(path).duration)
    path.write_bytes(tag + content[: len(content) // 2])
    assert "cut short" in probe(str(path)).detail


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("empty.mp3", b"", "audio file empty"),
        ("page.mp3", b"<html>404</html>", "not an audio file"),
        ("zeros.wav", bytes(1000), "not an audio file"),
        (
            "header.wav",
            b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x80>\0\0\0}\0\0\2\0\x10\0data\0\0\0\0",
            "no audio in the file",
        ),
    ],
)
def test_faults(tmp_path: Path, name: str, content: bytes, fault: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    probed = probe(str(path))
    assert probed.fault == fault
    assert str(path) in probed.detail
    assert probed.duration_s == 0


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"\xef\xbb\xbf\n <!DOCTYPE html><title>404</title>", "a page of the web"),
        (b'{"error": "quota"}', "a JSON document"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        (gzip.compress(b"ID3", mtime=0), "compressed by gzip: unpack it"),
        (b"PK\x03\x04", "a zip archive"),
        (b"MThd\0\0\0\x06", "MIDI"),
        (bytes(5000), "nothing but zeros"),
        (b"something else that is not known", "recogni"),
    ],
)
def test_what_is_no_audio_is_named(tmp_path: Path, content: bytes, what: str) -> None:
    (tmp_path / "a.mp3").write_bytes(content)
    probed = probe(str(tmp_path / "a.mp3"))
    assert probed.fault == "not an audio file" and what in probed.detail


def opened(descriptors: Path) -> set[str]:
    """Return what the descriptors of this process name."""
    found = set()
    for each in descriptors.iterdir():
        with suppress(OSError):  # the one of the folder that is listed
            found.add(os.readlink(each))  # noqa: PTH115
    return found


@pytest.mark.parametrize("kind", ["mp3", "flac", "ogg", "wav"])
def test_no_file_stays_open(tmp_path: Path, kind: str) -> None:
    good, bad = sound(tmp_path / f"good.{kind}", 1), tmp_path / f"bad.{kind}"
    bad.write_bytes(b"<html>404</html>")
    descriptors = Path("/proc/self/fd")
    if not descriptors.exists():
        pytest.skip("no list of open files here")
    with good.open("rb"):
        assert str(good) in opened(descriptors)
    assert probe(str(good)).duration_s > 0
    assert probe(str(bad)).fault
    assert not {str(good), str(bad)} & opened(descriptors)


def test_a_file_that_vanished_and_a_folder(tmp_path: Path) -> None:
    assert probe(str(tmp_path / "gone.mp3")).fault == "audio file missing"
    assert probe(str(tmp_path)).fault == "not a regular file"


@pytest.mark.parametrize("workers", [1, 3, None])
def test_results_do_not_depend_on_workers(tmp_path: Path, workers: int | None) -> None:
    paths = [str(sound(tmp_path / f"{n}.wav", 0.01 * (n + 1))) for n in range(150)]
    assert probe_all([*paths, *paths], workers, None) == {
        path: Probed(round(0.01 * (n + 1) * RATE_HZ) / RATE_HZ) for n, path in enumerate(paths)
    }


def test_the_journal_is_used_only_while_the_file_is_the_same(tmp_path: Path, monkeypatch) -> None:
    paths = [str(sound(tmp_path / f"{n}.wav", 1 + n)) for n in range(3)]
    journal = Journal(tmp_path / "journal", resume=False)
    first = probe_all(paths, 1, journal)
    journal.close(forget=False)
    sound(tmp_path / "1.wav", 9)
    asked: list[str] = []
    monkeypatch.setattr(durations, "probe", lambda path: asked.append(path) or probe(path))
    journal = Journal(tmp_path / "journal", resume=True)
    again = probe_all(paths, 1, journal)
    journal.close(forget=True)
    assert asked == [paths[1]]
    assert again == first | {paths[1]: Probed(9.0)}
    assert not (tmp_path / "journal").exists()


def test_a_journal_that_was_damaged_gives_no_wrong_result(tmp_path: Path) -> None:
    paths = [str(sound(tmp_path / f"{n}.wav", 1 + n)) for n in range(3)]
    journal = Journal(tmp_path / "journal", resume=False)
    first = probe_all(paths, 1, journal)
    journal.close(forget=False)
    whole = (tmp_path / "journal").read_bytes()
    generator = np.random.default_rng(0)
    remembered = 0
    for _ in range(60):
        damaged = bytearray(whole)
        damaged[generator.integers(len(whole) - 600, len(whole))] ^= 0x10
        (tmp_path / "journal").write_bytes(
            damaged[: -generator.integers(1, 20)] if generator.random() < 0.3 else damaged
        )
        journal = Journal(tmp_path / "journal", resume=True)
        known = journal.known(paths)
        journal.close(forget=False)
        assert known.items() <= first.items()
        remembered += len(known)
    assert remembered
    journal = Journal(tmp_path / "journal", resume=False)
    assert not journal.known(paths)
    journal.close(forget=True)
