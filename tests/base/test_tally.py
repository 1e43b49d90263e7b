import json
from dataclasses import asdict
from pathlib import Path

import pytest

from unisono.base.errors import UnisonoError
from unisono.base.tally import Dropped, Tally


@pytest.fixture
def tally() -> Tally:
    tally = Tally()
    tally.came.update({"fma": 3, "clotho": 2})
    tally.kept.update({"fma": 1})
    tally.drop("fma", Dropped("fma_2", "audio missing"))
    tally.drop("fma", Dropped("fma_3", "too long", "400 s", fault=False))
    tally.drop("clotho", Dropped("clotho_1", "audio missing"))
    return tally


def test_reasons_are_counted_by_dataset_and_altogether(tally: Tally) -> None:
    assert tally.reasons() == {"audio missing": 2, "too long": 1}
    assert tally.reasons("clotho") == {"audio missing": 1}


def test_what_the_user_asked_for_is_no_fault(tally: Tally, tmp_path: Path) -> None:
    assert tally.faults == 2
    with pytest.raises(UnisonoError, match="2 tracks"):
        tally.refuse_faults(tmp_path / "report.json")


def test_the_report_lists_everything(tally: Tally, tmp_path: Path) -> None:
    tally.write(tmp_path / "report.json", stage="unify")
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["stage"] == "unify"
    assert report["came"] == {"clotho": 2, "fma": 3}
    assert [entry["id"] for entry in report["dropped"]] == ["fma_2", "fma_3", "clotho_1"]
    assert report["dropped"][1] == {
        "dataset": "fma",
        "id": "fma_3",
        "reason": "too long",
        "detail": "400 s",
        "fault": False,
    }


@pytest.mark.parametrize("count", [0, 1, 6, 7])
def test_many_are_put_away_and_listed_as_few_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    found = []
    dropped = [("fma", Dropped(f"a {number}", "gone", 'of "all"\n', fault=number % 2 == 0)) for number in range(count)]
    for held in (3, 100):
        monkeypatch.setattr("unisono.base.tally.HELD", held)
        tally = Tally()
        tally.dropped.extend(dropped[:5])
        assert list(tally.dropped) == dropped[:5]
        tally.dropped.extend(dropped[5:])
        assert list(tally.dropped) == dropped and len(tally.dropped) == count
        tally.write(tmp_path / "report.json")
        found.append((tmp_path / "report.json").read_bytes())
    assert found[0] == found[1] and json.loads(found[0])["dropped"] == [
        {"dataset": "fma", **asdict(each)} for _, each in dropped
    ]
