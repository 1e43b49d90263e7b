"""The time of a sync in which nothing has changed, over that of listing the folder with `scandir` and `stat`; and how soon
the tracks of a new album are found.

    python -m benchmarks.library [--files 100000] [--album 12] [--repeat 5]

The folder holds links to a few short files, twelve an album, and the catalogue knows them all as if they had been looked
into. The peer lists all folders and calls `stat` of each file. The measurements alternate; the best of `--repeat` counts.
Then an album comes in, as it does after its embedding, and a collection that is in use is asked for it; what that takes is
compared with building the collection of all tracks.
"""

import argparse
import os
import tempfile
from pathlib import Path

import numpy as np
import soundfile

from benchmarks.timing import seconds
from unisono.library.catalogue import Catalogue, Vectors
from unisono.library.gathered import Gathered
from unisono.library.library import Library
from unisono.library.sources import SourceTrack, TrackFacts
from unisono.retrieval.models import JointModel, load_model

FILES_A_FOLDER = 12
LINKS = 30_000
"""To one file; some file systems allow no more."""
SEGMENTS = 3


def make(root: Path, count: int) -> None:
    """Link one file `count` times, in folders of artists and albums."""
    for number in range(count):
        source = root.parent / f"{number // LINKS}.flac"
        if number % LINKS == 0:
            soundfile.write(source, np.zeros(8_000, np.float32), 8_000)
        folder = root / f"artist {number // FILES_A_FOLDER % 997}" / f"album {number // FILES_A_FOLDER}"
        if number % FILES_A_FOLDER == 0:
            folder.mkdir(parents=True, exist_ok=True)
        os.link(source, folder / f"{number % FILES_A_FOLDER + 1:02} title {number}.flac")


def fill(library: Library, model: JointModel, tracks: list[SourceTrack]) -> None:
    """Put tracks into the catalogue as if they had been looked into and embedded."""
    catalogue = library.catalogue
    source = catalogue.sources()[0].number
    encoder = catalogue.encoder(model.audio_encoder, add=True)
    assert encoder is not None
    catalogue.put_setting("encoder", str(encoder))
    noise = np.random.default_rng(0)
    starts_s = np.arange(SEGMENTS, dtype=np.float32) * 10
    shape = (SEGMENTS, model.audio_encoder.dim)
    with catalogue.writing() as revision:
        for track in tracks:
            content = noise.bytes(16)
            catalogue.insert(source, track, content, revision)
            vectors = Vectors(starts_s, noise.standard_normal(shape, np.float32).astype(np.float16))
            catalogue.put_vectors(content, encoder, vectors, revision)


def listed(root: str) -> int:
    """List a folder and all below it, and call `stat` of each file."""
    count, waiting = 0, [root]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                else:
                    count += entry.stat().st_size > 0
    return count


def as_listed(library: Library) -> list[SourceTrack]:
    """Return what the folder lists, with facts."""
    source = library._source(library.catalogue.sources()[0].address)
    facts = TrackFacts(title="a title", artist="an artist", album="an album")
    return [SourceTrack(each.key, each.path, each.size, each.changed, 1.0, facts) for each in source.list()]


def compare_sync(library: Library, root: Path, count: int, repeat: int) -> None:
    """Compare a sync in which nothing has changed with listing the folder."""
    best = {"listing": 1e9, "sync": 1e9}
    for _ in range(repeat):
        best["listing"] = min(best["listing"], seconds(lambda: listed(str(root))))
        best["sync"] = min(best["sync"], seconds(library.sync))
    ratio = best["sync"] / best["listing"]
    print(f"sync of {count:,} unchanged files {best['sync']:.3f} s, listing {best['listing']:.3f} s: ratio {ratio:.2f}")


def compare_album(path: Path, model: JointModel, library: Library, album: int) -> None:
    """Compare the collection's growth by an album with building it."""
    with Catalogue(path) as catalogue:
        gathered = Gathered({library.name: catalogue}, model)
        whole_s = seconds(gathered.collection)
        fill(library, model, [SourceTrack(f"new/{number}.flac", f"new/{number}.flac") for number in range(album)])
        grown_s = seconds(gathered.collection)
    print(
        f"a new album is found after {grown_s:.3f} s, built from nothing {whole_s:.3f} s: ratio {grown_s / whole_s:.2f}"
    )


def main() -> None:
    """Measure both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--album", type=int, default=12)
    parser.add_argument("--repeat", type=int, default=5)
    asked = parser.parse_args()
    model = load_model("tags")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "music")
        make(root, asked.files)
        with Library.open(folder, create=True) as library:
            library.add(root)
            fill(library, model, as_listed(library))
            compare_sync(library, root, asked.files, asked.repeat)
            compare_album(library.catalogue.path, model, library, asked.album)


if __name__ == "__main__":
    main()
