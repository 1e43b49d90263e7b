"""What a report plays, as small files beside it: so it can be moved, sent, or looked at from another machine."""

from collections.abc import Iterable
from pathlib import Path

import soundfile

from unisono.audio.decode import Decoder, Excerpt, Fault
from unisono.audio.quiet import without_decoder_noise
from unisono.base.files import whole_file
from unisono.commands import console
from unisono.retrieval.evaluate.result import Found

LONGEST_S = 30.0
RATE_HZ = 44100


def folder_of(report: Path) -> Path:
    """Give the folder of a report's clips."""
    return report.with_name(f"{report.stem}_files")


def write_clips(folder: Path, excerpts: Iterable[Found]) -> dict[Found, str]:
    """Write the beginning of each excerpt as MP3 (mono), and give the address of each, relative to the report.

    What cannot be decoded has none; a message says how many those are.

    Raises:
        UnisonoError: the folder cannot be written.
    """
    decoder = Decoder({RATE_HZ})
    addresses: dict[tuple[str, float], str | None] = {}
    asked = list(dict.fromkeys(excerpts))
    with without_decoder_noise():
        for found in asked:
            place = (found.audio_path, found.start_s)
            if place not in addresses:
                name = f"{len(addresses):03d}.mp3"
                written = _write(folder / name, decoder, found)
                addresses[place] = f"{folder.name}/{name}" if written else None
    silent = sum(address is None for address in addresses.values())
    if silent:
        console.log.warning("%d of the %d excerpts that the report plays cannot be read.", silent, len(addresses))
    by_excerpt = ((found, addresses[found.audio_path, found.start_s]) for found in asked)
    return {found: address for found, address in by_excerpt if address}


def _write(path: Path, decoder: Decoder, found: Found) -> bool:
    """Write one clip; tell whether there is one."""
    excerpt = Excerpt(found.audio_path, found.start_s, min(found.duration_s, LONGEST_S))
    blocks = []
    for block in decoder.blocks(excerpt):
        if isinstance(block, Fault):
            return False
        blocks.append(block[RATE_HZ].copy())
    with (
        whole_file(path) as partial,
        soundfile.SoundFile(partial, "w", RATE_HZ, 1, "MPEG_LAYER_III", format="MP3") as file,
    ):
        for samples in blocks:
            file.write(samples)
    return True
