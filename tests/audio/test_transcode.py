"""Audio as MP3, for players that do not know its format."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.broken_audio import music
from unisono.audio.faults import UnusableError
from unisono.audio.transcode import write_mp3


@pytest.mark.parametrize(
    ("name", "rate_hz", "channels", "written"),
    [("a.aiff", 44_100, 2, (44_100, 2)), ("a.flac", 96_000, 1, (44_100, 1)), ("a.wav", 48_000, 6, (48_000, 2))],
)
def test_mp3_sounds_like_what_it_was_made_of(
    tmp_path: Path, name: str, rate_hz: int, channels: int, written: tuple[int, int]
) -> None:
    mono = np.repeat(music(2)[:, :1], channels, axis=1) / channels
    soundfile.write(tmp_path / name, mono, rate_hz)
    write_mp3(tmp_path / name, tmp_path / "a.mp3")
    heard, rate = soundfile.read(tmp_path / "a.mp3", always_2d=True)
    assert (rate, heard.shape[1]) == written
    assert len(heard) / rate == pytest.approx(len(mono) / rate_hz, abs=0.05)
    loudness = [[np.std(part) for part in np.array_split(each[:, 0], 20)] for each in (mono, heard)]
    assert np.corrcoef(loudness)[0, 1] > 0.9


def test_what_is_no_audio_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"secret" * 100)
    with pytest.raises(UnusableError):
        write_mp3(tmp_path / "a.wav", tmp_path / "a.mp3")
