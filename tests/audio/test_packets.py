"""The identity of audio: the same after any tagger, another for other audio."""

import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.broken_audio import music
from tests.planted import retag_mp3
from unisono.audio.packets import content_key

CODECS = {
    "mp3": "libmp3lame",
    "flac": "flac",
    "ogg": "libvorbis",
    "opus": "libopus",
    "m4a": "aac",
    "wma": "wmav2",
    "wav": "pcm_s16le",
    "aiff": "pcm_s16be",
    "wv": "wavpack",
    "tta": "tta",
    "oga": "flac",
    "caf": "pcm_s16le",
}


def encode(source: Path, to: Path, *words: str) -> Path:
    subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-bitexact", "-i", str(source), *words, str(to)], check=True)
    return to


@pytest.mark.usefixtures("with_ffmpeg")
@pytest.mark.parametrize("ending", CODECS)
def test_tags_do_not_count(tmp_path: Path, ending: str) -> None:
    for number in range(2):
        soundfile.write(tmp_path / f"{number}.wav", music(2, seed=number), 44_100)
    codec = ["-c:a", CODECS[ending]]
    plain = encode(tmp_path / "0.wav", tmp_path / f"a.{ending}", *codec)
    long = "One title " * 400
    tagged = encode(
        plain, tmp_path / f"b.{ending}", "-c:a", "copy", "-metadata", f"title={long}", "-metadata", "artist=I"
    )
    other = encode(tmp_path / "1.wav", tmp_path / f"c.{ending}", *codec)
    assert plain.read_bytes() != tagged.read_bytes()
    assert content_key(plain) == content_key(tagged)
    assert content_key(plain) != content_key(other)


def test_covers_and_several_tags_of_an_mp3_do_not_count(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.mp3", music(2), 44_100)
    retag_mp3(tmp_path / "a.mp3", tmp_path / "b.mp3")
    retag_mp3(tmp_path / "b.mp3", tmp_path / "c.mp3", cover_bytes=70_000, version_1=False)
    assert len({content_key(tmp_path / f"{name}.mp3") for name in "abc"}) == 1


def test_a_chunk_of_a_wav_that_holds_no_samples_does_not_count(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", music(2), 44_100)
    content = (tmp_path / "a.wav").read_bytes()
    chunk = b"LIST" + struct.pack("<I", 5) + b"INFOx\0"
    (tmp_path / "b.wav").write_bytes(content[:12] + chunk + content[12:] + chunk)
    assert content_key(tmp_path / "a.wav") == content_key(tmp_path / "b.wav")


@pytest.mark.parametrize("ending", ["mp3", "flac", "ogg", "wav", "aiff"])
def test_a_single_byte_of_audio_counts(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a.{ending}"
    soundfile.write(path, music(2), 44_100)
    before = content_key(path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert content_key(path) != before


@pytest.mark.parametrize("start", [b"", b"ID3", b"RIFF", b"FORM", b"OggS", b"fLaC", b"DSD ", b"caff", b"\0\0\0\x20ftyp",
                                   bytes.fromhex("3026b2758e66cf11"), b"APETAGEX", b"\xff\xfb\x90\x64"])  # fmt: skip
def test_any_bytes_have_an_identity(tmp_path: Path, start: bytes) -> None:
    noise = np.random.default_rng(0)
    for size in (0, 3, 40, 5000):
        path = tmp_path / "a"
        path.write_bytes(start + noise.bytes(size))
        assert len(content_key(path)) == 16
