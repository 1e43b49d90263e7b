"""Files that play in ordinary players have their true length in every stage, and are used whole."""

import struct
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.audio.odd_files import (
    Mp3,
    ape,
    encoded,
    flac_of_unknown_length,
    id3v1,
    id3v2,
    jpeg,
    lyrics3,
    wav,
    written,
)
from tests.broken_audio import music
from tests.making import in_turn
from unisono.audio import mp3 as mp3_lengths
from unisono.audio.decode import Decoder, Excerpt, decode
from unisono.audio.faults import ABSURD_RATE, CUT_SHORT, NO_AUDIO, NOT_A_FILE, NOT_AUDIO, Fault
from unisono.audio.open import Samples, measure, open_audio
from unisono.audio.probe import Probed, probe
from unisono.audio.quality import listen
from unisono.tracks.track import Caption, Track

made = cache(Mp3)

MP3_KINDS = [
    (44_100, 2, "CONSTANT"),
    (44_100, 1, "VARIABLE"),
    (48_000, 2, "AVERAGE"),
    (32_000, 1, "CONSTANT"),
    (22_050, 1, "VARIABLE"),
    (24_000, 2, "CONSTANT"),
    (16_000, 2, "VARIABLE"),
    (11_025, 2, "AVERAGE"),
    (8_000, 1, "VARIABLE"),
]
EVERY_KIND = pytest.mark.parametrize(("rate_hz", "channels", "mode"), MP3_KINDS)


def found_in(path: str, duration_s: float = 1.0) -> set[str]:
    """Return the kinds of findings that `check` has about a file."""
    track = Track(id="a", audio_path=path, duration=duration_s, captions=(Caption("A calm song"),))
    return {finding.kind for finding in listen(track)}


def decoded_s(path: str, start_s: float = 0, duration_s: float = 1e6) -> float:
    """Return how long the decoded excerpt is."""
    samples = decode(Excerpt(path, start_s, duration_s), 16_000)
    assert not isinstance(samples, Fault), samples
    return len(samples) / 16_000


def all_agree(path: str, seconds: float, tolerance_s: float = 0.03) -> Probed:
    """Check that unify's probe, prepare's decoder and `check` agree that a file is good and this long."""
    probed = probe(path)
    assert not probed.fault, probed
    assert probed.duration_s == pytest.approx(seconds, abs=tolerance_s)
    assert decoded_s(path, 0, probed.duration_s) == pytest.approx(probed.duration_s, abs=0.01)
    assert decoded_s(path) == pytest.approx(probed.duration_s, abs=0.01)
    assert decoded_s(path, seconds / 2) == pytest.approx(seconds / 2, abs=tolerance_s + 0.01)
    assert not found_in(path, probed.duration_s) - {"clipped"}
    return probed


@EVERY_KIND
def test_mp3_with_and_without_its_header(tmp_path: Path, rate_hz: int, channels: int, mode: str) -> None:
    file = made(8, rate_hz, channels, mode)
    path = written(tmp_path / "a.mp3", file.whole)
    assert probe(path) == Probed(soundfile.info(path).duration)
    all_agree(path, 8, 1e-6)
    all_agree(written(tmp_path / "bare.mp3", file.audio), file.all_frames_s, 0.08)
    all_agree(written(tmp_path / "vbri.mp3", file.with_vbri()), file.all_frames_s, 0.08)
    all_agree(written(tmp_path / "lying.mp3", file.with_vbri(3 * len(file.frames))), file.all_frames_s, 0.08)


@pytest.mark.parametrize(("kind", "factor"), in_turn(MP3_KINDS, [0, 0.5, 2, 1000]))
def test_mp3_whose_header_lies(tmp_path: Path, kind: tuple[int, int, str], factor: float) -> None:
    file = made(8, *kind)
    frames = round(factor * len(file.frames))
    all_agree(written(tmp_path / "a.mp3", file.stating(frames)), 8, 0.2)
    all_agree(written(tmp_path / "tagged.mp3", id3v2(5000) + file.stating(frames) + id3v1()), 8, 0.2)
    assert (
        probe(written(tmp_path / "size.mp3", file.stating(None, round(len(file.whole) * factor))))
        == pytest.approx(probe(written(tmp_path / "b.mp3", file.whole)), abs=0.2)
        or factor > 1
    )


@pytest.mark.parametrize(("kind", "flags"), in_turn(MP3_KINDS, [0, 1, 2, 4, 8]))
def test_mp3_whose_header_says_little(tmp_path: Path, kind: tuple[int, int, str], flags: int) -> None:
    file = made(8, *kind)
    all_agree(written(tmp_path / "a.mp3", file.stating(flags=flags)), 8, 0.2)


TAGS: dict[str, Callable[[], tuple[bytes, bytes]]] = {
    "none": lambda: (b"", b""),
    "empty": lambda: (id3v2(0), b""),
    "small": lambda: (id3v2(300), id3v1()),
    "cover": lambda: (id3v2(200_000, jpeg(5000)), id3v1()),
    "large cover": lambda: (id3v2(3_000_000, jpeg(5000)), b""),
    "two": lambda: (id3v2(5000) + id3v2(70_000, jpeg(9000)), id3v1()),
    "APE": lambda: (b"", ape(150_000)),
    "APE and ID3v1": lambda: (id3v2(100), ape(90_000) + id3v1()),
    "APE in front": lambda: (ape(20_000), b""),
    "lyrics": lambda: (b"", lyrics3(30_000)),
    "cover behind": lambda: (b"", jpeg(100_000)),
    "ID3v2 behind": lambda: (b"", id3v2(100_000, jpeg(7000))),
    "zeros": lambda: (bytes(4096), bytes(100_000)),
    "noise": lambda: (np.random.default_rng(1).bytes(20_000), np.random.default_rng(2).bytes(20_000)),
    "page": lambda: (b"HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\n\r\n", b"</html>"),
}


@pytest.mark.parametrize(("tags", "kind"), in_turn([*TAGS], MP3_KINDS[:4]))
def test_mp3_with_tags_and_junk_at_both_ends(tmp_path: Path, tags: str, kind: tuple[int, int, str]) -> None:
    file = made(8, *kind)
    before, behind = TAGS[tags]()
    all_agree(written(tmp_path / "stated.mp3", before + file.whole + behind), 8, 0.06)
    probed = all_agree(written(tmp_path / "bare.mp3", before + file.audio + behind), file.all_frames_s, 0.08)
    assert not probed.detail


@pytest.mark.parametrize("size", [10, 40_000, 10_000_000])
def test_mp3_with_a_tag_of_a_wrong_size(tmp_path: Path, size: int) -> None:
    file = made(8)
    tag = bytearray(id3v2(20_000, jpeg(3000)))
    tag[6:10] = bytes([size >> shift & 127 for shift in (21, 14, 7, 0)])
    skipped_s = 20_000 / len(file.audio) * 8 if size == 40_000 else 0
    all_agree(written(tmp_path / "a.mp3", bytes(tag) + file.whole), 8 - skipped_s, 0.2)


@pytest.mark.parametrize(("kind", "share"), in_turn(MP3_KINDS, [0.3, 0.97, 0.5, 0.97]))
def test_mp3_that_was_cut(tmp_path: Path, kind: tuple[int, int, str], share: float) -> None:
    file = made(8, *kind)
    room, there = round(share * len(file.audio)), 0
    for frame in file.frames:
        room -= len(frame)
        there += room >= 0
    there_s = there * file.frame_s
    bare = written(tmp_path / "bare.mp3", file.audio[: round(share * len(file.audio))])
    assert not all_agree(bare, there_s, 0.08).detail
    cut = written(tmp_path / "cut.mp3", id3v2(999) + file.header + file.audio[: round(share * len(file.audio))])
    probed = probe(cut)
    assert probed.duration_s == pytest.approx(there_s, abs=0.15)
    assert "cut short" in probed.detail and not probed.fault
    assert decoded_s(cut, 0, probed.duration_s) == pytest.approx(probed.duration_s, abs=0.01)
    fault = decode(Excerpt(cut, 0, 8), 16_000)
    assert (isinstance(fault, Fault) and fault.reason == CUT_SHORT) == (share < 0.9), fault


@pytest.mark.parametrize(
    ("kind", "what", "place"),
    in_turn(MP3_KINDS, ["zeros", "noise", "tag", "gap"], [0.1, 0.1, 0.1, 0.1, 0.93, 0.93, 0.93]),
)
def test_mp3_with_a_hole_is_used_on_both_sides(
    tmp_path: Path, kind: tuple[int, int, str], what: str, place: float, caplog: pytest.LogCaptureFixture
) -> None:
    file = made(8, *kind)
    begin, size = round(place * len(file.audio)), round(0.05 * len(file.audio))
    filling = {
        "zeros": bytes(size),
        "noise": np.random.default_rng(1).bytes(size),
        "tag": id3v2(size - 10, jpeg(size)),
        "gap": b"",
    }[what]
    for name, header in (("stated", file.header), ("bare", b"")):
        content = header + file.audio[:begin] + filling + file.audio[begin + size :]
        path = written(tmp_path / f"{name}.mp3", content)
        probed = probe(path)
        assert not probed.fault
        assert 7 < probed.duration_s < 8.3
        caplog.clear()
        assert 7 < decoded_s(path, 0, probed.duration_s) < 8.2
        if what in ("zeros", "noise"):
            assert "damaged at" in caplog.text
            with open_audio(path) as audio:
                assert audio.holes[0].at_s == pytest.approx(8 * place, abs=1.5)
                assert audio.lost_s(0, 9) == pytest.approx(0.4, abs=0.3)
            found = found_in(path, probed.duration_s)
            assert "damaged" in found and not found & {"unreadable", "silent", "duration"}
            assert name == "stated" or "damaged at" in probed.detail


def test_what_follows_a_hole_sounds_as_it_did(tmp_path: Path) -> None:
    file = made(8)
    begin, size = len(file.audio) // 2 + 100, 3000
    damaged = file.header + file.audio[:begin] + bytes(size) + file.audio[begin + size :]
    whole = decode(Excerpt(written(tmp_path / "whole.mp3", file.whole), 0, 8), 16_000)
    rest = decode(Excerpt(written(tmp_path / "damaged.mp3", damaged), 0, 8), 16_000)
    assert not isinstance(whole, Fault) and not isinstance(rest, Fault)
    np.testing.assert_allclose(rest[:60_000], whole[:60_000], atol=1e-4)
    shift = max(
        range(-20, 20), key=lambda at: float(np.dot(rest[-50_000 + at - 20 : -100 + at - 20], whole[-50_020:-120]))
    )
    np.testing.assert_allclose(rest[-50_000 + shift - 20 : -100 + shift - 20], whole[-50_020:-120], atol=0.05)


def test_an_mp3_that_is_mostly_damaged_is_as_long_as_its_rest(tmp_path: Path) -> None:
    file = made(8)
    begin, end = len(file.audio) // 6, len(file.audio) * 5 // 6
    path = written(tmp_path / "a.mp3", file.header + file.audio[:begin] + bytes(end - begin) + file.audio[end:])
    assert probe(path).duration_s == pytest.approx(8 / 3, abs=0.3)
    assert "damaged at" in probe(path).detail
    assert decoded_s(path, 0, probe(path).duration_s) == pytest.approx(8 / 3, abs=0.3)


def test_mp3s_one_after_the_other(tmp_path: Path) -> None:
    one, other = made(8), made(5)
    for name, content in {
        "whole": one.whole + other.whole,
        "tagged": id3v2(3000) + one.whole + id3v1() + id3v2(9000, jpeg(4000)) + other.whole + id3v1(),
        "bare": one.audio + other.audio,
    }.items():
        all_agree(written(tmp_path / f"{name}.mp3", content), 13.1, 0.15)


@pytest.mark.parametrize("frames", [80, 100])
def test_short_mp3(tmp_path: Path, frames: int) -> None:
    file = made(8)
    all_agree(written(tmp_path / "a.mp3", b"".join(file.frames[:frames])), frames * file.frame_s, 0.03)


def test_an_honest_header_is_not_doubted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mp3_lengths, "walk", lambda *_: pytest.fail("all frames were read"))
    for at, kind in enumerate(MP3_KINDS):
        assert probe(written(tmp_path / f"{at}.mp3", id3v2(500) + made(8, *kind).whole + id3v1())) == Probed(8.0)


@pytest.mark.parametrize("between", [b"", id3v1() + id3v2(500), bytes(700)])
def test_files_of_several_kinds_that_were_joined_are_read_to_their_end(tmp_path: Path, between: bytes) -> None:
    kinds = [MP3_KINDS[0], next(kind for kind in MP3_KINDS if kind[0] != MP3_KINDS[0][0]), MP3_KINDS[0]]
    parts = [made(seconds, *kind).whole for seconds, kind in zip((8, 3, 4), kinds, strict=True)]
    probed = all_agree(written(tmp_path / "a.mp3", between.join(parts[:2])), 11, 0.1)
    assert probed.detail == "2 chained streams"
    assert probe(written(tmp_path / "b.mp3", between.join(parts))).duration_s == pytest.approx(15, abs=0.2)


@pytest.mark.parametrize("kind", ["WAV", "WAVEX"])
@pytest.mark.parametrize("data_size", [0, 0xFFFFFFFF, 0x80000000, 10_000_000])
@pytest.mark.parametrize("riff_size", [None, 0, 0xFFFFFFFF])
def test_wav_with_sizes_of_a_stream(tmp_path: Path, kind: str, data_size: int, riff_size: int | None) -> None:
    all_agree(written(tmp_path / "a.wav", wav(data_size, riff_size, kind=kind)), 3, 1e-6)


def test_a_second_chunk_of_samples_is_no_part_of_the_first(tmp_path: Path) -> None:
    content = wav(None)
    again = content[content.index(b"data") :]
    all_agree(written(tmp_path / "a.wav", content + again), 3, 1e-6)


@pytest.mark.parametrize("sizes", [(0, 0), (0, 0xFFFFFFFF), (0xFFFFFFFFFFFFFFFF, 0xFFFFFFFFFFFFFFFF), None])
def test_rf64_with_sizes_of_a_stream(tmp_path: Path, sizes: tuple[int, int] | None) -> None:
    content = bytearray(encoded(3, 22_050, 2, "RF64", "PCM_16"))
    if sizes:
        struct.pack_into("<QQ", content, 20, *sizes)
    all_agree(written(tmp_path / "a.wav", bytes(content)), 3, 1e-6)


@pytest.mark.parametrize(
    ("kind", "subtype", "mark", "offset", "size"),
    [
        ("AIFF", "PCM_16", b"SSND", 4, struct.pack(">I", 0)),
        ("AIFF", "PCM_16", b"SSND", 4, struct.pack(">I", 8)),
        ("AIFF", "FLOAT", b"SSND", 4, struct.pack(">I", 0xFFFFFFFF)),
        ("AIFF", "PCM_24", b"COMM", 10, bytes(4)),
        ("CAF", "PCM_16", b"data", 4, struct.pack(">q", -1)),
        ("CAF", "FLOAT", b"data", 4, struct.pack(">q", 0)),
        ("CAF", "PCM_24", b"data", 4, struct.pack(">q", 1 << 40)),
        ("AU", "PCM_16", b".snd", 8, bytes(4)),
        ("AU", "FLOAT", b".snd", 8, struct.pack(">I", 0xFFFFFFFF)),
        ("AU", "ULAW", b".snd", 8, struct.pack(">I", 0x7FFFFFFF)),
        ("W64", "PCM_16", b"data", 16, bytes(8)),
        ("W64", "PCM_16", b"data", 16, struct.pack("<q", -1)),
    ],
)
def test_other_formats_with_sizes_of_a_stream(
    tmp_path: Path, kind: str, subtype: str, mark: bytes, offset: int, size: bytes
) -> None:
    content = bytearray(encoded(3, 22_050, 2, kind, subtype))
    at = content.find(mark) + offset
    content[at : at + len(size)] = size
    all_agree(written(tmp_path / "a.sound", bytes(content)), 3, 0.001)


def test_wav_with_odd_chunks(tmp_path: Path) -> None:
    content = wav(None)
    at = content.find(b"fmt ")
    odd = b"JUNK" + struct.pack("<I", 7) + b"1234567\0" + b"bext" + struct.pack("<I", 602) + bytes(602)
    behind = b"LIST" + struct.pack("<I", 400) + b"INFO" + bytes(396)
    all_agree(written(tmp_path / "before.wav", content[:at] + odd + content[at:] + behind), 3, 1e-6)
    fmt_end = content.find(b"data")
    all_agree(written(tmp_path / "between.wav", content[:fmt_end] + odd + content[fmt_end:]), 3, 1e-6)
    stream = bytearray(content[:fmt_end] + odd + content[fmt_end:])
    struct.pack_into("<I", stream, stream.find(b"data") + 4, 0)
    all_agree(written(tmp_path / "stream.wav", bytes(stream)), 3, 1e-6)


def test_wav_without_a_sample(tmp_path: Path) -> None:
    content = wav(0, seconds=3)
    head = content[: content.find(b"data") + 8]
    behind = b"LIST" + struct.pack("<I", 400) + b"INFO" + bytes(396)
    for number, path in enumerate([head, head + behind, head + behind + behind]):
        assert probe(written(tmp_path / f"{number}.wav", path)).fault == NO_AUDIO


FORMATS = [
    ("WAV", "PCM_24"),
    ("WAV", "FLOAT"),
    ("WAV", "MS_ADPCM"),
    ("WAV", "GSM610"),
    ("WAV", "G721_32"),
    ("WAV", "NMS_ADPCM_16"),
    ("AIFF", "PCM_16"),
    ("AIFF", "FLOAT"),
    ("AIFF", "DWVW_16"),
    ("AU", "G723_24"),
    ("CAF", "PCM_16"),
    ("CAF", "ALAC_16"),
    ("W64", "PCM_16"),
    ("RF64", "PCM_16"),
    ("VOC", "PCM_16"),
    ("FLAC", "PCM_16"),
    ("OGG", "VORBIS"),
    ("OGG", "OPUS"),
]


@pytest.mark.parametrize(("kind", "subtype"), FORMATS)
def test_formats_that_can_and_cannot_seek(tmp_path: Path, kind: str, subtype: str) -> None:
    """AIFC is AIFF with samples that are not plain integers."""
    path = written(tmp_path / "a.sound", encoded(4, 8_000 if kind != "OGG" else 48_000, 1, kind, subtype))
    all_agree(path, 4, 0.05)
    whole, part = decode(Excerpt(path, 0, 4), 8_000), decode(Excerpt(path, 1.5, 2), 8_000)
    assert not isinstance(whole, Fault) and not isinstance(part, Fault)
    if subtype not in ("OPUS", "VORBIS"):
        np.testing.assert_array_equal(part, whole[12_000:28_000])


@pytest.mark.parametrize("tag", [b"", id3v2(3000)])
def test_flac_of_unknown_length(tmp_path: Path, tag: bytes) -> None:
    content = encoded(9, 44_100, 2, "FLAC")
    path = written(tmp_path / "a.flac", tag + flac_of_unknown_length(content))
    all_agree(path, 9, 1e-6)
    known = written(tmp_path / "b.flac", content)
    for excerpt in ((0, 9), (4.5, 3)):
        unknown, expected = decode(Excerpt(path, *excerpt), 44_100), decode(Excerpt(known, *excerpt), 44_100)
        np.testing.assert_array_equal(unknown, expected)
    cut = flac_of_unknown_length(content)[: len(content) // 2]
    probed = all_agree(written(tmp_path / "cut.flac", cut), 4.5, 0.6)
    assert not probed.detail


@pytest.mark.parametrize("size", [1, 40, 3000, 60_000])
@pytest.mark.parametrize("place", [0.2, 0.6])
def test_flac_with_a_hole_is_used_on_both_sides(tmp_path: Path, size: int, place: float) -> None:
    content = encoded(9, 44_100, 2, "FLAC")
    begin = round(place * len(content))
    damage = bytes(byte ^ 0x55 for byte in content[begin : begin + size])
    path = written(tmp_path / "a.flac", content[:begin] + damage + content[begin + size :])
    assert probe(path).duration_s == 9
    with open_audio(path) as audio:
        buffer: Samples = np.empty(1 << 16, np.float32)
        good = sum(len(block.samples) for block in audio.blocks(0, audio.frames, buffer))
        assert audio.holes[0].at_s == pytest.approx(9 * place, abs=0.5)
        assert good / 44_100 + audio.lost_s(0, 9) == pytest.approx(9, abs=1e-6)
    assert audio.lost_s(0, 9) < 0.4 + 9 * size / len(content) * 2
    assert 7.5 < decoded_s(path) < 9
    assert "damaged" in found_in(path, 9)


OGG_LINKS = [
    [("VORBIS", 22_050, 1, 2.0), ("VORBIS", 22_050, 1, 3.0)],
    [("VORBIS", 22_050, 1, 2.0), ("VORBIS", 44_100, 2, 6.0)],
    [("OPUS", 48_000, 2, 2.0), ("OPUS", 48_000, 1, 1.5), ("OPUS", 48_000, 2, 2.5)],
    [("OPUS", 48_000, 1, 4.0), ("VORBIS", 8_000, 2, 3.0)],
    [("VORBIS", 48_000, 2, 0.5), ("VORBIS", 16_000, 1, 0.7), ("OPUS", 48_000, 2, 1.0), ("VORBIS", 44_100, 2, 2.0)],
]


@pytest.mark.parametrize("links", OGG_LINKS)
def test_chained_ogg_is_read_to_its_end(tmp_path: Path, links: list[tuple[str, int, int, float]]) -> None:
    parts = [
        encoded(s, rate_hz, channels, "OGG", subtype, seed=n) for n, (subtype, rate_hz, channels, s) in enumerate(links)
    ]
    path = written(tmp_path / "a.ogg", b"".join(parts))
    probed = all_agree(path, sum(link[3] for link in links), 0.02)
    assert f"{len(links)} chained streams" in probed.detail
    alone = decode(Excerpt(written(tmp_path / "last.ogg", parts[-1]), 0, 9), 16_000)
    chained = decode(Excerpt(path, 0, 99), 16_000)
    assert not isinstance(alone, Fault) and not isinstance(chained, Fault)
    np.testing.assert_allclose(chained[-len(alone) + 300 :], alone[300:], atol=1e-6)


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
@pytest.mark.parametrize("seconds", [2.4, 7.0, 20.0])
def test_ogg_streams_of_one_serial_number_are_read_to_their_end(tmp_path: Path, subtype: str, seconds: float) -> None:
    link = encoded(seconds, 48_000, 1, "OGG", subtype)
    for times in (1, 2, 5):
        probed = all_agree(written(tmp_path / f"{times}.ogg", link * times), seconds * times, 0.02)
        assert probed.detail == (f"{times} chained streams" if times > 1 else "")


def test_ogg_with_a_hole(tmp_path: Path) -> None:
    content = encoded(9, 44_100, 2, "OGG", "VORBIS")
    begin = len(content) // 2
    path = written(tmp_path / "a.ogg", content[:begin] + bytes(6000) + content[begin + 6000 :])
    assert probe(path).duration_s == 9
    assert 7 < decoded_s(path) < 9
    assert "damaged" in found_in(path, 9)


@pytest.mark.parametrize("rate_hz", [1, 2, 10, 100, 999, 768_001, 4_000_000, 0x7FFFFFFF])
def test_absurd_rates_are_faults_of_their_file(tmp_path: Path, rate_hz: int) -> None:
    content = bytearray(wav(None))
    struct.pack_into("<I", content, content.find(b"fmt ") + 12, rate_hz)
    path = written(tmp_path / "a.wav", bytes(content))
    assert probe(path).fault == ABSURD_RATE
    fault = decode(Excerpt(path, 0, 1e6), 44_100)
    assert isinstance(fault, Fault) and fault.reason == ABSURD_RATE and f"{rate_hz} Hz" in fault.detail
    assert found_in(path) == {"unreadable"}


def test_a_low_rate_gives_no_large_blocks(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, music(3000, 1000, 1), 1000)
    blocks = list(Decoder({44_100}).blocks(Excerpt(str(path), 0, 3000)))
    sizes = [0 if isinstance(block, Fault) else len(block[44_100]) for block in blocks]
    assert sum(sizes) == 3000 * 44_100
    assert max(sizes) <= 2 << 20


@pytest.mark.parametrize("channels", [2, 3, 6])
@pytest.mark.parametrize("noise", [0, 0.01])
def test_channels_that_cancel_are_not_silent(tmp_path: Path, channels: int, noise: float) -> None:
    one = music(3, 22_050, 1)[:, 0]
    sound = np.zeros((len(one), channels), np.float32)
    sound[:, channels - 2], sound[:, channels - 1] = one, -one
    sound += noise * np.random.default_rng(0).standard_normal(sound.shape) * np.abs(one).mean()
    path = tmp_path / "a.wav"
    soundfile.write(path, sound, 22_050, subtype="FLOAT")
    heard = decode(Excerpt(str(path), 0, 3), 22_050)
    assert not isinstance(heard, Fault)
    np.testing.assert_array_equal(heard, sound[:, channels - 2].astype(np.float32))
    assert not found_in(str(path), 3)


def test_one_faint_channel_is_not_silent(tmp_path: Path) -> None:
    sound = np.zeros((30_000, 2), np.float32)
    sound[:, 1] = 1.5e-4 * np.sin(np.arange(30_000) / 10)
    soundfile.write(tmp_path / "a.wav", sound, 10_000, subtype="FLOAT")
    assert decoded_s(str(tmp_path / "a.wav")) == 3


@pytest.mark.parametrize("kind", ["pipe", "socket", "device", "folder"])
def test_nothing_but_files_is_opened(tmp_path: Path, kind: str) -> None:
    import os
    import socket

    path = tmp_path / "a.mp3"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "device":
        path.symlink_to("/dev/zero")
    server = socket.socket(socket.AF_UNIX)
    if kind == "socket":
        server.bind(str(path))
    with server:
        assert probe(str(path)).fault == NOT_A_FILE
        fault = decode(Excerpt(str(path), 0, 1), 16_000)
        assert isinstance(fault, Fault) and fault.reason == NOT_A_FILE
        assert found_in(str(path)) == {"unreadable"}


@pytest.mark.parametrize("content", [id3v2(100), id3v2(100) + bytes(1000), id3v2(50) + b"text " * 500, ape(500)])
def test_tags_without_audio(tmp_path: Path, content: bytes) -> None:
    assert probe(written(tmp_path / "a.mp3", content)).fault == NO_AUDIO


@pytest.mark.parametrize("tag", [b"", id3v2(0), id3v2(9000, jpeg(1000))])
def test_aac_is_named_behind_tags_too(tmp_path: Path, tag: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    content = tag + b"\xff\xf1\x50\x80\x02\x1f\xfc" + np.random.default_rng(0).bytes(3000)
    assert probe(written(tmp_path / "a.mp3", content)).fault == "AAC: needs ffmpeg"


def test_the_same_file_measures_the_same_on_any_number_of_threads(tmp_path: Path) -> None:
    from unisono.audio.probe import probe_all

    file = made(8, 44_100, 1, "VARIABLE")
    contents = [file.whole, file.audio, id3v2(99) + file.audio, file.stating(9), file.whole[:40_000], file.audio[3:]]
    paths = [written(tmp_path / f"{n}.mp3", content) for n, content in enumerate(contents * 5)]
    assert probe_all(paths, 1, None) == probe_all(paths, 7, None) == {path: probe(path) for path in paths}
    assert measure(paths[0]) == (352_800, 44_100, "")


@pytest.mark.parametrize("before", [id3v2(900), id3v2(70_000), bytes(500), id3v2(900) + bytes(64)])
@pytest.mark.parametrize("kind", ["OGG", "FLAC", "AIFF", "CAF", "W64", "WAV"])
def test_what_begins_behind_tags_or_zeros_is_read_from_there(tmp_path: Path, before: bytes, kind: str) -> None:
    content = encoded(3, 16_000, 1, kind)
    path = written(tmp_path / "a", before + content)
    all_agree(path, 3)
    expected = decode(Excerpt(written(tmp_path / "b", content), 0, 3), 16_000)
    np.testing.assert_array_equal(decode(Excerpt(path, 0, 3), 16_000), expected)


def test_a_chained_file_behind_a_tag_is_read_to_its_end(tmp_path: Path) -> None:
    content = b"".join(encoded(2, 16_000, 1, "OGG", seed=seed) for seed in range(2))
    assert all_agree(written(tmp_path / "a.ogg", id3v2(70_000) + content), 4).detail == "2 chained streams"


@pytest.mark.parametrize("name", ["a.au", "a.snd", "a.vox"])
def test_no_sound_is_made_of_what_is_not_audio_by_its_ending(tmp_path: Path, name: str) -> None:
    assert probe(written(tmp_path / name, b"version 1, of something else\n" * 500)).fault == NOT_AUDIO
