"""Why an audio file, or an excerpt of one, cannot be used: the same words in every stage and every report."""

from collections.abc import Iterable
from typing import NamedTuple

MISSING = "audio file missing"
UNREADABLE = "audio file unreadable"
"""The system refuses to open or read it."""
NOT_A_FILE = "not a regular file"
"""A folder, a pipe, a socket or a device; these are never read."""
EMPTY = "audio file empty"
NOT_AUDIO = "not an audio file"
NO_AUDIO = "no audio in the file"
"""A file of a known format that holds not one sample."""
ABSURD_RATE = "absurd sample rate"
TOO_SHORT = "too short"
CUT_SHORT = "cut short"
"""The audio ends before the record, and the file's own header, say."""
CRASHES = "ends the decoder"
"""The process that decodes it dies, each time."""
DAMAGED = "damaged"
"""Most of the excerpt cannot be decoded."""
SILENT = "silent"
NEEDS_FFMPEG = ": needs ffmpeg"
"""How the fault of a file ends that could be decoded if ffmpeg were here."""
NOT_A_NUMBER = "not a number"
"""NaN, infinite, or absurdly large samples."""


class Foreign(NamedTuple):
    """A format that libsndfile cannot decode."""

    name: str
    demuxer: str
    """What ffmpeg calls it; empty if it cannot decode it either."""


FOREIGN_FORMATS = (
    (4, b"ftyp", Foreign("AAC or ALAC in MP4 (m4a)", "mov")),
    (0, b"\xff\xf0", Foreign("AAC", "aac")),
    (0, b"\xff\xf1", Foreign("AAC", "aac")),
    (0, b"\xff\xf8", Foreign("AAC", "aac")),
    (0, b"\xff\xf9", Foreign("AAC", "aac")),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", Foreign("WMA", "asf")),
    (0, b"\x1a\x45\xdf\xa3", Foreign("WebM or Matroska", "matroska")),
    (0, b"MAC ", Foreign("Monkey's Audio", "ape")),
    (0, b"wvpk", Foreign("WavPack", "wv")),
    (0, b"MPCK", Foreign("Musepack", "mpc8")),
    (0, b"MP+", Foreign("Musepack", "mpc")),
    (0, b"DSD ", Foreign("DSD", "dsf")),
    (0, b"FRM8", Foreign("DSD", "iff")),
    (0, b"TTA1", Foreign("TTA", "tta")),
    (0, b"TTA2", Foreign("TTA", "")),
    (0, b"tBaK", Foreign("TAK", "tak")),
    (0, b"\x0b\x77", Foreign("AC-3", "ac3")),
    (0, b"\x7f\xfe\x80\x01", Foreign("DTS", "dts")),
    (0, b"#!AMR", Foreign("AMR", "amr")),
    (0, b".RMF", Foreign("RealAudio", "rm")),
    (0, b".ra\xfd", Foreign("RealAudio", "rm")),
    (0, b"ajkg", Foreign("Shorten", "shn")),
    (0, b"OFR ", Foreign("OptimFROG", "")),
    (28, b"Speex   ", Foreign("Speex", "ogg")),
    (28, b"\x7fFLAC", Foreign("FLAC in Ogg", "ogg")),
    (8, b"AVI ", Foreign("AVI", "avi")),
    (0, b"FLV\x01", Foreign("Flash video", "flv")),
    (0, b"\x47\x40\x00", Foreign("MPEG transport stream", "mpegts")),
    (0, b"\x47\x40\x11", Foreign("MPEG transport stream", "mpegts")),
)
"""Audio that libsndfile cannot decode: offset in bytes, the bytes found there, the format."""
CONTAINERS = (
    (8, b"WAVE", Foreign("an encoding in WAV", "wav")),
    (8, b"AIFC", Foreign("an encoding in AIFF", "aiff")),
    (0, b"caff", Foreign("an encoding in CAF", "caf")),
    (0, b".snd", Foreign("an encoding in AU", "au")),
    (0, b"Creative Voice File", Foreign("an encoding in VOC", "voc")),
    (0, b"OggS", Foreign("streams in Ogg", "ogg")),
)
"""What libsndfile knows, but not with every encoding."""


OTHER_CONTENT = (
    (b"<!doctype", "a page of the web, as a failed download leaves it: fetch it again"),
    (b"<html", "a page of the web, as a failed download leaves it: fetch it again"),
    (b"<?xml", "an XML document, as a failed download leaves it: fetch it again"),
    (b"{", "a JSON document, as a failed download leaves it: fetch it again"),
    (b"version https://git-lfs", "a pointer of Git LFS: fetch the content with git lfs pull"),
    (b"\x1f\x8b", "compressed by gzip: unpack it"),
    (b"pk\x03\x04", "a zip archive: unpack it"),
    (b"rar!", "a rar archive: unpack it"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive: unpack it"),
    (b"mthd", "MIDI, which holds no sound: render it"),
    (b"%pdf", "a PDF document"),
    (b"\x89png", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"#extm3u", "a playlist"),
    (b"[playlist]", "a playlist"),
    (bytes(64), "nothing but zeros where it begins, as a cut download leaves it: fetch it again"),
)
"""What files that claim to be audio often are: the first bytes, in lower case, and what that is."""


class Fault(NamedTuple):
    """Why an excerpt cannot be used."""

    reason: str
    """A short phrase, the same for all of one kind."""
    detail: str = ""
    lasting: bool = True
    """Whether the fault lies in the file itself, so that it stays until the file changes."""


class UnusableError(Exception):
    """Raised while a file is opened; never leaves this package."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.reason)
        self.fault = fault


def of_system(error: OSError | ValueError) -> Fault:
    """Return the fault for an error of the operating system, or for a path that is none."""
    if isinstance(error, (FileNotFoundError, NotADirectoryError, ValueError)):
        return Fault(MISSING, lasting=False)
    return Fault(UNREADABLE, error.strerror or str(error), lasting=False)


def foreign_format(head: bytes, among: Iterable[tuple[int, bytes, Foreign]] = FOREIGN_FORMATS) -> Foreign | None:
    """Return the format of a file by its first bytes, if it is audio that libsndfile cannot decode."""
    return next((found for offset, mark, found in among if head.startswith(mark, offset)), None)


def other_content(head: bytes) -> str:
    """Return what a file is by its first bytes, and what to do about it, if it is no audio; empty if that is not known."""
    begin = head.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n")[:64].lower()
    return next((what for mark, what in OTHER_CONTENT if begin.startswith(mark)), "")
