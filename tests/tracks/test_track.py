"""Unified files: what is written is what is read, in every format, and every fault is named."""

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.making import make_track
from unisono.base.errors import DataError, UsageError
from unisono.base.files import partial_path
from unisono.tracks.files import iter_entries, read_tracks, write_tracks
from unisono.tracks.formats import json_lines, parquet
from unisono.tracks.record import FIELDS, from_fields
from unisono.tracks.track import Caption, Track

FORMATS = ["json", "jsonl", "parquet"]
GOOD = {"id": "d_1", "audio_path": "/music/1.mp3", "caption": "A slow song", "duration": 12.5}

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
words = texts.filter(lambda text: text.strip())
plain_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)


@st.composite
def track_lists(draw: st.DrawFn) -> list[Track]:
    ids = draw(st.lists(words, max_size=5, unique=True))
    return [
        make_track(
            id=name,
            audio_path="/" + draw(texts),
            caption=draw(words),
            duration=draw(st.floats(1e-3, 1e9)),
            alt_captions=draw(st.lists(words, max_size=2)),
            dataset=draw(texts),
            artist=draw(texts),
            genre=draw(texts),
            tags=draw(st.lists(texts, max_size=2)),
            start=draw(st.floats(0, 1e6)),
            split=draw(st.sampled_from([None, "train", "val", "test"])),
            caption_origin=draw(st.sampled_from([None, "human", "model", "tags"])),
            extra=draw(st.dictionaries(texts.filter(lambda text: text not in FIELDS), plain_json, max_size=2)),
        )
        for name in ids
    ]


@pytest.mark.parametrize("kind", FORMATS)
@settings(max_examples=30)
@given(tracks=track_lists())
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, kind: str, tracks: list[Track]) -> None:
    path = tmp_path_factory.mktemp("files") / f"unified.{kind}"
    assert write_tracks(path, iter(tracks)) == len(tracks)
    assert read_tracks(path) == tracks
    content = path.read_bytes()
    write_tracks(path, read_tracks(path))
    assert path.read_bytes() == content


def write_records(path: Path, records: list[object]) -> Path:
    if path.suffix == ".json":
        path.write_text(json.dumps(records))
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
    else:
        pq.write_table(pa.Table.from_pylist(records), path)
    return path


FAULTS = [
    ({"caption": ""}, "'caption'", "length >= 1", "''"),
    ({"caption": " \n"}, "'caption'", "expected words", r"' \n'"),
    ({"id": ""}, "'id'", "length >= 1", "''"),
    ({"audio_path": "music/1.mp3"}, "'audio_path'", "absolute path", "'music/1.mp3'"),
    ({"duration": 0.0}, "'duration'", "> 0.0", "found 0.0"),
    ({"duration": -3.0}, "'duration'", "> 0.0", "found -3.0"),
    ({"duration": float("inf")}, "'duration'", "seconds", "inf"),
    ({"duration": float("nan")}, "'duration'", "float", "nan"),
    ({"duration": "long"}, "'duration'", "expected `float`", "'long'"),
    ({"start": -1.0}, "'start'", ">= 0.0", "found -1.0"),
    ({"start": float("inf")}, "'start'", "seconds", "inf"),
    ({"split": "dev"}, "'split'", "train, val, test", "'dev'"),
    ({"caption_origin": "robot"}, "'caption_origin'", "human, model, tags", "'robot'"),
    ({"tags": ["rock", None]}, "'tags'", "expected `str`", "['rock', None]"),
    ({"alt_captions": [""]}, "'alt_captions'", "length >= 1", "['']"),
    ({"tags": "rock"}, "'tags'", "expected `array`", "'rock'"),
]


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: str(fault[0]))
def test_faults_are_named_with_record_id_field_found_and_expected(tmp_path: Path, kind: str, fault: tuple) -> None:
    changes, field, expected, found = fault
    if kind == "parquet" and changes == {"duration": "long"}:
        pytest.skip("a column has one type")
    bad = {**GOOD, "id": "d_2", **changes}
    path = write_records(tmp_path / f"bad.{kind}", [{**GOOD, **dict.fromkeys(changes)} | GOOD, bad])
    with pytest.raises(DataError) as caught:
        read_tracks(path)
    message = caught.value.message
    for part in (str(path), "record 2", repr(bad["id"]), f"field {field}", expected, found):
        assert part in message


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("field", ["id", "audio_path", "caption", "duration"])
def test_a_missing_field_is_named(tmp_path: Path, kind: str, field: str) -> None:
    record = {name: value for name, value in GOOD.items() if name != field}
    with pytest.raises(DataError, match=f"record 2.*field '{field}': required"):
        read_tracks(write_records(tmp_path / f"bad.{kind}", [GOOD, record]))


@pytest.mark.parametrize(
    "changes",
    [change for change, *_ in FAULTS if change not in ({"duration": "long"}, {"tags": "rock"})]
    + [{"caption": None}, {"tags": [""]}],
    ids=str,
)
def test_parquet_of_our_own_schema_is_checked_too(tmp_path: Path, changes: dict) -> None:
    """Files with exactly our columns take a faster way; it must refuse, and accept, the same."""
    from unisono.tracks.formats.parquet import SCHEMA

    row = dict.fromkeys(SCHEMA.names) | GOOD | changes
    pq.write_table(pa.Table.from_pylist([row], schema=SCHEMA), tmp_path / "ours.parquet")
    if changes == {"tags": [""]}:
        assert read_tracks(tmp_path / "ours.parquet")[0].tags == [""]
    else:
        with pytest.raises(DataError, match="record 1"):
            read_tracks(tmp_path / "ours.parquet")


@pytest.mark.parametrize("kind", FORMATS)
def test_duplicate_ids_are_refused_with_both_places(tmp_path: Path, kind: str) -> None:
    path = write_records(tmp_path / f"twice.{kind}", [GOOD, {**GOOD, "id": "d_2"}, GOOD])
    with pytest.raises(DataError, match=r"record 3: the id 'd_1' already stands in record 1"):
        read_tracks(path)


@pytest.mark.parametrize("kind", FORMATS)
def test_unknown_fields_are_kept_beside_the_rest(tmp_path: Path, kind: str) -> None:
    path = write_records(tmp_path / f"a.{kind}", [{**GOOD, "mood": "calm", "takes": [1, 2], "extra": {"id": "x"}}])
    again = tmp_path / "b.json"
    write_tracks(again, read_tracks(path))
    assert json.loads(again.read_text()) == [{**GOOD, "mood": "calm", "takes": [1, 2], "extra": {"id": "x"}}]


def test_a_field_called_extra_is_an_unknown_field_like_others(tmp_path: Path) -> None:
    for kind in ("json", "jsonl"):
        path = write_records(tmp_path / f"a.{kind}", [{**GOOD, "extra": {"id": "other"}}])
        tracks = read_tracks(path)
        assert tracks[0].extra == {"extra": {"id": "other"}}
        write_tracks(path, tracks)
        assert read_tracks(path) == tracks


def test_extra_never_overrides_a_known_field(tmp_path: Path) -> None:
    write_tracks(tmp_path / "a.json", [make_track(**GOOD, extra={"id": "other", "mood": "calm"})])
    assert json.loads((tmp_path / "a.json").read_text()) == [{**GOOD, "mood": "calm"}]


@pytest.mark.parametrize(
    ("kind", "content", "message"),
    [
        ("json", b"", "line 1 column 1: not valid JSON"),
        ("json", b'[{"id": "d_1",\n "caption" }]', "line 2 column 12: not valid JSON"),
        ("json", b'{"tracks": []}', "expected a JSON array"),
        ("json", b"[1]", "record 1: expected an object, found 1"),
        ("json", b'["\xff"]', "not UTF-8"),
        ("json", b"[" * 100_000, "nested too deeply"),
        ("jsonl", b'{"id": "d_1"\n', "line 1: not valid JSON"),
        ("jsonl", b"\n\n[]\n", "record 3: expected an object"),
        ("jsonl", b"[" * 100_000, "nested too deeply"),
        ("parquet", b"", "not a Parquet file"),
        ("parquet", b"PAR1 but not really", "not a Parquet file"),
    ],
)
def test_broken_files_are_explained(tmp_path: Path, kind: str, content: bytes, message: str) -> None:
    path = tmp_path / f"broken.{kind}"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_tracks(path)
    assert message in caught.value.message
    assert str(path) in caught.value.message


def test_a_damaged_parquet_file_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "damaged.parquet"
    write_tracks(path, [make_track(**{**GOOD, "id": f"d_{n}", "caption": f"{n} {n * 7919}"}) for n in range(2000)])
    content = bytearray(path.read_bytes())
    content[40:4000] = bytes(3960)
    path.write_bytes(content)
    with pytest.raises(DataError, match="damaged"):
        read_tracks(path)


@settings(max_examples=50)
@given(content=st.binary(max_size=60) | st.lists(st.dictionaries(st.sampled_from([*GOOD, "x"]), plain_json)).map(
    lambda records: json.dumps(records).encode()
))  # fmt: skip
def test_hostile_content_never_ends_in_a_traceback(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    folder = tmp_path_factory.mktemp("hostile")
    for kind in FORMATS:
        path = folder / f"a.{kind}"
        path.write_bytes(content)
        with suppress(DataError):
            read_tracks(path)


@pytest.mark.parametrize("name", ["a.csv", "a", "a.json.gz"])
def test_other_endings_are_refused(tmp_path: Path, name: str) -> None:
    for use in (lambda path: write_tracks(path, []), read_tracks):
        with pytest.raises(UsageError, match=r"\.json, \.jsonl or \.parquet"):
            use(tmp_path / name)


def test_a_missing_file_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        read_tracks(tmp_path / "none.json")
    assert "unisono unify" in caught.value.hint


@pytest.mark.parametrize("kind", FORMATS)
def test_text_that_cannot_be_encoded_is_refused_and_nothing_is_left(tmp_path: Path, kind: str) -> None:
    with pytest.raises(DataError, match="cannot be encoded"):
        write_tracks(tmp_path / f"a.{kind}", [make_track(**{**GOOD, "title": "\ud800"})])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_reading_one_by_one_reads_no_further_than_needed(tmp_path: Path, kind: str, monkeypatch) -> None:
    path = tmp_path / f"a.{kind}"
    write_tracks(path, [make_track(**{**GOOD, "id": f"d_{n}"}) for n in range(50_000)])
    read = []
    for module, name in ((json_lines, "block"), (parquet, "from_batch")):
        original = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *args, original=original: read.append(1) or original(*args))
    assert next(iter_entries(path)).id == "d_0"
    assert len(read) == 1


def test_numbers_that_are_whole_are_seconds_too(tmp_path: Path) -> None:
    assert read_tracks(write_records(tmp_path / "a.parquet", [{**GOOD, "duration": 30}]))[0].duration == 30.0


@pytest.mark.parametrize("kind", ["json", "jsonl", "parquet"])
@pytest.mark.parametrize("field", ["id", "caption", "title", "license", "tags", "alt_captions"])
def test_text_that_no_later_stage_can_store_is_refused_with_its_record(tmp_path: Path, kind: str, field: str) -> None:
    first, second = ({**GOOD, field: [text] if field in ("tags", "alt_captions") else text} for text in ("a", "b\0c"))
    path = write_records(tmp_path / f"a.{kind}", [first, second])
    with pytest.raises(DataError, match=rf"record 2 .*field '{field}': expected text without NUL characters"):
        read_tracks(path)


def test_a_parquet_file_of_our_own_columns_is_checked_too(tmp_path: Path) -> None:
    write_tracks(tmp_path / "a.parquet", [make_track(**GOOD, tags=["fine", "odd\0"])])
    with pytest.raises(DataError, match=r"record 1 .*field 'tags': expected text without NUL characters"):
        read_tracks(tmp_path / "a.parquet")


def test_half_a_surrogate_pair_is_refused_with_its_record(tmp_path: Path) -> None:
    for kind in ("json", "jsonl"):
        path = write_records(tmp_path / f"a.{kind}", [{**GOOD, "artist": "\udfff"}])
        with pytest.raises(DataError, match=r"record 1 .*field 'artist': expected text without halves of a surrogate"):
            read_tracks(path)


def test_a_number_of_thousands_of_digits_is_no_fault_of_the_program(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('[{"id": ' + "9" * 5000 + "}]")
    with pytest.raises(DataError, match=r"a\.json: "):
        read_tracks(tmp_path / "a.json")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"id": ""}, "A track needs an id"),
        ({"audio_path": ""}, "'x' needs the path of its audio"),
        ({"audio_path": Path("/a")}, "'x' needs the path of its audio as a text"),
        ({"duration": -1.0}, "'x': duration must be a number of seconds from 0, found -1.0"),
        ({"duration": float("nan")}, "'x': duration must be a number"),
        ({"start": float("inf")}, "'x': start must be a number"),
        ({"captions": ("a calm song",)}, "'x': captions must be a tuple of Caption"),
        ({"captions": [Caption("a")]}, "'x': captions must be a tuple of Caption"),
    ],
)
def test_a_track_that_cannot_be_is_refused_in_words(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Track(**{"id": "x", "audio_path": "/a.mp3", "duration": 1.0, **fields})


@pytest.mark.parametrize(("text", "origin"), [("", None), (" \n", None), (None, None), ("a", "elf")])
def test_a_caption_that_cannot_be_is_refused_in_words(text: Any, origin: Any) -> None:
    with pytest.raises(DataError, match="caption"):
        Caption(text, origin)


def test_origins_that_differ_are_listed_and_come_back(tmp_path: Path) -> None:
    mixed = (Caption("A", "human"), Caption("B", None), Caption("C", "tags"))
    track = Track(id="x", audio_path="/a.mp3", duration=1.0, captions=mixed, extra={"mood": "calm"})
    for kind in ("json", "jsonl", "parquet"):
        write_tracks(tmp_path / f"a.{kind}", [track])
        assert read_tracks(tmp_path / f"a.{kind}") == [track]
    (record,) = json.loads((tmp_path / "a.json").read_text())
    assert record["caption_origin"] == "human"
    assert list(record.items())[-2:] == [("mood", "calm"), ("caption_origins", ["human", "unknown", "tags"])]


@pytest.mark.parametrize(
    ("origins", "message"),
    [(["human"], "expected an origin for each of the 2 captions"), (["human", "elf"], "expected one of human, model")],
)
def test_origins_that_do_not_fit_are_refused(tmp_path: Path, origins: list[str], message: str) -> None:
    path = write_records(tmp_path / "a.json", [{**GOOD, "alt_captions": ["b"], "caption_origins": origins}])
    with pytest.raises(DataError, match=f"record 1 .*field 'caption_origins': {message}"):
        read_tracks(path)


def test_a_track_without_captions_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'x' has no caption"):
        write_tracks(tmp_path / "a.json", [Track(id="x", audio_path="/a", duration=1.0)])
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_run_left_of_the_same_file_is_removed(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    left = partial_path(tmp_path / "a.json").with_name(
        partial_path(tmp_path / "a.json").name.replace(f"-{os.getpid()}.", f"-{gone.pid}.")
    )
    left.write_text("half")
    write_tracks(tmp_path / "a.json", [make_track(**GOOD)])
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize("field", [{"mood\ud800": "x"}, {"mood": ["x", {"y": "\udfff"}]}])
def test_unknown_fields_that_no_file_can_hold_are_refused(tmp_path: Path, field: dict) -> None:
    fields = {"id": "a", "audio_path": "/a.wav", "caption": "x", "duration": 1.0} | field
    with pytest.raises(DataError, match=r"record 1 .*halves of a surrogate pair"):
        from_fields(tmp_path / "a.json", 1, fields)
