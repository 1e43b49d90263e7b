"""Any Hugging Face dataset with an audio and a text column, from a folder or the Hub."""

import hashlib
import json
import os
import random
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from tests.conftest import REPOSITORY
from tests.loaded import python, unisono
from tests.releases import audio, hugging_face
from tests.sources.download import hub
from tests.sources.download import server as misbehaviour
from tests.sources.download.archives import tree
from tests.sources.download.server import Server, serving
from unisono.base.errors import DataError, UsageError
from unisono.base.tally import Dropped
from unisono.curation.unify import unify as run
from unisono.sources import registry as datasets
from unisono.sources.base import HubFiles
from unisono.tracks.files import read_tracks
from unisono.tracks.track import Track
from unisono.tracks.unpacked import ending_of

LAYOUTS: dict[str, Callable[[Path, Path], None]] = {
    "snapshot": hugging_face.snapshot,
    "saved to disk": hugging_face.saved_to_disk,
    "audio folder, csv": hugging_face.audio_folder,
    "audio folder, jsonl": lambda folder, source: hugging_face.audio_folder(folder, source, "jsonl"),
    "audio folder, parquet": lambda folder, source: hugging_face.audio_folder(folder, source, "parquet"),
}
UPSTREAM = {"train": "train", "validation": "val", "test": "test"}


def unify(source: str, output: Path, **options: Any) -> list[Track]:
    run([source], output=output, **options)
    return read_tracks(output)


def read(source: str, unpack_to: Path | None = None) -> list[Track | Dropped]:
    dataset = datasets.get(source)
    assert dataset.root is not None
    return list(dataset.records(dataset.root, unpack_to=unpack_to))


def save(folder: Path, columns: dict[str, Any], name: str = "data.parquet") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pa.table(columns), folder / name)
    return folder


def held(*contents: bytes | None, names: list[str | None] | None = None) -> pa.Array:
    paths = names or [f"{number}.wav" for number in range(len(contents))]
    rows = [{"bytes": content, "path": path} for content, path in zip(contents, paths, strict=True)]
    return pa.array(rows, hugging_face.AUDIO)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return tmp_path / "source"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_says_the_same(tmp_path: Path, source: Path, layout: str) -> None:
    LAYOUTS[layout](tmp_path / "set", source)
    tracks = unify(f"hf:{tmp_path / 'set'}", tmp_path / "out" / "unified.json")
    assert len(tracks) == 10
    by_caption = {track.caption: track for track in tracks}
    for split, numbers in hugging_face.SPLITS.items():
        for number in numbers:
            track, upstream = by_caption[f"A tone, the {number}th"], hugging_face.sound(source, number)
            assert Path(track.audio_path).read_bytes() == upstream.read_bytes()
            assert Path(track.audio_path).suffix == upstream.suffix
            assert (track.split, track.genre, track.artist) == (
                UPSTREAM[split], hugging_face.GENRES[number % 2], f"Artist {number}",
            )  # fmt: skip
            assert track.duration == pytest.approx(0.5 + number / 10, abs=0.1)
            assert track.captions[0].origin is None, "nobody knows who wrote them"


def test_a_recipe_maps_the_columns_of_a_folder(tmp_path: Path, source: Path) -> None:
    hugging_face.snapshot(tmp_path / "set", source)
    (tmp_path / "mine.toml").write_text(
        'table = "set"\naudio = "{audio}"\nfiles = "data/t*.parquet"\nname = "tones"\ncaption_origin = "model"\n'
        'license = "CC0"\n[columns]\nid = "caption"\ncaption = "artist"\ntitle = "caption"\n'
    )
    tracks = unify(str(tmp_path / "mine.toml"), tmp_path / "out.json")
    assert len(tracks) == 8, "without the validation part"
    first = next(track for track in tracks if track.title == "A tone, the 0th")
    assert (first.id, first.caption, first.captions[0].origin) == ("tones_A tone, the 0th", "Artist 0", "model")
    assert first.license == "CC0-1.0"
    assert Path(first.audio_path).parent == tmp_path / "out_audio" / "tones"


def test_a_single_table_may_hold_audio_too(tmp_path: Path, source: Path) -> None:
    parquet.write_table(hugging_face.table(hugging_face.rows(source, range(3))), tmp_path / "t.parquet")
    (tmp_path / "mine.toml").write_text('table = "t.parquet"\naudio = "{audio}"\n[columns]\ncaption = "caption"')
    assert len(unify(str(tmp_path / "mine.toml"), tmp_path / "out.json")) == 3


def test_rows_of_one_audio_are_one_track_in_its_most_held_out_part(tmp_path: Path, source: Path) -> None:
    sound = hugging_face.sound(source, 0).read_bytes()
    other = hugging_face.sound(source, 4).read_bytes()
    names: list[str | None] = ["a.wav"] * 3
    for split, texts in {"train": ["One", "Two", "Three"], "test": ["Two", "Four", "Five"]}.items():
        columns = {"audio": held(sound, sound, other, names=names), "text": texts}
        save(tmp_path / "set", columns, f"{split}.parquet")
    first, second = sorted(unify(f"hf:{tmp_path / 'set'}", tmp_path / "out.json"), key=lambda track: track.duration)
    assert first.texts == ["Two", "Four", "One"], "tables in alphabetical order: test comes before train"
    assert second.texts == ["Five", "Three"]
    assert {first.split, second.split} == {"test"}
    assert len(list((tmp_path / "out_audio" / "hf_set").iterdir())) == 2


def test_a_set_that_is_all_train_has_no_parts_yet(tmp_path: Path, source: Path) -> None:
    for number in range(2):
        items = hugging_face.rows(source, range(10 * number, 10 * number + 10))
        path = tmp_path / "set" / f"train-{number:05}-of-00002.parquet"
        path.parent.mkdir(exist_ok=True)
        parquet.write_table(hugging_face.table(items), path)
    tracks = unify(f"hf:{tmp_path / 'set'}", tmp_path / "out.json")
    assert sorted({str(track.split) for track in tracks}) == ["test", "train", "val"], "they are drawn"


def test_plain_bytes_are_audio_and_their_format_is_told_by_them(tmp_path: Path, source: Path) -> None:
    contents = [hugging_face.sound(source, number).read_bytes() for number in range(4)]
    save(tmp_path / "set", {"sound": contents, "text": list("abcd")})
    tracks = unify(f"hf:{tmp_path / 'set'}", tmp_path / "out.json")
    assert {Path(track.audio_path).suffix for track in tracks} == {".wav", ".flac", ".mp3", ".ogg"}
    assert {Path(track.audio_path).read_bytes() for track in tracks} == set(contents)


@pytest.mark.parametrize(
    ("start", "ending"),
    [
        (b"RIFF\0\0\0\0WAVEfmt ", ".wav"), (b"RF64\0\0\0\0WAVE", ".wav"), (b"RIFF\0\0\0\0AVI ", ".audio"),
        (b"fLaC", ".flac"), (b"OggS" + bytes(24) + b"\x01vorbis", ".ogg"), (b"OggS" + bytes(24) + b"OpusHead", ".opus"),
        (b"ID3\x04", ".mp3"), (b"\xff\xfb\x90", ".mp3"), (b"\xff\xf1\x50", ".aac"), (b"FORM\0\0\0\0AIFF", ".aiff"),
        (b"\0\0\0\x20ftypM4A ", ".m4a"), (b"#!/bin/sh", ".audio"), (b"\xff", ".audio"), (b"", ".audio"),
    ],
)  # fmt: skip
def test_formats_are_recognised_by_content(start: bytes, ending: str) -> None:
    assert ending_of(start) == ending


NAMES = [
    "../../up.sh",
    "/etc/passwd",
    "a\\..\\b.exe",
    "nul\0.wav",
    "x" * 400,
    "日本.wav",
    "",
    None,
    "..",
    ".hidden",
    "-rf",
]


def test_names_are_made_here(tmp_path: Path, source: Path) -> None:
    contents = [hugging_face.sound(source, 4 * number).read_bytes() for number in range(len(NAMES))]
    save(tmp_path / "set", {"audio": held(*contents, names=NAMES), "text": [str(n) for n in range(len(NAMES))]})
    inside = tmp_path / "deep" / "er"
    tracks = unify(f"hf:{tmp_path / 'set'}", inside / "out.json")
    assert len(tracks) == len(NAMES)
    for track in tracks:
        path = Path(track.audio_path)
        assert path.parent == inside / "out_audio" / "hf_set"
        assert path.suffix == ".wav" and path.name.isascii() and path.name.count(".") == 1 and len(path.name) < 120
    assert {path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("*")} == {"set", "source", "deep"}


def test_paths_of_a_table_do_not_leave_the_folder(tmp_path: Path) -> None:
    audio.tone(tmp_path / "secret.wav", 1, 300)
    names = ["../secret.wav", str(tmp_path / "secret.wav")]
    (tmp_path / "set").mkdir()
    items = [{"file_name": name, "text": "x"} for name in names]
    hugging_face.write_rows(tmp_path / "set" / "metadata.jsonl", items)
    report = tmp_path / "out.report.json"
    with pytest.raises(Exception, match="No track is left"):
        unify(f"hf:{tmp_path / 'set'}", tmp_path / "out.json")
    assert json.loads(report.read_text())["reasons"] == {"audio file missing": 2}


def test_what_a_row_lacks_is_counted(tmp_path: Path, source: Path) -> None:
    good = hugging_face.sound(source, 0).read_bytes()
    contents = [good, None, b"", b"no audio at all", good]
    columns = {"audio": held(*contents, names=["a", None, "b", "c", "d"]), "text": ["One", "x", "x", "x", None]}
    save(tmp_path / "set", columns)
    (track,) = unify(f"hf:{tmp_path / 'set'}", tmp_path / "out.json")
    assert track.caption == "One"
    report = json.loads((tmp_path / "out.report.json").read_text())
    assert report["reasons"] == {
        "audio file empty": 1, "no audio named": 1, "no caption": 1, "not an audio file": 1,
    }  # fmt: skip
    assert report["came"] == {"hf_set": 5}


def test_a_dry_run_unpacks_nothing(tmp_path: Path, source: Path) -> None:
    hugging_face.snapshot(tmp_path / "set", source)
    with pytest.raises(Exception, match="No track is left"):
        unify(f"hf:{tmp_path / 'set'}", tmp_path / "out.json", dry_run=True)
    assert {path.name for path in tmp_path.iterdir()} == {"set", "source"}
    items = read(f"hf:{tmp_path / 'set'}")
    assert {item.reason for item in items if isinstance(item, Dropped)} == {"audio not unpacked in a dry run"}


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"audio": held(b"x"), "words": ["x"]}, "none is called caption, .*; columns found: audio, words"),
        ({"text": ["x"], "file": ["x"]}, "None holds audio; columns found: text, file"),
        ({"text": ["x"], "one": [b"x"], "two": [b"x"]}, "One and two hold audio; columns found: text, one, two"),
    ],
)
def test_columns_that_do_not_say_what_they_are(tmp_path: Path, columns: dict[str, Any], said: str) -> None:
    save(tmp_path / "set", columns)
    with pytest.raises(UsageError, match=f"(?i){said}") as error:
        read(f"hf:{tmp_path / 'set'}", tmp_path / "audio")
    assert "recipe" in error.value.hint and "[columns]" in error.value.hint


@pytest.mark.parametrize(
    ("recipe", "said", "hint"),
    [
        (
            'audio = "{audio}"\n[columns]\ncaption = "captoin"',
            "no column 'captoin'.*found: audio, caption, ",
            "'caption'",
        ),
        ('audio = "{audio}"\n[columns]\ncaption = "audio"', "'audio', which .* holds audio, not text", '"{audio}"'),
        ('audio = "{audio}.mp3"\n[columns]\ncaption = "caption"', "holds the audio itself, not its name", '"{audio}"'),
        ('files = "x/*"\naudio = "{audio}"\n[columns]', r"there is no x/\* in it; found: README.md, data", "recipe"),
        ('files = "/etc/*"\naudio = "{audio}"\n[columns]', r"there is no /etc/\* in it", "recipe"),
        ('files = "../*.toml"\naudio = "{audio}"\n[columns]', r"there is no \.\./\*\.toml in it", "recipe"),
    ],
)
def test_mistakes_in_a_mapping_are_explained(tmp_path: Path, source: Path, recipe: str, said: str, hint: str) -> None:
    hugging_face.snapshot(tmp_path / "set", source)
    (tmp_path / "mine.toml").write_text(f'table = "set"\n{recipe}')
    dataset = datasets.get(str(tmp_path / "mine.toml"))
    with pytest.raises(DataError, match=said) as error:
        list(dataset.records(tmp_path, unpack_to=tmp_path / "audio"))
    assert hint in error.value.hint


def test_folders_that_are_not_one_set(tmp_path: Path, source: Path) -> None:
    hugging_face.snapshot(tmp_path / "set" / "large", source)
    with pytest.raises(UsageError, match="There is no folder"):
        datasets.get(f"hf:{tmp_path / 'none'}")
    hugging_face.snapshot(tmp_path / "set" / "small", source)
    with pytest.raises(DataError, match="holds several datasets, in large/data, small/data") as error:
        read(f"hf:{tmp_path / 'set'}", tmp_path / "audio")
    assert "hf:<folder>/large/data" in error.value.hint
    assert len(read(f"hf:{tmp_path / 'set' / 'small'}", tmp_path / "audio")) == 10
    (tmp_path / "set" / "small" / "data" / "train-00001-of-00002.parquet").unlink()
    with pytest.raises(DataError, match="1 of the 2 files of train are there"):
        read(f"hf:{tmp_path / 'set' / 'small'}", tmp_path / "audio")
    with pytest.raises(DataError, match=r"there is no \*\.parquet.*; found: tone"):
        read(f"hf:{source}", tmp_path / "audio")


@pytest.mark.parametrize("name", ["data.parquet", "data.arrow"])
@pytest.mark.parametrize("content", [b"", b"PAR1", b"version https://git-lfs.github.com/spec/v1\noid", b"<html>"])
def test_damaged_tables_are_named(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / name).write_bytes(content)
    with pytest.raises(DataError, match=name):
        read(f"hf:{tmp_path / 'set'}", tmp_path / "audio")


cells = st.one_of(
    st.none(), st.text(max_size=6), st.just("<b>&amp;\r\n"), st.sampled_from(["../x", "/x", "nan", "\ufeff", "x" * 300])
)
sounds = st.one_of(st.none(), st.binary(max_size=12), st.just(b"fLaC"), st.just(b"RIFF\0\0\0\0WAVE"))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@given(
    st.lists(
        st.tuples(sounds, cells, cells, st.integers(-2, 3), st.one_of(st.none(), st.floats(), st.integers(-9, 9))),
        min_size=1, max_size=6,
    )
)  # fmt: skip
def test_hostile_rows_are_read_or_dropped(tmp_path: Path, rows: list[tuple[Any, ...]]) -> None:
    contents, names, texts, labels, years = (list(column) for column in zip(*rows, strict=True))
    schema = hugging_face.table([]).schema
    columns = {"audio": held(*contents, names=names), "caption": texts, "genre": labels, "artist": names}
    content = pa.table(columns, schema=schema).append_column("year", pa.array(map(str, years)))
    (tmp_path / "set").mkdir(exist_ok=True)
    parquet.write_table(content, tmp_path / "set" / "x.parquet")
    items = read(f"hf:{tmp_path / 'set'}", tmp_path / "audio")
    assert sum(isinstance(item, Dropped) for item in items) <= len(rows)
    tracks = [item for item in items if isinstance(item, Track)]
    assert len({track.id for track in tracks}) == len(tracks)
    assert all(track.genre in ("", *hugging_face.GENRES) for track in tracks)
    for path in (tmp_path / "audio").rglob("*"):
        if path.is_file():
            digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
            assert path.parent == tmp_path / "audio" / "hf_set" and path.stem.endswith(digest)


def test_audio_passes_through_in_bounded_memory(tmp_path: Path) -> None:
    """Rows are let go as they come: memory does not grow with their number."""
    path = tmp_path / "set" / "data.parquet"
    path.parent.mkdir()
    schema = hugging_face.table([]).schema
    with parquet.ParquetWriter(path, schema) as writer:
        for group in range(15):
            rows = [
                {
                    "audio": {"bytes": random.Random(10 * group + n).randbytes(1_000_000), "path": f"{n}.wav"},
                    "caption": "x",
                }
                for n in range(10)
            ]
            writer.write_table(pa.Table.from_pylist(rows, schema=schema))
    most = tracemalloc_peak(lambda: read(f"hf:{path.parent}", tmp_path / "audio"))
    assert most < 40_000_000, "of 150 megabytes"


def tracemalloc_peak(work: Callable[[], object]) -> int:
    """Return the peak bytes of Python objects; pyarrow's memory is bounded by a row group."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("layout", ["snapshot", "saved to disk"])
def test_killed_at_random_moments(tmp_path: Path, source: Path, layout: str) -> None:
    LAYOUTS[layout](tmp_path / "set", source)
    seed = random.randrange(1000)
    output = tmp_path / "out" / "unified.json"
    words = ["unify", "--datasets", f"hf:{tmp_path / 'set'}", "--output", str(output)]
    done = python("-m", "tests.killed", output, 6, seed, *words, cwd=REPOSITORY)
    assert done.returncode == 0, f"seed {seed}: {done.stderr}"
    tracks = read_tracks(output)
    upstream = {hugging_face.sound(source, number).read_bytes() for number in range(10)}
    assert {Path(track.audio_path).read_bytes() for track in tracks} == upstream
    assert len(list((tmp_path / "out" / "unified_audio" / "hf_set").iterdir())) == 10


def test_a_full_disk(tmp_path: Path, source: Path) -> None:
    hugging_face.snapshot(tmp_path / "set", source)
    done = unisono("unify", "--datasets", "hf:set", "--output", "out.json", cwd=tmp_path, most_bytes=5000)
    assert done.returncode == 1
    assert "Cannot write" in done.stderr and "Unexpected" not in done.stderr
    assert not (tmp_path / "out.json").exists() and not list(tmp_path.rglob("*.partial"))


class OnTheHub:
    """A dataset on a fake Hub, and the commands that fetch and read it."""

    def __init__(self, server: Server, folder: Path, layout: str = "snapshot") -> None:
        self.server, self.folder = server, folder
        LAYOUTS[layout](folder / "upstream", folder / "source")
        self.files = tree(folder / "upstream")
        scripts = {
            "tones.py": b"raise SystemExit('run')",
            "data/../../../evil.parquet": b"x",
            ".download/a.parquet": b"x",
        }
        self.hub = hub.FakeHub(server, "Some-One/my.tones", self.files | scripts)

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "HF_ENDPOINT": self.server.url, "HF_HUB_DISABLE_TELEMETRY": "1", "HF_TOKEN": ""}
        environment["HF_HOME"] = str(self.folder / "hf")
        command = [sys.executable, "-m", "unisono", *words]
        return subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)


def test_a_repository_of_the_hub(tmp_path: Path) -> None:
    with serving() as server:
        unisono = OnTheHub(server, tmp_path)
        done = unisono("unify", "--datasets", "hf:Some-One/my.tones")
        assert done.returncode == 2
        assert "unisono download hf:Some-One/my.tones" in done.stderr
        prefix = f"/datasets/Some-One/my.tones/resolve/{hub.COMMIT}/data"
        server.script[f"{prefix}/train-00000-of-00002.parquet"] = [misbehaviour.cut(3000), misbehaviour.damaged]
        server.script[f"{prefix}/test-00000-of-00001.parquet"] = [misbehaviour.web_page, misbehaviour.hang_up]
        done = unisono("download", "hf:Some-One/my.tones")
        assert done.returncode == 0, done.stderr
        folder = tmp_path / "data" / "raw" / "hf_some_one_my_tones"
        assert tree(folder) == unisono.files, "no script, and nothing elsewhere"
        before = len(server.requests)
        done = unisono("unify", "--datasets", "hf:Some-One/my.tones")
        assert done.returncode == 0, done.stderr
        assert len(server.requests) == before, "reading needs no network"
    tracks = read_tracks(tmp_path / "data" / "unified_dataset.json")
    assert len(tracks) == 10
    assert {track.split for track in tracks} == {"train", "val", "test"}


def test_audio_files_of_a_repository(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "raw" / "hf_some_one_my_tones"
    with serving() as server:
        unisono = OnTheHub(server, tmp_path, "audio folder, csv")
        done = unisono("download", "hf:Some-One/my.tones", "--metadata-only")
        assert done.returncode == 0, done.stderr
        assert set(tree(folder)) == {f"{split}/metadata.csv" for split in hugging_face.SPLITS}
        done = unisono("download", "hf:Some-One/my.tones")
        assert done.returncode == 0, done.stderr
    assert tree(folder) == unisono.files
    assert len(unify("hf:Some-One/my.tones", tmp_path / "out.json", data_root=tmp_path / "data")) == 10


def test_a_recipe_for_a_repository(tmp_path: Path) -> None:
    with serving() as server:
        unisono = OnTheHub(server, tmp_path)
        (tmp_path / "tones.toml").write_text(
            'table = "hf:Some-One/my.tones"\nfiles = "data/train-*.parquet"\naudio = "{audio}"\n[columns]\n'
            'caption = "artist"\n'
        )
        done = unisono("download", "tones.toml")
        assert done.returncode == 0, done.stderr
        done = unisono("unify", "--datasets", "tones.toml")
        assert done.returncode == 0, done.stderr
    assert len(read_tracks(tmp_path / "data" / "unified_dataset.json")) == 6
    assert not (tmp_path / "data" / "raw" / "tones" / "README.md").exists()


@pytest.mark.parametrize("name", ["hf:", "hf:owner", "hf:../up/there", "hf:owner/..", "hf:a/b/../c", "hf:a/b@"])
def test_what_is_no_repository(name: str) -> None:
    with pytest.raises(UsageError):
        datasets.get(name)


def test_a_part_and_a_revision_of_a_repository() -> None:
    tables, sounds = datasets.get("hf:own/er/10pct@v1.2").files
    assert isinstance(tables, HubFiles) and isinstance(sounds, HubFiles)
    assert (tables.repo, tables.revision) == ("own/er", "v1.2")
    assert "10pct/*.parquet" in tables.patterns and "10pct/*/*.parquet" in tables.patterns
    assert not any(pattern.endswith((".py", "*")) for pattern in tables.patterns + sounds.patterns)
    assert sounds.audio and not tables.audio, "--metadata-only leaves audio files out"


def test_a_column_that_may_name_a_part_of_the_audio_is_pointed_out(tmp_path: Path, caplog: Any) -> None:
    folder = save(tmp_path / "set", {"audio": held(b"RIFF"), "text": ["A slow waltz."], "Start": [3.0]})
    with caplog.at_level("INFO"):
        read(f"hf:{folder}", tmp_path / "unpacked")
    assert "the column 'Start' is not used" in caplog.text
