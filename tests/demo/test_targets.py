"""The demo says no where the outcome is not good enough."""

import sys
from pathlib import Path

import pytest

from demo import commands, targets
from demo.arrange import Facts
from demo.targets import HeldOut, Outcome, Precision
from tests.making import make_track
from unisono.base.errors import UnisonoError
from unisono.embeddings.file import create_embeddings
from unisono.retrieval.evaluate.measured import Estimate
from unisono.tracks.track import SPLITS


def facts(*players: str) -> Facts:
    return Facts(players[0], players, None, False, 1, "reel", "fast", 7.0, None, False, None)


def outcome(low: float, precise: float | None, value: float = 0.8) -> Outcome:
    return Outcome(Estimate(value, low, 0.9, 0.1), None if precise is None else Precision({"flute": precise}, 0.05))


@pytest.mark.parametrize(
    ("low", "precise", "holds"), [(0.51, 0.6, True), (0.49, 0.6, False), (0.5, 0.6, False), (0.51, 0.59, False)]
)
def test_both_targets_must_hold(low: float, precise: float, holds: bool) -> None:
    shown, all_hold = targets.table({"trained": outcome(low, precise)})
    assert all_hold is holds
    assert [column.header for column in shown.columns] == ["", "trained", "chance"]


def test_precision_that_could_not_be_measured_holds_no_target() -> None:
    _, all_hold = targets.table({"trained": outcome(0.7, None)})
    assert not all_hold


@pytest.mark.parametrize(
    ("value", "low", "precise", "holds"),
    [
        (0.36, 0.26, 0.6, (True, True)),
        (0.34, 0.26, 0.6, (False, True)),
        (0.36, 0.25, 0.6, (False, True)),
        (0.36, 0.26, 0.59, (True, False)),
    ],
)
def test_the_bars_of_tags_are_shown_and_must_hold(
    value: float, low: float, precise: float, holds: tuple[bool, bool]
) -> None:
    found = outcome(low, precise, value)
    assert found.holds(targets.BARS["tags"]) == holds
    shown, all_hold = targets.table({"tags": found, "trained": outcome(0.51, 0.6)})
    assert all_hold is all(holds)
    said = [str(cell) for cell in shown.columns[1].cells]
    assert sum("no" in cell for cell in said) == 2 - sum(holds)


def test_precision_counts_answers_that_feature_the_instrument(tmp_path: Path) -> None:
    heard = {(f"fma/{number}.mp3", 0.0): facts("flute" if number < 3 else "banjo", "piano") for number in range(10)}
    hits = [
        {"audio_path": str(tmp_path.resolve() / "fma" / f"{number}.mp3"), "start_s": 0.0} for number in (0, 1, 5, 6, 2)
    ]
    found = [{"hits": hits}, {"hits": hits}, {"hits": hits}]
    measured = targets.precision(found, ["flute", "banjo", "piano"], HeldOut(heard, set()), tmp_path)
    assert measured.by_instrument == {"flute": 0.6, "banjo": 0.4, "piano": 1.0}
    assert measured.mean == pytest.approx(2 / 3)
    assert measured.chance == pytest.approx((0.3 + 0.7 + 1.0) / 3)


def test_only_instruments_with_enough_excerpts_are_asked_for() -> None:
    heard = {(str(number), 0.0): facts("flute" if number < 5 else "banjo") for number in range(9)}
    assert HeldOut(heard, set()).instruments() == ["flute"]


def test_a_failed_command_ends_the_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "UNISONO", Path(sys.executable))
    assert commands.run(["-c", "print('answer')"], capture=True) == "answer\n"
    with pytest.raises(UnisonoError, match="exit code 3"):
        commands.run(["-c", "raise SystemExit(3)"])


@pytest.mark.parametrize(("test_work", "leaks"), [("bach/c.mxl", False), ("bach/a.mxl", True)])
def test_a_composition_on_two_sides_is_refused(tmp_path: Path, test_work: str, leaks: bool) -> None:
    works = {"train": "bach/a.mxl", "val": "bach/b.mxl", "test": test_work}
    truth = {(f"fma/{split}.mp3", 9.0): (work, facts("flute")) for split, work in works.items()}
    with create_embeddings(tmp_path / "embeddings.h5", {}, 0) as writer:
        for split in SPLITS:
            path = str(tmp_path.resolve() / "raw" / "fma" / f"{split}.mp3")
            writer.add_split(split, [make_track(id=split, audio_path=path, caption="flute", duration=9.0, start=9.0)])
    if leaks:
        with pytest.raises(UnisonoError, match=r"in another split: 1, the first being bach/a\.mxl"):
            targets.held_out(tmp_path, tmp_path / "raw", truth)
    else:
        test = targets.held_out(tmp_path, tmp_path / "raw", truth)
        assert test.works == {"bach/c.mxl"}
        assert list(test.facts) == [("fma/test.mp3", 9.0)]
