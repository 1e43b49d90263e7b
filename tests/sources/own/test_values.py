"""What a person wrote in a table is read rightly, or reported with its place and its value."""

import json
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from tests.releases import audio
from unisono.base.errors import DataError, UnisonoError
from unisono.base.tally import Dropped
from unisono.curation.unify import unify
from unisono.curation.unify_report import UnifyFailedError
from unisono.sources import registry as datasets
from unisono.sources.cells import time_s
from unisono.tracks.files import read_tracks
from unisono.tracks.track import Track

TIMES = '[columns]\ncaption = "text"\nstart = "start"\nend = "end"\n'


def recipe(folder: Path, table: str, columns: str = '[columns]\ncaption = "text"\n', audio: str = "{file}") -> str:
    path = folder / "mine.toml"
    path.write_text(f'table = "{table}"\naudio_root = "clips"\naudio = "{audio}"\n{columns}')
    return str(path)


def read(name: str) -> list[Track | Dropped]:
    dataset = datasets.get(name)
    assert dataset.root is not None
    return list(dataset.records(dataset.root))


def unified(*names: str, folder: Path, **options: Any) -> list[Track]:
    unify(names, output=folder / "out.json", **options)
    return read_tracks(folder / "out.json")


@pytest.mark.parametrize(
    ("text", "expected_s"),
    [
        ("0", 0), ("2.5", 2.5), ("2,5", 2.5), ("0,250", 0.25), ("00:02", 2), ("1:30", 90), ("01:02:03", 3723),
        ("1:02:03.5", 3723.5), ("0:01,5", 1.5), ("90:00", 5400), ("1e2", 100), (".5", 0.5), ("12.", 12),
        ("0 days 00:00:02.500000", 2.5), ("1 day 00:00:01", 86401), ("3 s", 3), ("65s", 65), ("1m5s", 65), ("2h", 7200),
        ("1 min 5,5 sec", 65.5), ("1 h 2 m 3 s", 3723), ("PT1M5S", 65), ("1'05\"", 65), ("65000 ms", 65), ("5 MIN", 300),
        ("1234567 ms", 1234.567),
    ],
)  # fmt: skip
def test_times(text: str, expected_s: float) -> None:
    assert time_s(text) == pytest.approx(expected_s)


@pytest.mark.parametrize(
    "text",
    [
        "-3", "1,234", "1:75", "1:60:00", "1:2:3:4", "soon", "3 x", "s", "PT", "1s 2m", "-1 days +23:59:57", "3 days",
        "1 2", "1_0", "inf", "1e12", "٣:٠٠x", f"{'9' * 400}:00:00", f"{'9' * 400} days 00:00:01", f"{'9' * 400} h",
    ],
)  # fmt: skip
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected seconds, mm:ss or h:mm:ss, found"):
        time_s(text)


@given(st.floats(0, 359_999.9))
def test_a_time_reads_the_same_in_every_spelling(seconds: float) -> None:
    rounded = round(seconds, 1)
    minutes, rest = divmod(rounded, 60)
    for text in (f"{rounded:.1f}", f"{rounded:.1f}".replace(".", ","), f"{int(minutes)}:{rest:04.1f}"):
        if minutes < 1000:
            assert time_s(text) == pytest.approx(rounded, abs=0.051)


def test_times_in_a_table(tmp_path: Path) -> None:
    for name in "abcde":
        audio.tone(tmp_path / "clips" / f"{name}.wav", 6, 300)
    (tmp_path / "t.csv").write_text(
        "file,text,start,end\na.wav,One,00:02,00:04\nb.wav,Two,\"2,5\",\"4,5\"\nc.wav,Three,4,2\nd.wav,Four,-3,2\n"
        "e.wav,Five,3,3\n"
    )  # fmt: skip
    name = recipe(tmp_path, "t.csv", TIMES)
    tracks = unified(name, folder=tmp_path)
    assert [(track.caption, track.start, track.duration) for track in tracks] == [("One", 2, 2), ("Two", 2.5, 2)]
    dropped = json.loads((tmp_path / "out.report.json").read_text())["dropped"]
    assert [(each["id"], each["reason"]) for each in dropped] == [
        ("t.csv:4", "malformed row"), ("t.csv:5", "malformed row"), ("t.csv:6", "malformed row"),
    ]  # fmt: skip
    assert "column 'start'" in dropped[1]["detail"] and "'-3'" in dropped[1]["detail"]
    assert "expected an end after the start, 4 s, found 2 s" in dropped[0]["detail"]
    with pytest.raises(UnifyFailedError, match="--strict: 3 tracks"):
        unified(name, folder=tmp_path, strict=True)


def test_a_duration_that_contradicts_the_end_is_reported(tmp_path: Path) -> None:
    rows = [{"file": "a", "text": "x", "s": 1, "e": 3, "d": 2}, {"file": "b", "text": "x", "s": 1, "e": 3, "d": 180}]
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, rows)))
    columns = '[columns]\ncaption = "text"\nstart = "s"\nend = "e"\nduration = "d"\n'
    bad, good = read(recipe(tmp_path, "t.jsonl", columns))
    assert isinstance(good, Track) and (good.start, good.duration) == (1, 2)
    assert isinstance(bad, Dropped) and bad.id == "t.jsonl:2" and "column 'd'" in bad.detail


@pytest.mark.parametrize("value", [True, [1], {"a": 1}, "soon"])
def test_no_value_of_json_is_taken_for_an_empty_time(tmp_path: Path, value: Any) -> None:
    (tmp_path / "t.json").write_text(json.dumps([{"file": "a", "text": "x", "start": value, "end": 3}]))
    (item,) = read(recipe(tmp_path, "t.json", TIMES))
    assert isinstance(item, Dropped) and item.id == "t.json: item 1" and "column 'start'" in item.detail


@pytest.mark.parametrize("value", ["holdout", "test-clean", "1", "trian"])
def test_an_unknown_split_is_reported_and_not_drawn(tmp_path: Path, value: str) -> None:
    (tmp_path / "t.csv").write_text(f"file,text,split\na,x,{value}\nb,x,\nc,x,Dev\nd,x,nan\n")
    items = read(recipe(tmp_path, "t.csv", '[columns]\ncaption = "text"\nsplit = "split"\n'))
    assert [item.split for item in items if isinstance(item, Track)] == [None, "val", None]
    (bad,) = (item for item in items if isinstance(item, Dropped))
    assert bad.id == "t.csv:2" and repr(value) in bad.detail


@pytest.mark.parametrize("ending", ["csv", "tsv"])
@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_a_table_is_read_whatever_separates_it(tmp_path: Path, ending: str, mark: str) -> None:
    (tmp_path / f"t.{ending}").write_text(f'file{mark}text\na.wav{mark}"slow, and; sad"\n')
    (item,) = read(recipe(tmp_path, f"t.{ending}"))
    assert isinstance(item, Track) and (item.audio_path, item.texts) == ("a.wav", ["slow, and; sad"])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
@pytest.mark.parametrize("first", ["", "sep=;\r\n", '"sep=;"\r\n', "SEP=;;\n"])
def test_a_table_of_a_spreadsheet_is_read(tmp_path: Path, encoding: str, first: str) -> None:
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    content = f'{mark}{first}file;text\r\na.wav;"schöne\r\nMusik"\r\nb.wav;x;y\r\n'
    (tmp_path / "t.csv").write_bytes(content.encode(encoding))
    bad, good = read(recipe(tmp_path, "t.csv"))
    assert isinstance(good, Track) and (good.audio_path, good.texts) == ("a.wav", ["schöne Musik"])
    assert isinstance(bad, Dropped) and bad.id == f"t.csv:{4 + bool(first)}"


def test_a_row_that_is_not_utf_16_is_malformed(tmp_path: Path) -> None:
    rows = [f"{name}.wav,slow\n".encode("utf-16-le") for name in "abc"]
    rows[1] = rows[1].replace(b"o\0", b"\0\xd8")  # half a pair
    (tmp_path / "t.csv").write_bytes("\ufefffile,text\n".encode("utf-16-le") + b"".join(rows))
    found = read(recipe(tmp_path, "t.csv"))
    assert [each.audio_path for each in found if isinstance(each, Track)] == ["a.wav", "c.wav"]
    (bad,) = (each for each in found if isinstance(each, Dropped))
    assert bad.id == "t.csv:3" and bad.reason == "malformed row"


def test_addresses_of_files_are_paths_and_no_root_is_put_before_other_absolute_ones(tmp_path: Path) -> None:
    audio.tone(tmp_path / "clips" / "a b.wav", 6, 300)
    there = (tmp_path / "clips").as_uri()
    elsewhere = ["C:\\Music\\a.wav", "\\\\nas\\a.wav", "https://example.org/a.wav", "file:///etc/a.wav"]
    rows = [f"{there}/a%20b.wav", f"file://localhost{there[7:]}/a%20b.wav", *elsewhere]
    (tmp_path / "t.csv").write_text("file,text\n" + "".join(f"{row},x{n}\n" for n, row in enumerate(rows)))
    (track,) = unified(recipe(tmp_path, "t.csv"), folder=tmp_path)
    assert track.audio_path == str(tmp_path / "clips" / "a b.wav") and track.texts == ["x0", "x1"]
    dropped = json.loads((tmp_path / "out.report.json").read_text())["dropped"]
    assert [each["detail"].partition(": expected a path relative to")[0] for each in dropped] == [
        *elsewhere[:3], "/etc/a.wav",
    ]  # fmt: skip


def test_metadata_separated_by_semicolons(tmp_path: Path) -> None:
    audio.tone(tmp_path / "set" / "a.wav", 1, 300)
    (tmp_path / "set" / "metadata.csv").write_text("file_name;text\na.wav;slow\n")
    (track,) = unified(f"hf:{tmp_path / 'set'}", folder=tmp_path)
    assert track.caption == "slow"


def test_a_quote_that_is_never_closed_is_named(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('file,text\na,good\nb,"open\nc,lost\n')
    with pytest.raises(DataError, match=r"t\.csv: line 3: .*a quote that is never closed"):
        read(recipe(tmp_path, "t.csv"))


@pytest.mark.parametrize("second", ['c,"closed"', 'c,"x" y', 'c,say "x" y'])
def test_rows_that_a_stray_quote_swallows_are_reported(tmp_path: Path, second: str) -> None:
    (tmp_path / "t.csv").write_text(f'file,text\na,good\nb,"open\n{second}\nd,good\n')
    try:
        items = read(recipe(tmp_path, "t.csv"))
    except DataError as error:
        assert "line 3" in error.message
    else:
        assert [item.id for item in items if isinstance(item, Dropped)] == ["t.csv:3"]
        assert [item.id for item in items if isinstance(item, Track)] == ["mine_a", "mine_d"]


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
def test_what_json_does_not_know_is_named_with_line_and_field(tmp_path: Path, value: str) -> None:
    good = '{"file": "a", "text": "NaN is \\" a word", "year": 2001}'
    bad = f'{{"file": "b", "text": "x", "year": {value}}}'
    (tmp_path / "t.json").write_text(f"[{good},\n {bad}]")
    (tmp_path / "t.jsonl").write_text(f"{good}\n{bad}\n")
    with pytest.raises(DataError, match=rf"t\.json: line 2, column \d+: field 'year': {value} is not JSON"):
        read(recipe(tmp_path, "t.json"))
    dropped, track = read(recipe(tmp_path, "t.jsonl"))
    assert isinstance(dropped, Dropped) and dropped.id == "t.jsonl:2" and "field 'year'" in dropped.detail
    assert isinstance(track, Track) and track.caption == 'NaN is " a word'


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_columns_may_differ_between_shards(tmp_path: Path, order: tuple[int, int]) -> None:
    content = audio.tone(tmp_path / "a.wav", 1, 300) or (tmp_path / "a.wav").read_bytes()
    other = audio.tone(tmp_path / "b.wav", 1, 400) or (tmp_path / "b.wav").read_bytes()
    shards: list[dict[str, list[Any]]] = [
        {"audio": [content], "text": ["slow"], "artist": ["Ann"]},
        {"caption": ["fast"], "audio": [other], "title": ["Beta"]},
    ]
    (tmp_path / "set").mkdir()
    for place, number in enumerate(order):
        path = tmp_path / "set" / f"train-{place:05}-of-00002.parquet"
        parquet.write_table(pyarrow.table(shards[number]), path)
    tracks = {track.caption: track for track in unified(f"hf:{tmp_path / 'set'}", folder=tmp_path)}
    assert tracks["slow"].artist == "Ann" and tracks["fast"].title == "Beta" and not tracks["fast"].artist


def test_a_recipe_may_name_a_column_that_one_table_lacks(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    for name, columns in {
        "a": {"file": ["1"], "text": ["x"], "who": ["Ann"]},
        "b": {"file": ["2"], "text": ["y"]},
    }.items():
        parquet.write_table(pyarrow.table(columns), tmp_path / "set" / f"{name}.parquet")
    one, two = read(recipe(tmp_path, "set", '[columns]\ncaption = "text"\nartist = "who"\n'))
    assert isinstance(one, Track) and isinstance(two, Track) and (one.artist, two.artist) == ("Ann", "")
    with pytest.raises(DataError, match="there is no column 'nobody'"):
        read(recipe(tmp_path, "set", '[columns]\ncaption = "text"\nartist = "nobody"\n'))


NAMES = [
    "two  spaces.wav",
    "全角　空白.wav",
    "no\u00a0break.wav",
    " front.wav",
    "back .wav",
    "plain.wav",
    "thin\u2009.wav",
]


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_blanks_in_names_of_files_are_kept(tmp_path: Path, ending: str) -> None:
    rows = [{"file": name, "text": f"Piece {number}"} for number, name in enumerate(NAMES)]
    for name in NAMES:
        audio.tone(tmp_path / "clips" / name, 1, 300)
    if ending == "csv":
        (tmp_path / "t.csv").write_text("file,text\n" + "".join(f"{row['file']},{row['text']}\n" for row in rows))
    elif ending == "jsonl":
        (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, rows)))
    else:
        parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "t.parquet")
    tracks = unified(recipe(tmp_path, f"t.{ending}"), folder=tmp_path)
    assert [(track.caption, Path(track.audio_path).name) for track in tracks] == [
        (f"Piece {number}", name) for number, name in enumerate(NAMES)
    ]


def test_blanks_that_are_not_in_the_name_are_left_out(tmp_path: Path) -> None:
    for name in ("a.wav", "b c.wav", "d/e.wav"):
        audio.tone(tmp_path / "clips" / name, 1, 300)
    (tmp_path / "t.csv").write_text("text, file\nOne, a.wav\nTwo,b  c.wav\nThree,d\\e.wav\n")
    tracks = unified(recipe(tmp_path, "t.csv"), folder=tmp_path)
    assert [(track.id, Path(track.audio_path).name) for track in tracks] == [
        ("mine_a.wav", "a.wav"), ("mine_b c.wav", "b c.wav"), ("mine_d\\e.wav", "e.wav"),
    ]  # fmt: skip


def test_names_that_differ_in_blanks_only_are_two_files(tmp_path: Path) -> None:
    for name in ("a b.wav", "a  b.wav"):
        audio.tone(tmp_path / "clips" / name, 1, 300)
    for rows in ("a b.wav,One\na  b.wav,Two\n", "a  b.wav,Two\na b.wav,One\n"):
        (tmp_path / "t.csv").write_text(f"file,text\n{rows}")
        tracks = unified(recipe(tmp_path, "t.csv"), folder=tmp_path)
        assert {track.id: track.caption for track in tracks} == {"mine_a b.wav": "One", "mine_a  b.wav": "Two"}


@pytest.mark.parametrize("through_link", [False, True])
def test_absolute_paths_below_the_root(tmp_path: Path, through_link: bool) -> None:
    audio.tone(tmp_path / "clips" / "in" / "a.wav", 1, 300)
    audio.tone(tmp_path / "outside.wav", 1, 300)
    (tmp_path / "link").symlink_to(tmp_path / "clips")
    (tmp_path / "t.csv").write_text(
        f"file,text\n{tmp_path}/clips/in/a.wav,One\n{tmp_path}/outside.wav,Two\n../x.wav,Three\n"
    )
    name = recipe(tmp_path, "t.csv")
    if through_link:
        path = Path(name)
        path.write_text(path.read_text().replace('"clips"', '"link"'))
    (track,) = unified(name, folder=tmp_path)
    assert Path(track.audio_path).resolve() == tmp_path / "clips" / "in" / "a.wav"
    assert track.id == "mine_in/a.wav"
    dropped = json.loads((tmp_path / "out.report.json").read_text())["dropped"]
    assert [each["reason"] for each in dropped] == ["audio file missing"] * 2
    assert all("expected a path relative to" in each["detail"] for each in dropped)


def test_the_root_of_the_file_system_may_be_the_root(tmp_path: Path) -> None:
    audio.tone(tmp_path / "a.wav", 1, 300)
    (tmp_path / "t.csv").write_text(f"file,text\n{tmp_path}/a.wav,One\n")
    name = Path(recipe(tmp_path, "t.csv"))
    name.write_text(name.read_text().replace('"clips"', '"/"'))
    (track,) = unified(str(name), folder=tmp_path)
    assert track.audio_path == str(tmp_path / "a.wav")


def test_absolute_paths_in_metadata(tmp_path: Path) -> None:
    audio.tone(tmp_path / "set" / "train" / "a.wav", 1, 300)
    line = {"file_name": str(tmp_path / "set" / "train" / "a.wav"), "text": "One"}
    (tmp_path / "set" / "train" / "metadata.jsonl").write_text(json.dumps(line))
    (track,) = unified(f"hf:{tmp_path / 'set'}", folder=tmp_path)
    assert track.audio_path == line["file_name"]


def test_one_id_for_two_files_is_refused_with_both_places(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,file,text\n1,a.wav,slow\n2,c.wav,x\n1,b.wav,fast\n")
    columns = '[columns]\nid = "id"\ncaption = "text"\n'
    with pytest.raises(UnisonoError, match=r"t\.csv:2 and t\.csv:4 have the id '1', but two files: a\.wav and b\.wav"):
        read(recipe(tmp_path, "t.csv", columns))


@pytest.mark.parametrize("id", ["", 'id = "id"\n'])
@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1)])
def test_excerpts_of_one_file_are_records_of_their_own(tmp_path: Path, id: str, order: tuple[int, ...]) -> None:
    rows = ["7,a.wav,slow,0,3", "7,a.wav,fast,3,6", "7,a.wav,slower,0,3", "8,b.wav,loud,1,2"]
    (tmp_path / "t.csv").write_text("id,file,text,start,end\n" + "\n".join(rows[number] for number in order))
    items = read(recipe(tmp_path, "t.csv", TIMES + id))
    base, other = ("7", "8") if id else ("a.wav", "b.wav")
    assert {item.id: (set(item.texts), item.start) for item in items if isinstance(item, Track)} == {
        f"mine_{base}_0-3": ({"slow", "slower"}, 0), f"mine_{base}_3-6": ({"fast"}, 3), f"mine_{other}": ({"loud"}, 1),
    }  # fmt: skip


@pytest.mark.parametrize("artist", ["Various Artists", "VA", "<Unknown>", "N/A", "unknown artist", "Various", "None"])
def test_nobody_is_no_artist(tmp_path: Path, artist: str) -> None:
    (tmp_path / "t.csv").write_text(f"file,text,who\na,x,{artist}\nb,x,Ann\n")
    nobody, ann = read(recipe(tmp_path, "t.csv", '[columns]\ncaption = "text"\nartist = "who"\n'))
    assert isinstance(nobody, Track) and isinstance(ann, Track)
    assert not nobody.artist_id and ann.artist_id == "mine-artist:ann"
