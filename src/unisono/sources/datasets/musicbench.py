"""MusicBench: MusicCaps with musical features in its texts, and augmented audio, 2023.

What:       52,768 rows for training, 400 for testing in two wordings (A and B, the same audio); wav, 16 kHz, about 10 s.
Captions:   two in each row, rephrased by a model, with sentences on chords, beat, tempo and key; a file may have several
            rows.
Licences:   captions CC BY-SA 3.0; audio: excerpts of YouTube, no licence stated.
Splits:     upstream's train and test (A and B together).
Source:     https://huggingface.co/datasets/amaai-lab/MusicBench (paper: https://arxiv.org/abs/2311.08355)
Known defects:
- Up to eleven pitch-, tempo- and volume-shifted copies of a clip share its music: `recording` keeps them together.
- Rows with `is_audioset_eval_mcaps` are from MusicCaps' test set; their tracks have the field `is_audioset_eval`.
- The files are JSON Lines although named `.json`; `location` has several prefixes: only its last two parts count.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from unisono.base.tally import Dropped
from unisono.sources.base import Dataset, HubFiles, ParseOptions
from unisono.sources.readers import JsonLines
from unisono.tracks.track import Split, Track, captions_of

REPO = "amaai-lab/MusicBench"
CHECKSUMS = {
    "MusicBench.tar.gz": "sha256:b4c16fba91d21b7662f595c7559ed71fac8448a24daab840345c05d9da727b92",
    "MusicBench_train.json": "sha256:579d35b724391cb6fd2b0ae181bed074e536f44158e5ebfc0d683d323d23ac26",
    "MusicBench_test_A.json": "sha256:c5a84f9f7a1ed8d11c13a36020d85ce7bd9101e6de9a23c66867329b0590770a",
    "MusicBench_test_B.json": "sha256:de23793fed7a7226a212e895758f25f060e40b8e53714c2da3ae4a6659197507",
}
CLIP_S = 10.0
_FILE = re.compile(r"[^/]+/[\w-]{11}(_\d+)?\.\w+", re.ASCII)
TABLES: dict[str, Split] = {
    "MusicBench_train.json": "train",
    "MusicBench_test_A.json": "test",
    "MusicBench_test_B.json": "test",
    "MusicBench_testA.json": "test",
    "MusicBench_testB.json": "test",
}


FILES = (
    # The checksums decide, whatever `main` has become; all downloads use the commit of the first one.
    HubFiles(repo=REPO, revision="main", patterns=tuple(TABLES), checksums=CHECKSUMS, size=86_778_817),
    HubFiles(
        repo=REPO,
        revision="main",
        patterns=("MusicBench.tar.gz",),
        checksums=CHECKSUMS,
        size=16_757_993_240,
        unpack_to=".",
        unpacked_size=17_500_000_000,
        audio=True,
    ),
)


class _Row(msgspec.Struct, gc=False):
    location: str
    main_caption: str | None = None
    alt_caption: str | None = None
    captions: str | None = None
    """In files from before the publication, as is `old_captions`."""
    old_captions: str | None = None
    bpm: float | None = None
    key: list[str | None] | None = None
    chords: list[str] | None = None
    is_audioset_eval_mcaps: bool | None = None


def parse(root: Path, options: ParseOptions) -> Iterator[Track | Dropped]:
    """Read the three files; yield one track for each audio file, with the captions of all its rows."""
    tracks: dict[str, tuple[_Row, Split, dict[str, None]]] = {}
    for name, split in TABLES.items():
        if not (root / name).exists():
            continue
        rows = JsonLines(root / name, root, _Row)
        for item in rows:
            if isinstance(item, Dropped):
                yield item
                continue
            number, row = item
            location = "/".join(row.location.split("/")[-2:])
            if not _FILE.fullmatch(location):
                yield rows.malformed(
                    number, f"field 'location': expected <folder>/<YouTube id>.wav, found {row.location!r}"
                )
                continue
            _, _, captions = tracks.setdefault(location, (row, split, {}))
            for text in (row.main_caption, row.alt_caption, row.captions, row.old_captions):
                if text and not text.isspace():
                    captions[text.strip()] = None
    for location, (row, split, captions) in tracks.items():
        yield _track(location, row, split, list(captions))


def _track(location: str, row: _Row, split: Split, captions: list[str]) -> Track:
    folder, _, name = location.rpartition("/")
    stem = name.rpartition(".")[0]
    key = " ".join(filter(None, row.key or []))
    extra: dict[str, Any] = {"bpm": row.bpm, "key": key, "chords": row.chords}
    extra["is_audioset_eval"] = row.is_audioset_eval_mcaps or None
    return Track(
        id=f"musicbench_{folder}_{stem}",
        audio_path=location,
        captions=captions_of(captions, "model"),
        duration=CLIP_S,
        dataset="musicbench",
        recording=f"youtube:{stem[:11]}",
        split=split,
        url=f"https://www.youtube.com/watch?v={stem[:11]}",
        extra={name: value for name, value in extra.items() if value},
    )


DATASET = Dataset(
    name="musicbench",
    title="MusicBench",
    homepage="https://huggingface.co/datasets/amaai-lab/MusicBench",
    parse=parse,
    marker_files=tuple(TABLES),
    audio_folders=("datashare", ".", "audio", "audio/datashare"),
    captions={"model": 0},
    tracks=53_168,
    caption_license="CC BY-SA 3.0",
    audio_license="not given (YouTube)",
    files=FILES,
)
