"""Rendering: the same recipe gives the same bytes, whatever happened before."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from demo import render
from demo.arrange import arrange, plan
from demo.render import Excerpt, Recording, facts_of, make, near_silent, play, render_all
from tests.demo import scores
from unisono.base.errors import UnisonoError
from unisono.base.seeded import rng

RATE_HZ = 22_050
SECONDS = 2.0


def recording(folder: Path, number: int, leads: tuple[str, ...] = ("flute",)) -> Recording:
    excerpts = tuple(Excerpt(scores.tune(), 10 * number + place, lead) for place, lead in enumerate(leads))
    return Recording(folder / f"{number}.mp3", folder / "facts" / f"{number}.json", excerpts, RATE_HZ, 1)


def test_the_same_recipe_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = recording(tmp_path / "a", 1, ("flute", "banjo")), recording(tmp_path / "b", 1, ("flute", "banjo"))
    make(first, 42, SECONDS)
    make(second, 42, SECONDS)
    assert first.path.read_bytes() == second.path.read_bytes()
    assert facts_of(first) == facts_of(second)
    assert [facts.lead for facts in facts_of(first)] == ["flute", "banjo"]
    info = soundfile.info(first.path)
    assert (info.format, info.samplerate, info.frames) == ("MP3", RATE_HZ, round(2 * SECONDS * RATE_HZ))
    make(recording(tmp_path / "c", 1, ("flute", "banjo")), 43, SECONDS)
    assert (tmp_path / "c" / "1.mp3").read_bytes() != first.path.read_bytes()


def test_children_make_what_is_missing_and_only_that(tmp_path: Path) -> None:
    wanted = [recording(tmp_path, number) for number in range(3)]
    make(wanted[1], 42, SECONDS)
    before = wanted[1].path.stat().st_mtime_ns
    render_all(wanted, 42, SECONDS, workers=2)
    assert wanted[1].path.stat().st_mtime_ns == before
    alone = recording(tmp_path / "alone", 2)
    make(alone, 42, SECONDS)
    assert alone.path.read_bytes() == wanted[2].path.read_bytes()


def test_a_hanging_synthesizer_costs_one_attempt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child that spins for ever is ended by its processor time limit, and another arrangement is tried."""
    monkeypatch.setattr(render, "_render_share", hang_on_first_attempt)
    wanted = [recording(tmp_path, 1)]
    render_all(wanted, 42, SECONDS, workers=1)
    assert json.loads(wanted[0].facts_path.read_text())[0]["lead"] == "flute"
    skipped = recording(tmp_path / "skipped", 1)
    make(skipped, 42, SECONDS, skip=1)
    assert skipped.path.read_bytes() == wanted[0].path.read_bytes()


def hang_on_first_attempt(recordings: list[Recording], skipped: dict[Path, int], seed: int, seconds: float) -> None:
    import signal

    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_PROF, 0.2)
    while not skipped:
        pass
    signal.setitimer(signal.ITIMER_PROF, 0)
    for each in recordings:
        make(each, seed, seconds, skip=skipped[each.path])


def test_what_was_played_before_is_not_heard() -> None:
    clips = []
    for seed, lead in enumerate(("choir", "trumpet", "piano")):
        random_ = rng(seed)
        clips.append(arrange(scores.tune(), plan(scores.tune(), lead, random_), SECONDS, random_))
    heard = [play(clips[number], SECONDS, RATE_HZ).tobytes() for number in (0, 1, 2, 0, 2, 1, 1, 0)]
    assert len(set(heard)) == 3
    assert heard[0] == heard[3] == heard[7]


def test_silence_is_told_from_music() -> None:
    random_ = rng(1)
    work = scores.tune()
    clip = arrange(work, plan(work, "organ", random_), SECONDS, random_)
    audio = play(clip, SECONDS, RATE_HZ)
    assert audio.shape == (2, round(SECONDS * RATE_HZ))
    assert np.abs(audio).max() == pytest.approx(render.PEAK)
    assert not near_silent(audio, RATE_HZ)
    audio[:, : audio.shape[1] // 2] = 0
    assert near_silent(audio, RATE_HZ)


def test_what_cannot_be_made_audible_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render, "near_silent", lambda audio, rate_hz: True)
    with pytest.raises(UnisonoError, match="No audible arrangement"):
        make(recording(tmp_path, 1), 42, SECONDS)
    assert not list(tmp_path.rglob("*.mp3"))
