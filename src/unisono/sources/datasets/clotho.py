"""Clotho v2.1: environmental sounds described by people, 2021. Not music: it is read only when named.

What:       5,929 sounds of Freesound, 15 to 30 s; wav, 44.1 kHz.
Captions:   five a sound, written by people.
Licences:   captions: Tampere University, non-commercial with attribution; audio per track, in `clotho_metadata_*.csv`.
Splits:     development (`train` here), validation (`val`) and evaluation (`test`).
Source:     https://zenodo.org/records/4783391 (paper: https://arxiv.org/abs/1910.09387)
Known defects:
- File names hold blanks at both ends, HTML entities and `#`: they are used as published, not stripped or unescaped.
- Four names occur in two parts, with different audio: ids contain the part.
- Metadata is ISO-8859-1; some sounds have no Freesound id.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from unisono.base.tally import Dropped
from unisono.sources.base import Dataset, ParseOptions, RemoteFile
from unisono.sources.cells import tidy_tags, whole_number
from unisono.sources.readers import CsvTable, good_rows
from unisono.tracks.track import Split, Track, captions_of

SPLITS: dict[str, Split] = {"development": "train", "validation": "val", "evaluation": "test"}
RATE_HZ = 44100
_SPAN = re.compile(r"\[?\s*(\d+)[,\s]+(\d+)\s*\]?")
_CAPTIONS = tuple(f"caption_{number}" for number in range(1, 6))
_METADATA = ("file_name", "keywords", "sound_id", "sound_link", "start_end_samples", "manufacturer", "license")

Facts = dict[str, tuple[str, ...]]


def _zenodo(name: str, md5: str, size: int = 0, *, unpacked_size: int = 0) -> RemoteFile:
    return RemoteFile(
        name=name,
        urls=(f"https://zenodo.org/records/4783391/files/{name}?download=1",),
        size=size,
        about=unpacked_size or 500_000,  # an upper bound: the sizes are not published
        checksum=f"md5:{md5}",
        unpack_to="." if unpacked_size else None,
        unpacked_size=unpacked_size,
        audio=unpacked_size > 0,
    )


FILES = (
    _zenodo("clotho_captions_development.csv", "d4090b39ce9f2491908eebf4d5b09bae", 1_336_762),
    _zenodo("clotho_captions_validation.csv", "5879e023032b22a2c930aaa0528bead4", 367_649),
    _zenodo("clotho_captions_evaluation.csv", "1b16b9e57cf7bdb7f13a13802aeb57e2", 361_995),
    _zenodo("clotho_metadata_development.csv", "170d20935ecfdf161ce1bb154118cda5"),
    _zenodo("clotho_metadata_validation.csv", "2e010427c56b1ce6008b0f03f41048ce"),
    _zenodo("clotho_metadata_evaluation.csv", "13946f054d4e1bf48079813aac61bf77"),
    _zenodo("clotho_audio_development.7z", "c8b05bc7acdb13895bb3c6a29608667e", unpacked_size=7_700_000_000),
    _zenodo("clotho_audio_validation.7z", "7dba730be08bada48bd15dc4e668df59", unpacked_size=2_200_000_000),
    _zenodo("clotho_audio_evaluation.7z", "4569624ccadf96223f19cb59fe4f849f", unpacked_size=2_200_000_000),
)


def parse(root: Path, options: ParseOptions) -> Iterator[Track | Dropped]:
    """Read the captions of each part, and its metadata if it is there."""
    for part, split in SPLITS.items():
        path = root / f"clotho_captions_{part}.csv"
        if not path.exists():
            continue
        dropped: list[Dropped] = []
        facts = _read_metadata(root / f"clotho_metadata_{part}.csv", root, dropped)
        yield from dropped
        for row in CsvTable(path, root, ("file_name", *_CAPTIONS)):
            if isinstance(row, Dropped):
                yield row
            else:
                yield _track(part, split, row[1], facts)


def _read_metadata(path: Path, root: Path, dropped: list[Dropped]) -> Facts:
    if not path.exists():
        return {}
    table = CsvTable(path, root, _METADATA, encoding="latin-1")
    return {cells[0]: cells for _, cells in good_rows(table, dropped)}


def _track(part: str, split: Split, cells: tuple[str, ...], facts: Facts) -> Track:
    name = cells[0]
    captions = [text for text in dict.fromkeys(map(str.strip, cells[1:])) if text]
    _, keywords, sound_id, link, samples, manufacturer, license = facts.get(name, ("",) * len(_METADATA))
    freesound_id = whole_number(sound_id)
    return Track(
        id=f"clotho_{part}_{name}",
        audio_path=f"{part}/{name}",
        captions=captions_of(captions, "human"),
        duration=_seconds(samples),
        dataset="clotho",
        artist=manufacturer,
        tags=tidy_tags(keywords.split(";")),
        license=license,
        recording=f"freesound:{freesound_id}" if freesound_id is not None else "",
        artist_id=f"freesound-artist:{'_'.join(manufacturer.split())}" if manufacturer else "",
        split=split,
        url=link if link.startswith("http") else "",
    )


def _seconds(samples: str) -> float:
    """Parse `[1060864, 2144256]`, the samples of an excerpt of the sound on Freesound; 0 if the cell is empty."""
    match = _SPAN.fullmatch(samples.strip())
    return max(0, int(match[2]) - int(match[1])) / RATE_HZ if match else 0.0


DATASET = Dataset(
    name="clotho",
    title="Clotho v2.1",
    homepage="https://zenodo.org/records/4783391",
    parse=parse,
    marker_files=("clotho_captions_*.csv",),
    audio_folders=(".", "audio", "clotho_audio"),
    typical_s=22.5,
    captions={"human": 29_645},
    tracks=5929,
    caption_license="Tampere University, non-commercial with attribution",
    audio_license="per track",
    in_default_mix=False,
    files=FILES,
)
