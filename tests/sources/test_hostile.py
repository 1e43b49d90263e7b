"""Files that lie: no process ends, nothing is written outside, memory stays bounded, and control characters stay out."""

import io
import json
import tarfile
import zipfile
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from tests.releases import audio
from unisono.base.errors import DataError, UsageError
from unisono.curation.unify import unify
from unisono.sources import arrow
from unisono.sources import registry as datasets
from unisono.sources._files import LONGEST_CELL
from unisono.sources.base import HubFiles
from unisono.sources.cells import tidy
from unisono.sources.download import hub_listing, unpack
from unisono.sources.download.ledger import Ledger
from unisono.tracks import shards
from unisono.tracks.files import read_tracks


@pytest.mark.parametrize("offset", [70_000, 1 << 30, -1])
def test_offsets_outside_an_arrow_file_are_refused(tmp_path: Path, offset: int) -> None:
    path = tmp_path / "x.arrow"
    table = pa.table({"text": ["slow piano", "fast drums"]})
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table)
    content = path.read_bytes()
    offsets = b"".join(number.to_bytes(4, "little") for number in (0, 10, 20))
    assert content.count(offsets) == 1
    path.write_bytes(content.replace(offsets, offsets[:4] + offset.to_bytes(4, "little", signed=True) + offsets[8:]))
    with pytest.raises(DataError, match=r"x\.arrow: not an Arrow file that can be read"):
        list(arrow.rows(path, tmp_path, ["text"]))


def test_large_cells_are_read_a_few_at_a_time(tmp_path: Path) -> None:
    parquet.write_table(pa.table({"text": ["x" * 1_000_000] * 600, "n": range(600)}), tmp_path / "bomb.parquet")
    assert (tmp_path / "bomb.parquet").stat().st_size < 100_000
    parquet.write_table(pa.table({"text": [f"caption {n}" for n in range(10_000)]}), tmp_path / "usual.parquet")
    sizes = {
        name: [
            len(batch) for batch in shards.batches(parquet.ParquetFile(tmp_path / f"{name}.parquet"), ["text"], 4096)
        ]
        for name in ("bomb", "usual")
    }
    assert max(sizes["bomb"]) <= 300 and sum(sizes["bomb"]) == 600
    assert sizes["usual"][0] > 1000


@pytest.mark.parametrize("is_packed", [False, True])
def test_a_text_that_nobody_wrote_is_refused(tmp_path: Path, is_packed: bool) -> None:
    texts = pa.array(["slow piano", "x" * (LONGEST_CELL + 1)])
    parquet.write_table(pa.table({"text": texts.dictionary_encode() if is_packed else texts}), tmp_path / "x.parquet")
    with pytest.raises(DataError, match=r"x\.parquet: column 'text': expected texts of up to 16,777,216 bytes"):
        list(arrow.rows(tmp_path / "x.parquet", tmp_path, ["text"]))


def test_times_that_python_cannot_hold(tmp_path: Path) -> None:
    columns = {"when": pa.array([1 << 50], pa.timestamp("s")), "long": pa.array([1 << 50], pa.duration("s")), "n": [1]}
    parquet.write_table(pa.table(columns), tmp_path / "x.parquet")
    for column in columns:
        try:
            ((_, row),) = arrow.rows(tmp_path / "x.parquet", tmp_path, [column])
        except DataError as error:
            assert f"column {column!r}" in error.message
        else:
            assert isinstance(row[column], (str, int, timedelta))


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK])
@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_huge_headers_of_tar_members_are_refused(tmp_path: Path, kind: bytes, mode: str) -> None:
    with tarfile.open(tmp_path / "x.tar", mode) as archive:  # type: ignore[call-overload]
        info = tarfile.TarInfo("x")
        info.type, info.size = kind, unpack.LONGEST_HEADER + 1
        archive.addfile(info, io.BytesIO(bytes(info.size)))
    with pytest.raises(DataError, match=r"broken: a header of 1,048,577 bytes"):
        unpack.Unpacker(tmp_path / "x.tar", tmp_path / "out").run()


@pytest.mark.parametrize("modified", ["1e400", "1e30", "-5"])
def test_times_of_tar_members_beyond_all_bounds(tmp_path: Path, modified: str) -> None:
    with tarfile.open(tmp_path / "x.tar", "w", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo("a.wav")
        info.size, info.pax_headers = 3, {"mtime": modified}
        archive.addfile(info, io.BytesIO(b"abc"))
    unpack.Unpacker(tmp_path / "x.tar", tmp_path / "out").run()
    assert (tmp_path / "out" / "a.wav").read_bytes() == b"abc"


def test_a_zip_member_without_a_name_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("a", b"x")
    content = (tmp_path / "x.zip").read_bytes()
    local, central = content.find(b"PK\3\4"), content.find(b"PK\1\2")
    nameless = bytearray(content)
    nameless[central + 28 : central + 30] = b"\0\0"
    del nameless[central + 46]
    end = nameless.find(b"PK\5\6")
    nameless[end + 12 : end + 16] = (end - central).to_bytes(4, "little")
    assert local == 0
    (tmp_path / "x.zip").write_bytes(bytes(nameless))
    with pytest.raises(DataError, match=r"would land outside|broken"):
        unpack.Unpacker(tmp_path / "x.zip", tmp_path / "out").run()


@pytest.mark.parametrize("name", ["../x", "/etc", "a/b", ".", "..", ".hidden", "a\\u0000b", "a b", ""])
def test_names_of_recipes_lead_nowhere(tmp_path: Path, name: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(f'table = "t.csv"\naudio = "{{file}}"\nname = "{name}"\n[columns]\ncaption = "text"\n')
    if not name:
        assert datasets.get(str(path)).name == "mine"
        return
    with pytest.raises(UsageError, match=r"expected letters, digits and underscores|not valid TOML"):
        datasets.get(str(path))


@pytest.mark.parametrize("text", ["tracks = " + "9" * 5000, "x = " + "[" * 100_000, "\0", '"'])
def test_recipes_of_nonsense_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(UsageError, match="not valid TOML"):
        datasets.get(str(tmp_path / "mine.toml"))
    with pytest.raises(UsageError):
        datasets.get(f"{tmp_path}/a\0b.toml")
    with pytest.raises(UsageError):
        datasets.get(f"folder:{tmp_path}/a\0b")


FILES = HubFiles(repo="a/b", revision="main", patterns=("*",))
GOOD = {"path": "ok.csv", "url": "https://huggingface.co/ok.csv", "size": 1, "checksum": ""}


@pytest.mark.parametrize(
    "path", ["../x", "/x", "a/../../x", ".download/x", "./.download/x", "a\0b", "x" * 300, "a/" + "é" * 200]
)
def test_a_handed_over_listing_writes_nowhere_else(tmp_path: Path, path: str) -> None:
    listing = hub_listing._listing_path(FILES, tmp_path)
    listing.parent.mkdir(parents=True)
    listing.write_text(json.dumps({"commit": "x", "files": [GOOD, GOOD | {"path": path}]}))
    found = hub_listing.known_files(FILES, tmp_path)
    assert found is not None and [file.name for file in found] == ["ok.csv"]


@pytest.mark.parametrize(
    "content", ["[]", "{}", '{"files": 3}', '{"files": [{}]}', '{"files": [3]}', '{"files": [{"path": 3}]}', "["]
)
def test_a_damaged_listing_is_asked_for_again(tmp_path: Path, content: str) -> None:
    listing = hub_listing._listing_path(FILES, tmp_path)
    listing.parent.mkdir(parents=True)
    listing.write_text(content)
    assert hub_listing.known_files(FILES, tmp_path) is None


@pytest.mark.parametrize("line", ["{}", "[]", "3", '{"name": "x"}', "null", '"x"'])
def test_a_damaged_ledger_forgets_what_it_cannot_read(tmp_path: Path, line: str) -> None:
    ledger = Ledger(tmp_path)
    ledger.path.parent.mkdir(parents=True)
    ledger.path.write_text(f"{line}\n")
    assert not Ledger(tmp_path)._done


@given(st.text())
def test_tidy_text_has_no_control_characters(text: str) -> None:
    found = tidy(text)
    assert not any(ord(letter) < 32 or 127 <= ord(letter) < 160 or "\ud800" <= letter <= "\udfff" for letter in found)
    assert found == " ".join(found.split()) and tidy(found) == found


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=10)
@given(st.text(st.characters(categories=["Cc", "Lu"]), min_size=1, max_size=6))
def test_control_characters_of_any_field_end_before_the_unified_file(tmp_path: Path, odd: str) -> None:
    audio.tone(tmp_path / "clips" / "a.wav", 1, 300)
    fields = ("text", "title", "artist", "genre", "tags", "url", "year", "id")
    row = dict.fromkeys(fields, f"a{odd}b c") | {"file": "a.wav"}
    (tmp_path / "t.jsonl").write_text(json.dumps(row))
    columns = "".join(f'{field} = "{field}"\n' for field in fields[1:])
    (tmp_path / "mine.toml").write_text(
        f'table = "t.jsonl"\naudio_root = "clips"\naudio = "{{file}}"\n[columns]\ncaption = "text"\n{columns}'
    )
    try:
        unify([str(tmp_path / "mine.toml")], output=tmp_path / "out.json")
    except DataError:
        pytest.fail("it is read without them")
    (track,) = read_tracks(tmp_path / "out.json")
    for text in (
        track.caption,
        track.title,
        track.artist,
        track.genre,
        *track.tags,
        track.url,
        track.id,
        *track.extra.values(),
    ):
        assert text and not any(ord(letter) < 32 or 127 <= ord(letter) < 160 for letter in text)
