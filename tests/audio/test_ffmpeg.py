"""What libsndfile cannot decode, decoded by ffmpeg: lengths, places, and files that are not what they seem."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.audio.odd_files import id3v2
from tests.broken_audio import music
from unisono.audio import ffmpeg
from unisono.audio.decode import Excerpt, decode
from unisono.audio.faults import Fault, Foreign
from unisono.audio.probe import probe

pytestmark = pytest.mark.usefixtures("with_ffmpeg")


@pytest.fixture(scope="module")
def samples() -> np.ndarray:
    return music(4)


def made(path: Path, samples: np.ndarray, codec: str, *more: str) -> Path:
    wav = path.with_suffix(".source.wav")
    soundfile.write(wav, samples, 44_100)
    command = ["ffmpeg", "-nostdin", "-v", "error", "-i", str(wav), *more, "-c:a", codec, str(path)]
    subprocess.run(command, check=True)
    wav.unlink()
    return path


@pytest.mark.parametrize(
    ("name", "codec", "difference"),
    [
        ("a.m4a", "alac", 1e-4),
        ("a.wv", "wavpack", 1e-4),
        ("-a b.m4a", "aac", 0.2),
        ("a.wma", "wmav2", None),
        ("a.aac", "aac", None),
        ("a.oga", "flac", 1e-4),
        ("a.caf", "alac", 1e-4),
        ("a.avi", "pcm_s16le", 1e-4),
        ("a.wav", "adpcm_yamaha", 0.2),
        ("a.ts", "mp2", None),
        ("a.flv", "aac", None),
    ],
)
def test_what_is_decoded_is_what_was_encoded(
    tmp_path: Path, samples: np.ndarray, name: str, codec: str, difference: float | None
) -> None:
    path = made(tmp_path / name, samples, codec)
    assert probe(str(path)).duration_s == pytest.approx(4, abs=0.1)
    heard = decode(Excerpt(str(path), 0, 4), 44_100)
    assert not isinstance(heard, Fault), heard
    mono = samples.mean(axis=1)
    count = min(len(heard), len(mono))
    assert count > 0.98 * len(mono)
    if difference is not None:
        assert np.abs(heard[:count] - mono[:count]).max() < difference
    part = decode(Excerpt(str(path), 2, 1), 44_100)
    assert not isinstance(part, Fault)
    assert len(part) == 44_100
    if codec in ("alac", "wavpack"):
        np.testing.assert_array_equal(part, heard[88_200:132_300])


@pytest.mark.parametrize("content", [b"\0\0\0\x20ftypM4A " + bytes(4000), b"MAC \x96\x0f" + bytes(4000)])
def test_a_file_that_only_begins_so_is_a_fault(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.m4a").write_bytes(content)
    probed = probe(str(tmp_path / "a.m4a"))
    assert probed.fault == "not an audio file"
    assert "ffmpeg" in probed.detail


def test_a_video_without_sound_is_a_fault(tmp_path: Path) -> None:
    command = ["ffmpeg", "-nostdin", "-v", "error", "-f", "lavfi", "-i", "color=s=16x16:d=1", str(tmp_path / "a.mp4")]
    if subprocess.run(command, check=False).returncode:
        pytest.skip("this ffmpeg encodes no video")
    assert probe(str(tmp_path / "a.mp4")).fault == "no audio in the file"


def test_a_program_that_says_nothing_is_ended(
    tmp_path: Path, samples: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = made(tmp_path / "a.m4a", samples, "alac")
    sound = ffmpeg.open_foreign(str(path), Foreign("m4a", "mov"))
    monkeypatch.setattr(ffmpeg, "STALL_S", 0.1)
    monkeypatch.setattr(sound, "_start", lambda: subprocess.Popen(["sleep", "60"], stdout=subprocess.PIPE))
    with pytest.raises(soundfile.SoundFileRuntimeError, match="says nothing"):
        sound.read(out=np.zeros((10, 2), np.float32))


def test_frames_of_aac_behind_a_tag_that_cannot_be_decoded(tmp_path: Path) -> None:
    noise = np.random.default_rng(0)
    frames = b"".join(b"\xff\xf1\x50\x80\x2e\x7f\xfc" + noise.bytes(364) for _ in range(13))
    (tmp_path / "a.mp3").write_bytes(id3v2(300) + frames)
    assert probe(str(tmp_path / "a.mp3")).fault in ("no audio in the file", "not an audio file")


def test_a_musepack_file_is_as_long_as_it_decodes() -> None:
    """Made by mpcenc of 3 s; ffprobe says 1.7 s of it."""
    assert probe(str(Path(__file__).with_name("click.mpc"))).duration_s == pytest.approx(3, abs=0.05)


def test_a_file_behind_a_tag_is_read_from_there(tmp_path: Path, samples: np.ndarray) -> None:
    """MP4 says where in the file its samples are."""
    content = made(tmp_path / "a, b.m4a", samples, "alac").read_bytes()
    expected = decode(Excerpt(str(tmp_path / "a, b.m4a"), 0, 4), 44_100)
    (tmp_path / "a, b.m4a").write_bytes(id3v2(5000) + content)
    assert probe(str(tmp_path / "a, b.m4a")).duration_s == pytest.approx(4, abs=0.1)
    np.testing.assert_array_equal(decode(Excerpt(str(tmp_path / "a, b.m4a"), 0, 4), 44_100), expected)
