"""Decoding equals soundfile and soxr called bare; every kind of broken file is a fault with its reason."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given
from hypothesis import strategies as st

from tests.broken_audio import BROKEN, music, write_broken, write_music
from unisono.audio.decode import NEGLIGIBLE_REST, Decoder, Excerpt, WindowCutter, count_windows, decode
from unisono.audio.faults import Fault
from unisono.audio.open import Samples
from unisono.audio.probe import probe

BLOCK_FRAMES = 1 << 18
"""Smaller than in use, so that short files are several blocks."""


def decoded(path: Path, rate_hz: int, start_s: float = 0, duration_s: float = 1e9) -> Samples:
    samples = decode(Excerpt(str(path), start_s, duration_s), rate_hz)
    assert not isinstance(samples, Fault), samples
    return samples


@pytest.mark.parametrize("ending", ["wav", "flac", "mp3", "ogg"])
@pytest.mark.parametrize("rate_hz", [16_000, 44_100, 48_000])
def test_equals_soundfile_and_soxr_called_bare(
    tmp_path: Path, ending: str, rate_hz: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unisono.audio.decode.BLOCK_FRAMES", BLOCK_FRAMES)
    path = write_music(tmp_path / f"a.{ending}", 13)
    stereo, native_hz = soundfile.read(path, dtype="float32")
    assert len(stereo) > 2 * BLOCK_FRAMES
    expected = (stereo[:, 0] + stereo[:, 1]) * np.float32(0.5)
    if rate_hz != native_hz:
        expected = soxr.resample(expected, native_hz, rate_hz, "HQ")
    np.testing.assert_array_equal(decoded(path, rate_hz), expected)


@pytest.mark.parametrize("ending", ["wav", "flac", "mp3", "ogg"])
def test_an_excerpt_is_exactly_that_part_of_the_file(tmp_path: Path, ending: str) -> None:
    path = write_music(tmp_path / f"a.{ending}", 8)
    whole = decoded(path, 44_100)
    part = decoded(path, 44_100, start_s=3.2, duration_s=2.5)
    np.testing.assert_array_equal(part, whole[141_120 : 141_120 + 110_250])


@pytest.mark.parametrize("channels", [1, 2, 6])
def test_channels_are_averaged(tmp_path: Path, channels: int) -> None:
    path = write_music(tmp_path / "a.wav", 2, channels=channels)
    samples, _ = soundfile.read(path, dtype="float64", always_2d=True)
    np.testing.assert_allclose(decoded(path, 44_100), samples.mean(axis=1), atol=1e-7)


@pytest.mark.parametrize("native_hz", [8_000, 44_100, 96_000])
def test_any_rate_keeps_pitch_and_length(tmp_path: Path, native_hz: int) -> None:
    tone = np.sin(2 * np.pi * 1000 * np.arange(3 * native_hz) / native_hz).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", tone, native_hz, subtype="FLOAT")
    samples = decoded(tmp_path / "a.wav", 24_000)
    assert len(samples) == 72_000
    expected = np.sin(2 * np.pi * 1000 * np.arange(72_000) / 24_000)
    np.testing.assert_allclose(samples[2000:-2000], expected[2000:-2000], atol=2e-3)


def test_several_rates_in_one_pass_equal_one_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unisono.audio.decode.BLOCK_FRAMES", BLOCK_FRAMES)
    path = write_music(tmp_path / "a.mp3", 13)
    together: dict[int, list[Samples]] = {16_000: [], 22_050: [], 44_100: []}
    for block in Decoder(set(together)).blocks(Excerpt(str(path), 0, 13)):
        assert not isinstance(block, Fault)
        for rate_hz, samples in block.items():
            together[rate_hz].append(samples.copy())
    for rate_hz, blocks in together.items():
        np.testing.assert_array_equal(np.concatenate(blocks), decoded(path, rate_hz, 0, 13))


def test_a_decoder_is_not_changed_by_what_it_decoded_before(tmp_path: Path) -> None:
    decoder = Decoder({24_000})
    first = write_music(tmp_path / "a.wav", 3, seed=1)
    for how in ("not a number", "cut mp3", "silent"):
        list(decoder.blocks(Excerpt(str(write_broken(tmp_path / f"{how}.mp3", how)), 0, 10)))
    blocks = [block for block in decoder.blocks(Excerpt(str(first), 0, 3)) if not isinstance(block, Fault)]
    assert len(blocks) == 2
    list(decoder.blocks(Excerpt(str(write_music(tmp_path / "six.wav", 3, channels=6)), 0, 3)))
    again = [
        block[24_000].copy() for block in decoder.blocks(Excerpt(str(first), 0, 3)) if not isinstance(block, Fault)
    ]
    np.testing.assert_array_equal(np.concatenate(again), decoded(first, 24_000))


@pytest.mark.parametrize("how", BROKEN)
def test_broken_files_are_faults(tmp_path: Path, how: str) -> None:
    fault = decode(Excerpt(str(write_broken(tmp_path / "a.mp3", how)), 0, 10), 24_000)
    assert isinstance(fault, Fault)
    assert fault.reason == BROKEN[how][0]
    assert fault.lasting == (how != "missing")


def test_of_an_encoding_that_only_ffmpeg_may_know_both_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    path = tmp_path / "g721.au"
    path.write_bytes(b".snd" + np.array([24, 2000, 24, 8000, 1], ">u4").tobytes() + bytes(2000))
    probed = probe(str(path))
    assert probed.fault == "not an audio file"
    assert "not recognised" in probed.detail and "apt install ffmpeg" in probed.detail


@pytest.mark.parametrize(
    ("name", "begin", "what"),
    [
        ("a.m4a", b"\0\0\0\x20ftypM4A \0\0\0\0", "AAC or ALAC in MP4 (m4a)"),
        ("b c.mp4", b"\0\0\0\x18ftypmp42\0\0\0\0", "AAC or ALAC in MP4 (m4a)"),
        ("a.aac", b"\xff\xf1\x50\x80\x02\x1f\xfc", "AAC"),
        ("a.wma", b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9", "WMA"),
        ("a.ape", b"MAC \x96\x0f", "Monkey's Audio"),
    ],
)
def test_formats_that_need_ffmpeg_are_named_with_how_to_install_it(
    tmp_path: Path, name: str, begin: bytes, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    path = tmp_path / name
    path.write_bytes(begin + np.random.default_rng(0).bytes(2000))
    fault = decode(Excerpt(str(path), 0, 10), 24_000)
    assert isinstance(fault, Fault)
    assert fault.reason == f"{what}: needs ffmpeg"
    assert "apt install ffmpeg" in fault.detail
    assert not fault.lasting, "it is decoded once ffmpeg is there"
    probed = probe(str(path))
    assert probed.fault == fault.reason
    assert fault.detail in probed.detail


def test_opus_is_decoded(tmp_path: Path) -> None:
    samples = music(5, rate_hz=48_000)
    soundfile.write(tmp_path / "a.opus", samples, 48_000, format="OGG", subtype="OPUS")
    heard = decoded(tmp_path / "a.opus", 48_000)
    assert abs(len(heard) - len(samples)) < 2000
    loud = np.abs(samples.mean(axis=1)[5000:-5000]).mean()
    assert np.abs(heard[5000:-5000]).mean() == pytest.approx(loud, rel=0.1)


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_a_file_that_may_not_be_read_is_a_fault(tmp_path: Path) -> None:
    path = write_music(tmp_path / "a.wav", 2)
    path.chmod(0)
    fault = decode(Excerpt(str(path), 0, 2), 24_000)
    assert isinstance(fault, Fault)
    assert (fault.reason, fault.lasting) == ("audio file unreadable", False)


@pytest.mark.parametrize("path", ["/", "/dev/null", "/nowhere/a.mp3", "a\0b.mp3", "x" * 5000 + ".mp3", "/etc/passwd"])
def test_odd_paths_are_faults(path: str) -> None:
    assert isinstance(decode(Excerpt(path, 0, 10), 24_000), Fault)


def test_an_excerpt_beyond_the_end_is_too_short(tmp_path: Path) -> None:
    path = write_music(tmp_path / "a.wav", 5)
    for start_s in (4.5, 5, 60):
        fault = decode(Excerpt(str(path), start_s, 10), 24_000)
        assert isinstance(fault, Fault)
        assert fault.reason == "too short"
    assert len(decoded(path, 24_000, start_s=3, duration_s=10)) == 48_000


def test_a_file_cut_where_the_record_says_so_is_used(tmp_path: Path) -> None:
    """Whoever measured the cut file knows that 4 s of it are there; these are whole."""
    path = write_broken(tmp_path / "a.mp3", "cut mp3")
    assert len(decoded(path, 24_000, duration_s=4)) == 96_000


@pytest.mark.parametrize("name", ["тест", "音楽", "موسيقى", "naïve café", "a'b\"c", "🎵", "-rf", "a\nb", "%20 +&"])
def test_names_in_any_script(tmp_path: Path, name: str) -> None:
    path = write_music(tmp_path / f"{name}.wav", 1.5)
    assert len(decoded(path, 24_000)) == 36_000


def test_three_hours_are_read_in_bounded_memory(tmp_path: Path) -> None:
    script = (
        "import sys, resource\n"
        "from unisono.audio.decode import Decoder, Excerpt\n"
        "decoder = Decoder({24000})\n"
        "list(decoder.blocks(Excerpt(sys.argv[2], 0, 20)))\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "n = sum(len(block[24000]) for block in decoder.blocks(Excerpt(sys.argv[1], 0, 10800)))\n"
        "print(n, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    long, short = tmp_path / "long.wav", write_music(tmp_path / "short.wav", 20, rate_hz=8000, channels=1)
    with soundfile.SoundFile(long, "w", 8000, 1) as file:
        minute = music(60, 8000, 1)
        for _ in range(180):
            file.write(minute)
    done = subprocess.run([sys.executable, "-c", script, long, short], capture_output=True, text=True, check=True)
    samples, grown_kib = map(int, done.stdout.split())
    assert samples == 10_800 * 24_000
    assert grown_kib < 50_000  # the whole would be 1,000,000


@given(
    length=st.integers(1, 400),
    window=st.integers(1, 60),
    hop_share=st.floats(0.1, 1),
    pieces=st.lists(st.integers(1, 90), min_size=1, max_size=8),
)
def test_windows_cover_the_stream_whatever_its_pieces(
    length: int, window: int, hop_share: float, pieces: list[int]
) -> None:
    hop = max(1, int(window * hop_share))
    stream = np.arange(1, length + 1, dtype=np.float32)
    cutter = WindowCutter(window, hop)
    found, position, turn = [], 0, 0
    while position < length:
        piece = stream[position : position + pieces[turn % len(pieces)]]
        found += [samples.copy() for samples in cutter.push(piece)]
        position, turn = position + len(piece), turn + 1
    found += list(cutter.rest())

    if length < window:
        assert [samples.tolist() for samples in found] == [np.resize(stream, window).tolist()]
        return
    starts = list(range(0, length - window + 1, hop))
    rest = length - (starts[-1] + window)
    if rest and rest >= NEGLIGIBLE_REST * window:
        starts.append(length - window)
    assert [samples.tolist() for samples in found] == [stream[start : start + window].tolist() for start in starts]


@pytest.mark.parametrize(
    ("duration_s", "count"), [(1, 1), (9.9, 1), (10, 1), (10.2, 1), (10.6, 2), (20, 2), (29.97, 3), (30.03, 3), (31, 4)]
)
def test_windows_are_counted_as_they_are_cut(duration_s: float, count: int) -> None:
    cutter = WindowCutter(1000, 1000)
    found = [*cutter.push(np.zeros(round(duration_s * 100), np.float32)), *cutter.rest()]
    assert len(found) == count
    assert count_windows(duration_s, 10, 10) == count


def test_overlapping_windows_are_counted_as_they_are_cut() -> None:
    for duration_s in (4, 5, 7, 7.4, 12.3, 30):
        cutter = WindowCutter(500, 250)
        found = [*cutter.push(np.zeros(round(duration_s * 100), np.float32)), *cutter.rest()]
        assert count_windows(duration_s, 5, 2.5) == len(found)


def test_a_hop_beyond_the_window_is_refused() -> None:
    with pytest.raises(ValueError, match="hop"):
        WindowCutter(100, 101)
