"""MTG-Jamendo: songs of Jamendo with tags for genre, instrument and mood, 2019.

What:       55,609 songs of at least 30 s, mp3 320 kbit/s, or as `audio-low` (mono, `<id>.low.mp3`); 3,764 hours.
Captions:   none. They are made here from the tags, which are spelled out (`easylistening`), with the origin `tags`.
Licences:   metadata CC BY-NC-SA 4.0; audio per track, in `audio_licenses.txt`, mostly non-commercial.
Splits:     five, without a shared artist. Split 0 is the default: it is the only one whose test part contains all songs
            of Song Describer.
Source:     https://github.com/MTG/mtg-jamendo-dataset (paper: http://hdl.handle.net/10230/42015)
Known defects:
- The tables are tab-separated with a varying number of columns and CRLF; `autotagging.tsv` is a link that some downloads
  turn into a text file with the name of its target.
- A table of one category lacks the songs without such a tag: all tables that are there are read together.
- 990 files are byte for byte copies of others, some under another artist or in another part of the split.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from unisono.base.errors import DataError
from unisono.base.tally import Dropped
from unisono.sources.base import Dataset, Option, ParseOptions, RemoteFile
from unisono.sources.cells import year_field
from unisono.sources.datasets._jamendo import SideFacts, genre_and_tags, read_licenses, read_names, read_tags
from unisono.tracks.track import Split, Track

COMMIT = "1b4fa8c32e076c73b5175c1703ae805b4109309d"
PARTS = tuple(f"{number:02}" for number in range(100))
SPLITS: dict[str, Split] = {"train": "train", "validation": "val", "test": "test"}
_RELEASED = 6
"""Column of `raw.meta.tsv`."""
_WHOLE = ("raw_30s_cleantags_50artists.tsv", "autotagging*.tsv")


@lru_cache(maxsize=1)
def _sha256() -> dict[str, str]:
    """Read the published checksums of the tars: name -> SHA-256."""
    lines = files("unisono.sources.datasets").joinpath("_mtg_jamendo_sha256.txt").read_text().splitlines()
    return {name: checksum for checksum, name in map(str.split, lines)}


def _tar(flavour: str, quality: str, part: str, size: int) -> RemoteFile:
    """Describe a tar: the songs whose ids end in the two digits of the part, practically a random sample."""
    name = f"raw_30s_{flavour}-{part}.tar"
    path = f"mtg-jamendo/raw_30s/{flavour}/{name}"
    return RemoteFile(
        name=name,
        urls=(f"https://cdn.freesound.org/{path}", f"https://essentia.upf.edu/documentation/datasets/{path}"),
        about=size,
        checksum=f"sha256:{_sha256()[name]}",
        unpack_to=flavour,
        unpacked_size=int(1.2 * size),
        audio=True,
        parts=frozenset({quality, part}),
    )


def _metadata(name: str, about: int) -> RemoteFile:
    """Describe a file of the repository; the commit in its address pins its content."""
    return RemoteFile(
        name=name, urls=(f"https://raw.githubusercontent.com/MTG/mtg-jamendo-dataset/{COMMIT}/{name}",), about=about
    )


FILES = (
    _metadata("data/raw_30s_cleantags_50artists.tsv", 8_000_000),
    *(
        _metadata(f"data/splits/split-{number}/autotagging-{part}.tsv", 2_600_000)
        for number in range(5)
        for part in SPLITS
    ),
    _metadata("data/raw.meta.tsv", 8_000_000),
    _metadata("audio_licenses.txt", 13_000_000),
    *(_tar("audio", "high", part, 5_080_000_000) for part in PARTS),
    *(_tar("audio-low", "low", part, 1_560_000_000) for part in PARTS),
)
OPTIONS = (
    Option(
        name="split",
        flag="mtg_split",
        default=0,
        values=(0, 1, 2, 3, 4),
        help="Which of MTG-Jamendo's five splits to keep; only in split 0 all songs of Song Describer are in the test part.",
    ),
)
CHOICES = (
    Option(
        name="parts",
        default=("all",),
        values=("all", *PARTS),
        several=True,
        help="For datasets published in parts (MTG-Jamendo: 00 to 99): the parts to fetch. Default: all.",
    ),
    Option(
        name="quality",
        default="high",
        values=("high", "low"),
        help="For datasets published in two qualities (MTG-Jamendo: 320 kbit/s stereo or smaller mono).",
    ),
)


def parse(root: Path, options: ParseOptions) -> Iterator[Track | Dropped]:
    """Read all tables in `data/` or in the folder itself, and the parts of the chosen split."""
    facts: dict[int, SideFacts] = {}
    dropped: list[Dropped] = []
    split_of: dict[int, Split] = {}
    folder = root / "data" if (root / "data").is_dir() else root
    songs: set[int] = set()
    for path in sorted({path for pattern in _WHOLE for path in folder.glob(pattern)}):
        if not _is_stub(path):
            songs.update(read_tags(path, root, facts, dropped))
    for part, split in SPLITS.items():
        for path in sorted((folder / "splits" / f"split-{options.own['split']}").glob(f"autotagging*-{part}.tsv")):
            ids = read_tags(path, root, facts, dropped)
            songs.update(ids)
            split_of.update(dict.fromkeys(ids, split))
    read_licenses(root / "audio_licenses.txt", facts)
    if (path := folder / "raw.meta.tsv").exists():
        read_names(path, root, facts, dropped, released=_RELEASED if options.years else None)
    yield from dropped
    sha256_of = _read_hashes(folder / "download")
    for track_id in sorted(songs):
        yield _track(track_id, facts[track_id], split_of.get(track_id), sha256_of.get(track_id, ""))


def _is_stub(path: Path) -> bool:
    """Return whether a file is a link that became a text file; it is skipped if its target is there.

    Raises:
        DataError: the target is not there.
    """
    if path.stat().st_size > 200:
        return False
    text = path.read_text(encoding="utf-8", errors="replace").strip()
    if "\t" in text or not text.endswith(".tsv"):
        return False
    if not (path.parent / text).exists():
        raise DataError(
            f"{path} is a link that became a text file: its content, {text!r}, names a file that is missing."
        )
    return True


def _read_hashes(folder: Path) -> dict[int, str]:
    """Read the published lists of `<sha256> NN/<id>.mp3`, which identify copies; they do not hold for `audio-low`."""
    return {
        int(name.rpartition("/")[2].removesuffix(".mp3")): sha256
        for path in sorted(folder.glob("*_audio_sha256_tracks.txt"))
        for sha256, _, name in (line.partition(" ") for line in path.read_text(encoding="utf-8").splitlines())
        if len(sha256) == 64 and name.rpartition("/")[2].removesuffix(".mp3").isdecimal()
    }


def _track(track_id: int, song: SideFacts, split: Split | None, sha256: str) -> Track:
    genre, tags = genre_and_tags(song.tags)
    return Track(
        id=f"mtg_jamendo_{track_id}",
        audio_path=f"{PARTS[track_id % 100]}/{track_id}.mp3",
        duration=song.duration_s,
        dataset="mtg_jamendo",
        artist=song.artist,
        title=song.title,
        genre=genre,
        tags=tags.copy(),
        license=song.license,
        recording=f"jamendo:{track_id}",
        artist_id=f"jamendo-artist:{song.artist_id}" if song.artist_id is not None else "",
        split=split,
        attribution=song.attribution,
        url=song.url or f"https://www.jamendo.com/track/{track_id}",
        sha256=sha256,
        extra=year_field(song.released),
    )


def _audio_names(track: Track) -> Iterable[str]:
    """Return the name of the smaller files."""
    return [track.audio_path.replace(".mp3", ".low.mp3")]


_FLAVOURS = [f"{data}/{kind}" for data in ("raw_30s", "autotagging_moodtheme") for kind in ("audio", "audio-low")]


DATASET = Dataset(
    name="mtg_jamendo",
    title="MTG-Jamendo",
    homepage="https://github.com/MTG/mtg-jamendo-dataset",
    parse=parse,
    options=OPTIONS,
    hash_lists=("data/download/*_sha256_tracks.txt", "download/*_sha256_tracks.txt"),
    marker_files=("data/autotagging*.tsv", "data/splits/split-*/*.tsv", "autotagging*.tsv", "splits/split-*/*.tsv"),
    audio_folders=("audio", "audio-low", *_FLAVOURS, "."),
    audio_names=_audio_names,
    captions={"tags": 55_609},
    tracks=55_609,
    caption_license="CC BY-NC-SA 4.0 (metadata; the captions are made from it)",
    audio_license="per track",
    files=FILES,
    choices=CHOICES,
)
