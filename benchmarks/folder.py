"""The time of scanning a folder of one's own music, over that of reading the same tags with mutagen alone.

    python -m benchmarks.folder [--folder FOLDER] [--files 100000] [--repeat 3]

The folder holds tagged files, each a few seconds of noise: 70 % MP3 (ID3v2.4 with a cover), 20 % FLAC, 10 % Ogg Vorbis. The
peer lists the folder and reads the tags and the length of each file, with one thread for each core; it makes no tracks. It
is mutagen where that is installed (it is under the GPL, so no dependency of this project), otherwise tinytag, which the
scan itself uses. The measurements alternate, each in a process of its own; the best of `--repeat` counts. Files come
from the system's cache: on a cold disk both wait for the disk.
"""

import argparse
import os
import random
import resource
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from benchmarks.apart import apart
from unisono.base.cores import available_cores

FILES_A_FOLDER = 12
OGG_FILES = 200
"""Number of different files; the rest are copies, because an Ogg page cannot be changed without its checksum."""
COVER = bytes(range(256)) * 16
_WORDS = (
    "river stone winter garden broken light morning paper ocean signal copper velvet northern quiet machine "
    "hollow summer ghost letters harbour"
)
WORDS = _WORDS.split()
GENRES = ["Rock", "Jazz; Bossa Nova", "Electronic", "Hip-Hop/Rap", "Ambient", "Folk", "Drum & Bass", "Classical"]
COMMENTS = ["", "", "ripped by somebody", "calm, piano, slow", "https://example.org", "live; acoustic guitar; happy"]


def make(root: Path, count: int) -> None:
    """Write `count` tagged files in folders of artists and albums."""
    source = random.Random(5)
    noise = np.random.default_rng(0).standard_normal(16_000 * 3).astype(np.float32) * 0.05
    with tempfile.TemporaryDirectory() as scratch:
        sounds = {}
        for kind in ("mp3", "flac"):
            soundfile.write(Path(scratch) / f"clip.{kind}", noise[: 48_000 if kind == "mp3" else 4_000], 16_000)
            sounds[kind] = (Path(scratch) / f"clip.{kind}").read_bytes()
        sounds |= {f"ogg{number}": _ogg(Path(scratch) / "clip.ogg", source, noise) for number in range(OGG_FILES)}
    for number in range(count):
        kind = source.choices(["mp3", "flac", "ogg"], [7, 2, 1])[0]
        tags = _tags(source, number)
        folder = root / f"artist {number // FILES_A_FOLDER % 997}" / f"album {number // FILES_A_FOLDER}"
        folder.mkdir(parents=True, exist_ok=True)
        content = (
            _id3(tags) + sounds[kind] if kind == "mp3"
            else _flac(tags, sounds[kind]) if kind == "flac"
            else sounds[f"ogg{source.randrange(OGG_FILES)}"]
        )  # fmt: skip
        (folder / f"{number % FILES_A_FOLDER + 1:02} {tags['title']}.{kind}").write_bytes(content)


def _tags(source: random.Random, number: int) -> dict[str, str]:
    artist = f"The {WORDS[number // FILES_A_FOLDER % len(WORDS)].title()} {number // FILES_A_FOLDER % 997}"
    return {
        "title": " ".join(source.choices(WORDS, k=source.randint(1, 4))).title() + f" {number}",
        "artist": artist,
        "album": " ".join(source.choices(WORDS, k=2)).title(),
        "genre": source.choice(GENRES),
        "date": str(source.randint(1960, 2024)),
        "comment": source.choice(COMMENTS),
        "mood": source.choice(["", "", "sad", "Energetic"]),
    }


def _id3(tags: dict[str, str]) -> bytes:
    names = {"title": "TIT2", "artist": "TPE1", "album": "TALB", "genre": "TCON", "date": "TDRC"}
    frames = [(names[name], b"\x03" + text.encode()) for name, text in tags.items() if name in names]
    frames += [("COMM", b"\x03eng\x00" + tags["comment"].encode())] if tags["comment"] else []
    frames += [("TXXX", b"\x03mood\x00" + tags["mood"].encode())] if tags["mood"] else []
    frames += [("APIC", b"\x00image/jpeg\x00\x03\x00" + COVER)]
    content = b"".join(name.encode() + _synchsafe(len(body)) + b"\x00\x00" + body for name, body in frames)
    return b"ID3\x04\x00\x00" + _synchsafe(len(content) + 512) + content + bytes(512)


def _synchsafe(number: int) -> bytes:
    return bytes((number >> shift) & 0x7F for shift in (21, 14, 7, 0))


def _flac(tags: dict[str, str], sound: bytes) -> bytes:
    """Put a block of comments behind the first block, STREAMINFO."""
    texts = [f"{name}={text}".encode() for name, text in tags.items() if text]
    comments = b"".join(len(text).to_bytes(4, "little") + text for text in [b"benchmark", *texts])
    comments = comments[: 4 + len(b"benchmark")] + len(texts).to_bytes(4, "little") + comments[4 + len(b"benchmark") :]
    end = 4 + 4 + int.from_bytes(sound[5:8], "big")
    return sound[:end] + b"\x04" + len(comments).to_bytes(3, "big") + comments + sound[end:]


def _ogg(path: Path, source: random.Random, noise: Any) -> bytes:
    tags = _tags(source, source.randrange(100_000))
    with soundfile.SoundFile(path, "w", 16_000, 1) as file:
        for name in ("title", "artist", "album", "genre", "date", "comment"):
            if tags[name]:
                setattr(file, name, tags[name])
        file.write(noise[:16_000])
    return path.read_bytes()


def read_alone(root: Path, peer: str) -> int:
    """Read all tags with the peer alone, one thread for each core; return the number of files."""
    one = _with_mutagen() if peer == "mutagen" else _with_tinytag()

    def read(paths: list[str]) -> list[Any]:
        return [one(path) for path in paths]

    paths = [f"{folder}/{name}" for folder, _, names in os.walk(root) for name in names]
    with ThreadPoolExecutor(available_cores()) as pool:
        return sum(map(len, pool.map(read, [paths[at : at + 64] for at in range(0, len(paths), 64)])))


def _with_mutagen() -> Callable[[str], Any]:
    import mutagen

    def one(path: str) -> Any:
        file = mutagen.File(path)
        return file.info.length, dict(file.tags or {})

    return one


def _with_tinytag() -> Callable[[str], Any]:
    from tinytag import TinyTag

    def one(path: str) -> Any:
        tag = TinyTag.get(path)
        return tag.duration, tag.title, tag.artist, tag.genre, tag.comment, tag.other

    return one


def scan(root: Path) -> int:
    """Scan the folder as `unify` does and return the number of tracks; none is kept, so the peak is that of scanning."""
    from unisono.sources import registry as datasets
    from unisono.tracks.track import Track

    return sum(isinstance(item, Track) for item in datasets.get(f"folder:{root}").records(root))


def measure(root: Path, which: str) -> dict[str, float]:
    """Measure wall and CPU seconds and the peak of memory of this process."""
    begin, cpu = time.perf_counter(), time.process_time()
    count = scan(root) if which == "scan" else read_alone(root, which)
    return {
        "count": count,
        "wall": time.perf_counter() - begin,
        "cpu": time.process_time() - cpu,
        "MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="folder to keep the files in, and to find them in")
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()
    peer = "mutagen" if find_spec("mutagen") else "tinytag"
    with tempfile.TemporaryDirectory() as scratch:
        root = arguments.folder or Path(scratch) / "music"
        if not root.exists():
            make(root, arguments.files)
        runs = [(apart(measure, root, "scan"), apart(measure, root, peer)) for _ in range(arguments.repeat)]
    for name, which in (("folder scan", 0), (f"{peer} alone", 1)):
        best = {kind: min(run[which][kind] for run in runs) for kind in ("count", "wall", "cpu", "MB")}
        print(
            f"{name}: {best['count']:,} files, {best['wall']:.1f} s, {best['cpu']:.1f} CPU seconds, {best['MB']:.0f} MB"
        )
    for kind in ("wall", "cpu"):
        print(f"{kind}: ratio {min(run[0][kind] for run in runs) / min(run[1][kind] for run in runs):.2f}")


if __name__ == "__main__":
    main()
