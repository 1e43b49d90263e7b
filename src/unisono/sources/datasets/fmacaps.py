"""FMACaps: a test set of MusicBench, made from FMA, 2023.

What:       1,000 clips of FMA, 5 to 10 s; wav, 16 kHz mono.
Captions:   three wordings for each clip, by a model, with all (B), some (C) or none (A) of the sentences on chords, beat
            and key.
Licences:   captions CC BY-SA 3.0; audio per track of FMA, not given here.
Splits:     all test: it was made for evaluation.
Source:     https://huggingface.co/datasets/amaai-lab/MusicBench (paper: https://arxiv.org/abs/2311.08355)
Known defects:
- It overlaps with FMA: `recording` identifies the track if the file's name is FMA's number.
- The files are JSON Lines although named `.json`, and `alt_caption` is empty.
"""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import msgspec

from unisono.base.tally import Dropped
from unisono.sources.base import Dataset, HubFiles, ParseOptions
from unisono.sources.cells import whole_number
from unisono.sources.readers import JsonLines
from unisono.tracks.track import Track, captions_of

ARCHIVE = "FMACaps_eval_set.tar.gz"


FILES = (
    HubFiles(
        repo="amaai-lab/MusicBench",
        revision="main",
        patterns=(ARCHIVE,),
        checksums={ARCHIVE: "sha256:caf3ff0715c8275f6dcd7316c650d17173efb7fe39d124873d3ab06d429520eb"},
        size=298_277_922,
        unpack_to=".",
        unpacked_size=330_000_000,
    ),
)


class _WordingRow(msgspec.Struct, gc=False):
    location: str
    main_caption: str | None = None


def parse(root: Path, options: ParseOptions) -> Iterator[Track | Dropped]:
    """Read the three wordings; yield one track for each clip."""
    folder = root / "FMACaps_eval_set" if (root / "FMACaps_eval_set").is_dir() else root
    captions: dict[str, dict[str, None]] = {}
    for wording in "ABC":
        path = folder / f"FMACaps_{wording}.json"
        if not path.exists():
            continue
        rows = JsonLines(path, root, _WordingRow)
        for item in rows:
            if isinstance(item, Dropped):
                yield item
                continue
            number, row = item
            name = PurePosixPath(row.location).name
            if not name:
                yield rows.malformed(number, "field 'location': expected the path of a wav file, found nothing")
                continue
            texts = captions.setdefault(name, {})
            if row.main_caption and not row.main_caption.isspace():
                texts[row.main_caption.strip()] = None
    for name, texts in captions.items():
        stem = PurePosixPath(name).stem
        number_of_fma = whole_number(stem)
        yield Track(
            id=f"fmacaps_{stem}",
            audio_path=name,
            captions=captions_of(texts, "model"),
            duration=0,
            dataset="fmacaps",
            recording=f"fma:{number_of_fma}" if number_of_fma is not None else "",
            split="test",
        )


DATASET = Dataset(
    name="fmacaps",
    title="FMACaps",
    homepage="https://huggingface.co/datasets/amaai-lab/MusicBench",
    parse=parse,
    marker_files=("FMACaps_eval_set/FMACaps_*.json", "FMACaps_*.json"),
    audio_folders=("FMACaps_eval_set/audiodata", "audiodata", "audio", "."),
    captions={"model": 3000},
    tracks=1000,
    caption_license="CC BY-SA 3.0",
    audio_license="per track of FMA",
    evaluation_only=True,
    files=FILES,
)
