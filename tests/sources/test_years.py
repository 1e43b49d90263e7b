"""Years are kept where upstream gives them, and only where captions are to name them."""

import csv
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.releases import dali, fma, jamendo_max_caps, mtg_jamendo
from unisono.captions.ways.metadata import sentence
from unisono.curation.unify import unify
from unisono.sources import registry as datasets
from unisono.sources.cells import year_field
from unisono.tracks.files import read_tracks
from unisono.tracks.track import Track
from unisono.tracks.vocabulary import Facts

RELEASES: dict[str, tuple[ModuleType, set[str]]] = {
    "dali": (dali, {"1980"}),
    "jamendo_max_caps": (jamendo_max_caps, {"2008"}),
    "mtg_jamendo": (mtg_jamendo, {"2004"}),
}


@pytest.mark.parametrize(
    ("date", "year"),
    [
        ("2009-01-05 00:00:00", "2009"), ("1980", "1980"), (1999, "1999"), (2003.0, "2003"), ("12/31/1987", "1987"),
        ("0000-00-00", None), ("1", None), ("", None), (None, None), (float("nan"), None), ("123456", None), ([], None),
    ],
)  # fmt: skip
def test_years_of_dates(date: object, year: str | None) -> None:
    assert year_field(date) == ({"year": year} if year else {})


def years(name: str, root: Path, *, keep: bool = False) -> set[str]:
    return {
        item.extra.get("year", "") for item in datasets.get(name).records(root, years=keep) if isinstance(item, Track)
    }


@pytest.mark.parametrize("name", RELEASES)
def test_releases_that_have_years(name: str, tmp_path: Path) -> None:
    builder, expected = RELEASES[name]
    builder.build(tmp_path)
    assert years(name, tmp_path) == {""}
    assert years(name, tmp_path, keep=True) - {""} == expected


def test_fma(tmp_path: Path) -> None:
    fma.build(tmp_path)
    table = tmp_path / "fma_metadata" / "tracks.csv"
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    at = rows[1].index("date_released")
    for number, row in enumerate(rows[3:]):
        row[at] = f"20{number:02}-03-04 00:00:00" if number % 2 else ""
    with table.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    found = years("fma", tmp_path, keep=True)
    assert found >= {"", "2003"} and found <= {"", *(f"20{n:02}" for n in range(1, len(rows), 2))}
    assert years("fma", tmp_path) == {""}


def test_real_rows(shared_data: Path) -> None:
    for name in ("fma", "jamendo_max_caps", "dali"):
        items = datasets.get(name).records(shared_data / name, years=True)
        tracks = [item for item in items if isinstance(item, Track)]
        if name != "jamendo_max_caps":  # there, rows without captions are left out
            assert any(track.extra.get("year") for track in tracks), name
        assert all(1800 <= int(track.extra.get("year", 1900)) < 2100 for track in tracks)


def test_unify_names_years_with_metadata_alone(tmp_path: Path) -> None:
    jamendo_max_caps.build(tmp_path / "raw" / "jamendo_max_caps")
    options: dict[str, Any] = {"datasets": ("jamendo_max_caps",), "data_root": tmp_path, "check_audio": False}
    unify(**options, output=tmp_path / "plain.json")
    assert '"year"' not in (tmp_path / "plain.json").read_text()
    named = tmp_path / "named.json"
    unify(**options, output=named, captions=("metadata",), caption_all=True)
    tracks = [track for track in read_tracks(named) if track.extra.get("year")]
    assert tracks and all(", from 2008" in " ".join(track.texts) for track in tracks)
    assert all("from 2008" in sentence(track, Facts()) for track in tracks)
