"""Why an audio file, or an excerpt of one, cannot be used: the same words in every stage and every report."""

import shlex
from pathlib import PurePath
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
DAMAGED = "damaged"
"""Most of the excerpt cannot be decoded."""
SILENT = "silent"
NOT_A_NUMBER = "not a number"
"""NaN, infinite, or absurdly large samples."""

FOREIGN_FORMATS = (
    (4, b"ftyp", "AAC or ALAC in MP4 (m4a)"),
    (0, b"\xff\xf0", "AAC"),
    (0, b"\xff\xf1", "AAC"),
    (0, b"\xff\xf8", "AAC"),
    (0, b"\xff\xf9", "AAC"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "WMA"),
    (0, b"\x1a\x45\xdf\xa3", "WebM or Matroska"),
    (0, b"MAC ", "Monkey's Audio"),
    (0, b"wvpk", "WavPack"),
    (0, b"MPCK", "Musepack"),
    (0, b"MP+", "Musepack"),
    (0, b"DSD ", "DSD"),
    (0, b"FRM8", "DSD"),
    (0, b"TTA1", "TTA"),
    (0, b"TTA2", "TTA"),
    (0, b"tBaK", "TAK"),
    (0, b"\x0b\x77", "AC-3"),
    (0, b"\x7f\xfe\x80\x01", "DTS"),
    (0, b"#!AMR", "AMR"),
    (0, b".RMF", "RealAudio"),
    (0, b".ra\xfd", "RealAudio"),
    (0, b"ajkg", "Shorten"),
    (0, b"OFR ", "OptimFROG"),
    (28, b"Speex   ", "Speex"),
)
"""Audio that libsndfile cannot decode: offset in bytes, the bytes found there, name."""


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


def foreign_format(path: str, head: bytes) -> Fault | None:
    """Return what a file is, and the command that converts it, if it is audio that libsndfile cannot decode."""
    for offset, mark, name in FOREIGN_FORMATS:
        if head.startswith(mark, offset):
            converted = shlex.quote(str(PurePath(path).with_suffix(".flac")))
            return Fault(f"{name}: to be converted first", f"ffmpeg -i {shlex.quote(path)} {converted}")
    return None
