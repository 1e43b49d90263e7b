"""The clips of a report: what it plays, as small files next to it, so that it can be moved to another machine."""

from collections.abc import Iterable
from pathlib import Path

import soundfile

from unisono.audio.decode import Decoder, Excerpt
from unisono.audio.decoder_messages import hide_decoder_messages
from unisono.audio.faults import Fault
from unisono.base.files import whole_file
from unisono.base.log import log
from unisono.retrieval.evaluate.result import FoundExcerpt

LONGEST_S = 30.0
RATE_HZ = 44100


def folder_of(report: Path) -> Path:
    """Return the folder of the clips of a report."""
    return report.with_name(f"{report.stem}_files")


def write_clips(folder: Path, excerpts: Iterable[FoundExcerpt]) -> dict[FoundExcerpt, str]:
    """Write the beginning of each excerpt as MP3 (mono); return the address of each, relative to the report.

    Excerpts that cannot be decoded have none; the log says how many there are.

    Raises:
        UnisonoError: the folder cannot be written.
    """
    decoder = Decoder({RATE_HZ})
    addresses: dict[tuple[str, float], str | None] = {}
    asked = list(dict.fromkeys(excerpts))
    with hide_decoder_messages():
        for found in asked:
            place = (found.audio_path, found.start_s)
            if place not in addresses:
                name = f"{len(addresses):03d}.mp3"
                written = _write(folder / name, decoder, found)
                addresses[place] = f"{folder.name}/{name}" if written else None
    silent = sum(address is None for address in addresses.values())
    if silent:
        log.warning("%d of the %d excerpts that the report plays cannot be read.", silent, len(addresses))
    by_excerpt = ((found, addresses[found.audio_path, found.start_s]) for found in asked)
    return {found: address for found, address in by_excerpt if address}


def _write(path: Path, decoder: Decoder, found: FoundExcerpt) -> bool:
    """Write one clip; return whether the excerpt could be decoded."""
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
