"""How much audio an MP3 file holds, and where.

libsndfile believes the length that a Xing or Info header states, and without one guesses it from the file's size and the
first frame's bit rate. Covers, tags, a variable bit rate and damage mislead it. Here the headers of all frames are read, at
some thousand frames a millisecond, wherever the header is missing or does not agree with the file.

Format: ISO/IEC 11172-3 and 13818-3; Xing header: http://gabriel.mp3-tech.org/mp3infotag.html
"""

import os
import struct
from functools import cache
from typing import NamedTuple

from unisono.audio.spliced import Piece

HEAD_BYTES = 4096
CHUNK_BYTES = 1 << 22
PLACES = (0.15, 0.3, 0.45, 0.6, 0.75, 0.9)
PLACE_BYTES = 5120
"""Where frames are looked at, as shares of the file, and how many bytes there."""
FEWEST_FRAMES = 40
"""Shorter files are read whole."""
FIRST_FRAME_WITHIN = 1 << 20
"""Bytes, not counting tags, in which the first frame is looked for."""
DECODER_DELAY = 529
"""libmpg123 leaves out at least this many samples at the end of a file with such a header."""
CHAIN = 3
"""Frames that must follow one another before bytes count as frames."""
UNLIKE = 1.4
"""If the mean size of frames differs by this factor from what the header implies, all frames are read."""

_KBPS = {  # (is MPEG-1, layer): by the header's 4 bits from 1 on
    (True, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES_HZ = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
_MONO = 3


class Kind(NamedTuple):
    """What all frames of a stream have in common."""

    version: int
    """The header's two bits: 3 is MPEG-1, 2 MPEG-2, 0 MPEG-2.5."""
    layer: int
    rate_hz: int
    is_mono: bool

    @property
    def samples(self) -> int:
        """Samples in a frame, of each channel."""
        return 384 if self.layer == 1 else 576 if self.layer == 3 and self.version != 3 else 1152


class Hole(NamedTuple):
    """A damaged place, where decoding goes on behind."""

    at_s: float
    lost_s: float


class Walk(NamedTuple):
    """What the headers of all frames tell."""

    kind: Kind
    frames: int
    pieces: list[Piece]
    """The stream without what is no audio, with a header that states its true length."""
    stated_frames: int
    """Frames that a Xing or Info header states; 0 without one."""
    is_cut: bool
    """The file ends before its header says."""
    holes: list[Hole]
    end: int
    """Offset of what follows the last frame."""

    @property
    def samples(self) -> int:
        """Samples of each channel, before any trimming of the encoder's padding."""
        return self.frames * self.kind.samples


class _Header(NamedTuple):
    """A Xing, Info or VBRI header, which is a frame of its own."""

    name: bytes
    frames: int
    size: int
    offset: int
    """Where its name is in the frame."""
    padding_offset: int
    """Where the encoder says how many samples it added, in two numbers of 12 bits: before and after the music."""

    def trimmed(self, frame: bytes) -> int:
        """Return how many samples decoding leaves out at both ends."""
        added = int.from_bytes(frame[self.padding_offset : self.padding_offset + 3], "big")
        return (added >> 12) + max(added & 0xFFF, DECODER_DELAY)


def stated_length(descriptor: int, head: bytes, size: int) -> tuple[int, int] | None:
    """Return (samples of each channel, sample rate) by a Xing or Info header that agrees with the file; None without one.

    It must agree with the file's size and with the bit rate, of which several places are looked at. `head` are the file's
    first `HEAD_BYTES`.
    """
    begin = 0
    if head[:3] == b"ID3":
        begin = _id3_bytes(head)
        head = os.pread(descriptor, HEAD_BYTES, begin)
    kind = _kind(head)
    if kind is None or kind.layer != 3:
        return None
    sizes = _sizes(kind)
    first = sizes[head[:3]]
    header = _header(head[:first])
    if header is None or header.name == b"VBRI" or header.frames < FEWEST_FRAMES or not header.size:
        return None
    excess = size - begin - header.size
    if excess > 160:  # more than an ID3v1 tag
        excess = before_tags(descriptor, begin, size) - begin - header.size
    if not -first <= excess <= 2 * first:
        return None
    mean = (header.size - first) / header.frames
    is_constant = header.name == b"Info"  # all frames have one bit rate
    if is_constant and abs(mean - sizes.get(head[first : first + 3], 0)) > 1 + first / header.frames:
        return None
    seen = _mean_size(descriptor, begin, size, kind, PLACES[1::2] if is_constant else PLACES)
    agrees = seen is not None and 1 / UNLIKE < seen / mean < UNLIKE
    return (header.frames * kind.samples - header.trimmed(head[:first]), kind.rate_hz) if agrees else None


def _mean_size(descriptor: int, begin: int, size: int, kind: Kind, places: tuple[float, ...]) -> float | None:
    """Return the mean size of frames at some places of a file; None if there are no frames at one of them."""
    get = _sizes(kind).get
    total = frames = 0
    for place in places:
        data = os.pread(descriptor, PLACE_BYTES, begin + int((size - begin) * place))
        start = at = _find(data, 0, kind, is_last=False)
        if at < 0:
            return None
        while found := get(data[at : at + 3]):
            at += found
            frames += 1
        total += at - start
    return total / frames


def walk(descriptor: int, size: int) -> list[Walk]:
    """Read the headers of all frames: those of one kind, and of each further kind that takes its place for a second."""
    found: list[Walk] = []
    begin = behind_tags(descriptor)
    if begin >= size:  # the tag's size is wrong
        begin = 0
    while begin < size and (walked := _walk_one(descriptor, begin, size)):
        if found and walked.samples < walked.kind.rate_hz:  # or what follows some music by chance looks like it
            break
        found.append(walked)
        begin = behind_tags(descriptor, walked.end)
    return found


def _walk_one(descriptor: int, begin: int, size: int) -> Walk | None:
    """Read the headers of the frames from a place on that are of the first one's kind; None if there is not one."""
    end = before_tags(descriptor, begin, size)
    found = _first(descriptor, begin, end)
    if found is None:
        return None
    at, kind, head = found
    first = _sizes(kind)[head[:3]]
    header = _header(head[:first]) if kind.layer == 3 else None
    runs, holes = _runs(descriptor, at + first if header else at, end, kind)
    frames = sum(run.frames for run in runs)
    if not frames:
        return None
    stated, stated_end = (header.frames, at + header.size) if header and header.name != b"VBRI" else (0, 0)
    is_cut = stated > frames and stated_end > end
    pieces: list[Piece] = [(run.begin, run.end - run.begin) for run in runs]
    if kind.layer == 3:
        total = sum(run.end - run.begin for run in runs)
        pieces.insert(0, _stating(head, first, header, kind, frames, total, is_cut=is_cut))
    return Walk(kind, frames, pieces, stated, is_cut, holes, runs[-1].end)


class _Run(NamedTuple):
    begin: int
    end: int
    frames: int


def _runs(descriptor: int, begin: int, end: int, kind: Kind) -> tuple[list[_Run], list[Hole]]:
    """Follow the frames from `begin`; where they break off, go on with the next ones."""
    runs: list[_Run] = []
    holes: list[Hole] = []
    at, total_frames, total_bytes = begin, 0, 0
    while at < end:
        run = _run(descriptor, at, end, kind)
        if run.frames:
            runs.append(run)
            total_frames, total_bytes = total_frames + run.frames, total_bytes + run.end - run.begin
        resumed, tags = _resume(descriptor, run.end, end, kind)
        if resumed is None or (total_frames and _is_another(descriptor, run.end, resumed)):
            break
        if total_frames and resumed - run.end > tags:
            lost = (resumed - run.end - tags) / (total_bytes / total_frames)
            holes.append(Hole(total_frames * kind.samples / kind.rate_hz, lost * kind.samples / kind.rate_hz))
        at = resumed
    return runs, holes


def _is_another(descriptor: int, begin: int, end: int) -> bool:
    """Return whether a second of frames of another kind lies between two places."""
    found = _first(descriptor, begin, end)
    if found is None:
        return False
    at, kind, _ = found
    return _run(descriptor, at, end, kind).frames * kind.samples >= kind.rate_hz


def _run(descriptor: int, begin: int, end: int, kind: Kind) -> _Run:
    """Follow frames from `begin` to the last whole one before something else."""
    get = _sizes(kind).get
    at, frames = begin, 0
    while True:
        chunk = os.pread(descriptor, min(CHUNK_BYTES, end - at), at)
        inner = previous = 0
        while size := get(chunk[inner : inner + 3]):
            previous = inner
            inner += size
            frames += 1
        if at + inner > end:
            return _Run(begin, at + previous, frames - 1)
        at += inner
        if not inner or inner < len(chunk) - 2 or at == end:
            return _Run(begin, at, frames)


def _resume(descriptor: int, at: int, end: int, kind: Kind) -> tuple[int | None, int]:
    """Find the next frames from `at` on: their offset, and the bytes of tags before them."""
    tags = 0
    while at < end:
        chunk = os.pread(descriptor, min(CHUNK_BYTES, end - at), at)
        if tag := _tag_bytes(chunk[:32]):
            at, tags = at + tag, tags + tag
            continue
        is_last = at + len(chunk) >= end
        found = _find(chunk, 0, kind, is_last=is_last)
        if found >= 0:
            return at + found, tags
        if is_last or len(chunk) < 8192:
            break
        at += len(chunk) - 8192  # a chain of frames may begin there
    return None, tags


def _find(data: bytes, at: int, kind: Kind | None, *, is_last: bool) -> int:
    """Return the offset of the next chain of frames, -1 without one. `is_last`: the audio ends with the data."""
    while (at := data.find(b"\xff", at)) >= 0:
        its_kind = _kind(data[at : at + 4])
        if its_kind and kind in (None, its_kind) and _is_chain(data, at, its_kind, is_last=is_last):
            return at
        at += 1
    return -1


def _is_chain(data: bytes, at: int, kind: Kind, *, is_last: bool) -> bool:
    sizes = _sizes(kind)
    for _ in range(CHAIN):
        size = sizes.get(data[at : at + 3])
        if not size:
            return is_last and at == len(data)
        at += size
    return not is_last or at <= len(data)


def _first(descriptor: int, begin: int, end: int) -> tuple[int, Kind, bytes] | None:
    """Find the first frame: its offset, kind and bytes."""
    data = os.pread(descriptor, min(FIRST_FRAME_WITHIN, end - begin), begin)
    at = _find(data, 0, None, is_last=begin + len(data) >= end)
    kind = _kind(data[at : at + 4]) if at >= 0 else None
    return (begin + at, kind, data[at : at + HEAD_BYTES]) if kind else None


def _kind(frame: bytes) -> Kind | None:
    """Return the kind of the frame that begins with these four bytes, if they are a frame's header."""
    if len(frame) < 4 or frame[0] != 0xFF or frame[1] < 0xE0:
        return None
    version, layer, rate = frame[1] >> 3 & 3, 4 - (frame[1] >> 1 & 3), frame[2] >> 2 & 3
    if version == 1 or layer == 4 or rate == 3:
        return None
    kind = Kind(version, layer, _RATES_HZ[version][rate], frame[3] >> 6 == _MONO)
    return kind if frame[:3] in _sizes(kind) else None


@cache
def _sizes(kind: Kind) -> dict[bytes, int]:
    """Return the size of a frame by the first three bytes of its header, for all that a frame of this kind may have."""
    table: dict[bytes, int] = {}
    factor = {1: 12, 2: 144, 3: 144 if kind.version == 3 else 72}[kind.layer]
    rate = _RATES_HZ[kind.version].index(kind.rate_hz)
    for at, kbps in enumerate(_KBPS[kind.version == 3, kind.layer], 1):
        for padding in (0, 1):
            size = (factor * kbps * 1000 // kind.rate_hz + padding) * (4 if kind.layer == 1 else 1)
            for unprotected in (0, 1):
                second = 0xE0 | kind.version << 3 | (4 - kind.layer) << 1 | unprotected
                for private in (0, 1):
                    table[bytes([0xFF, second, at << 4 | rate << 2 | padding << 1 | private])] = size
    return table


def _header(frame: bytes) -> _Header | None:
    at = max(frame.find(b"Xing", 0, 64), frame.find(b"Info", 0, 64))
    # libmpg123, too, takes it for one only behind zeros.
    if at >= 0 and len(frame) >= at + 16 and not any(frame[6:at]):
        flags, first, second = struct.unpack_from(">III", frame, at + 4)
        frames = first if flags & 1 else 0
        size = (second if flags & 1 else first) if flags & 2 else 0
        encoder = at + 8 + sum(length for flag, length in ((1, 4), (2, 4), (4, 100), (8, 4)) if flags & flag)
        is_named = any(frame[encoder : encoder + 1])
        return _Header(frame[at : at + 4], frames, size, at, encoder + 21 if is_named else len(frame))
    if frame[36:40] == b"VBRI" and len(frame) >= 54:
        size, frames = struct.unpack_from(">II", frame, 46)
        return _Header(b"VBRI", frames, size, 36, 0)
    return None


def _stating(
    head: bytes, first: int, header: _Header | None, kind: Kind, frames: int, total: int, *, is_cut: bool
) -> bytes:
    """Return a frame with a header that states the true number of frames and bytes."""
    if header and header.name != b"VBRI" and header.frames and header.size:  # keep what it says of the padding
        frame = bytearray(head[:first])
        struct.pack_into(">II", frame, header.offset + 8, frames, first + total)
        if is_cut and header.padding_offset + 3 <= first:  # the padding is not there any more
            frame[header.padding_offset + 1] &= 0xF0
            frame[header.padding_offset + 2] = 0
        return bytes(frame)
    start, size = next((start, size) for start, size in _sizes(kind).items() if size >= 96 and start[1] & 1)
    frame = bytearray(size)
    frame[:4] = start + head[3:4]
    mark = 4 + ((17 if kind.is_mono else 32) if kind.version == 3 else (9 if kind.is_mono else 17))
    struct.pack_into(">4sIII", frame, mark, b"Xing", 3, frames, size + total)
    return bytes(frame)


def _id3_bytes(head: bytes) -> int:
    """Return the size of the ID3v2 tag that begins here, 0 without one; its size stands there in 7-bit bytes."""
    if head[:3] != b"ID3" or len(head) < 10 or max(head[6:10]) > 0x7F:
        return 0
    return 10 + (head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]) + (10 if head[5] & 0x10 else 0)


def _tag_bytes(head: bytes) -> int:
    """Return the size of the ID3 or APE tag that begins here, 0 without one."""
    if head[:8] == b"APETAGEX" and len(head) == 32 and head[23] & 0x20:
        return 32 + int.from_bytes(head[12:16], "little")
    return 128 if head[:3] == b"TAG" else _id3_bytes(head)


def behind_tags(descriptor: int, at: int = 0) -> int:
    """Return where the tags at the beginning of a file, or at a place of it, end."""
    while size := _tag_bytes(os.pread(descriptor, 32, at)):
        at += size
    return at


def behind_header(descriptor: int, begin: int) -> int:
    """Return where the first frame with music begins: behind a Xing, Info or VBRI header, if there is one."""
    head = os.pread(descriptor, HEAD_BYTES, begin)
    kind = _kind(head)
    if kind is None:
        return begin
    first = _sizes(kind)[head[:3]]
    return begin + first if _header(head[:first]) else begin


def before_tags(descriptor: int, begin: int, end: int) -> int:
    """Return where the ID3v1, APE, Lyrics3 and ID3v2 tags at the end of a file begin."""
    while True:
        tail = os.pread(descriptor, 256, max(begin, end - 256))
        if tail[-128:-125] == b"TAG":
            size = 128
        elif tail[-32:-24] == b"APETAGEX":
            size = int.from_bytes(tail[-20:-16], "little") + (32 if tail[-9] & 0x80 else 0)
        elif tail[-9:] == b"LYRICS200" and tail[-15:-9].isdigit():
            size = int(tail[-15:-9]) + 15
        elif tail[-10:-7] == b"3DI" and max(tail[-4:]) < 0x80:
            size = 20 + (tail[-4] << 21 | tail[-3] << 14 | tail[-2] << 7 | tail[-1])
        else:
            return end
        if not 0 < size <= end - begin:
            return end
        end -= size
