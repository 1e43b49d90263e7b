"""Render scores to mp3 files, in child processes that a CPU time limit ends if the synthesizer hangs.

Finished files are not rendered again. The same settings produce the same bytes, whatever the number of workers.
"""

import json
import multiprocessing
import signal
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib.util import find_spec
from io import BytesIO
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from demo.arrange import DRUM_TRACK, Clip, Facts, arrange, plan
from demo.instruments import INSTRUMENTS
from demo.scores import Work, read
from unisono.base.errors import UnisonoError
from unisono.base.files import whole_file, write_whole
from unisono.base.log import log
from unisono.base.progress import progress
from unisono.base.seeded import rng

TICKS_PER_SECOND = 960
"""480 ticks a quarter note at MIDI's default of 120 quarter notes a minute."""
DRUM_CHANNEL = 9
MAX_ATTEMPTS = 8
"""Arrangements to try for a clip before it fails."""
TIME_LIMIT_S = 20
"""CPU time for one file. Rendering takes a fraction of a second; if it takes longer than this, the synthesizer hangs."""
PEAK = 0.7
QUIET_DB, MAX_QUIET_SHARE = -50.0, 0.4
"""A clip is rejected as near silent if more than this share of it is this far below its peak."""


@dataclass(frozen=True)
class Excerpt:
    """One arrangement to render."""

    work: Work
    number: int
    """Number of the arrangement among those of its work."""
    lead: str


@dataclass(frozen=True)
class Recording:
    """One audio file to render: one arrangement, or several one after the other."""

    path: Path
    """The mp3 file."""
    facts_path: Path
    """File for the facts about its excerpts; written last, so it marks the recording as finished."""
    excerpts: tuple[Excerpt, ...]
    rate_hz: int
    channels: int


@dataclass
class Share:
    """The part of the recordings that one child process makes."""

    recordings: list[Recording]
    skipped: dict[Path, int] = field(default_factory=dict)
    """Path of a recording -> number of attempts that hung."""
    process: BaseProcess | None = None

    def missing(self) -> list[Recording]:
        """List the recordings that are not finished."""
        return [recording for recording in self.recordings if not recording.facts_path.exists()]


def soundfont() -> Path:
    """Find the General MIDI soundfont of pretty_midi, without importing pretty_midi."""
    spec = find_spec("pretty_midi")
    if spec is None or not spec.submodule_search_locations:
        raise UnisonoError("The demo plays with pretty_midi's soundfont, which is not installed.", hint="make setup")
    return Path(spec.submodule_search_locations[0]) / "TimGM6mb.sf2"


def read_works(candidates: list[str], count: int, workers: int, title: str) -> list[Work]:
    """Read scores in this order until `count` usable ones are found; no two of them open alike."""
    works: list[Work] = []
    openings: set[tuple[int, ...]] = set()
    with (
        ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool,
        progress("scores") as bar,
    ):
        task = bar.add_task(title, total=count)
        step = 8 * workers
        for first in range(0, len(candidates), step):
            for work in pool.map(read, candidates[first : first + step]):
                if work and work.opening not in openings and len(works) < count:
                    openings.add(work.opening)
                    works.append(work)
            bar.update(task, completed=len(works))
            if len(works) == count:
                return works
    raise UnisonoError(f"Only {len(works)} of {count} scores could be read.", hint="Ask for fewer with --clips.")


def render_all(recordings: list[Recording], seed: int, seconds: float, workers: int) -> None:
    """Make every recording that is not finished."""
    todo = [recording for recording in recordings if not recording.facts_path.exists()]
    if not todo:
        return
    context = multiprocessing.get_context("spawn")
    shares = [Share(todo[worker::workers]) for worker in range(workers)]
    with progress("files") as bar:
        task = bar.add_task("Rendering", total=len(recordings), completed=len(recordings) - len(todo))
        try:
            while running := [share for share in shares if _keep_going(share, context, seed, seconds)]:
                for share in running:
                    assert share.process is not None
                    share.process.join(timeout=0.3)
                left = sum(len(share.missing()) for share in shares)
                bar.update(task, completed=len(recordings) - left)
            bar.update(task, completed=len(recordings))
        finally:
            for share in shares:
                if share.process is not None and share.process.is_alive():
                    share.process.terminate()


def _keep_going(share: Share, context: Any, seed: int, seconds: float) -> bool:
    """Start or restart a share's process if needed; return False when the share is finished."""
    if share.process is not None and share.process.is_alive():
        return True
    missing = share.missing()
    if not missing:
        return False
    if share.process is not None:
        if share.process.exitcode != -signal.SIGPROF:
            raise UnisonoError(f"Rendering {missing[0].path} failed (exit code {share.process.exitcode}).")
        share.skipped[missing[0].path] = share.skipped.get(missing[0].path, 0) + 1
        log.warning("%s: the synthesizer hung; another arrangement is tried", missing[0].path)
    share.process = context.Process(target=_render_share, args=(missing, share.skipped, seed, seconds), daemon=True)
    share.process.start()
    return True


def _render_share(recordings: list[Recording], skipped: dict[Path, int], seed: int, seconds: float) -> None:
    """Make recordings one by one in a child process, each within the time limit."""
    signal.signal(signal.SIGPROF, signal.SIG_DFL)  # ends the process immediately, even inside the synthesizer
    for recording in recordings:
        signal.setitimer(signal.ITIMER_PROF, TIME_LIMIT_S)
        make(recording, seed, seconds, skip=skipped.get(recording.path, 0))
    signal.setitimer(signal.ITIMER_PROF, 0)


def make(recording: Recording, seed: int, seconds: float, skip: int = 0) -> None:
    """Arrange, render and write one recording and the facts about it."""
    import soundfile

    sounds, facts = [], []
    for excerpt in recording.excerpts:
        clip, audio = attempt(excerpt, seed, seconds, recording.rate_hz, skip)
        sounds.append(audio)
        facts.append(clip.facts)
    joined = np.concatenate(sounds, axis=1)
    if recording.channels == 1:
        joined = joined.mean(axis=0, keepdims=True)
    with whole_file(recording.path) as partial:
        soundfile.write(partial, joined.T, recording.rate_hz, format="MP3")
    write_whole(recording.facts_path, json.dumps([asdict(found) for found in facts]) + "\n")


def attempt(
    excerpt: Excerpt, seed: int, seconds: float, rate_hz: int, skip: int = 0
) -> tuple[Clip, NDArray[np.float32]]:
    """Arrange and render an excerpt, repeatedly if the result is near silent; return it with its audio [2, samples]."""
    for number in range(skip, MAX_ATTEMPTS):
        random_ = rng(seed, excerpt.work.source, excerpt.number, number)
        clip = arrange(excerpt.work, plan(excerpt.work, excerpt.lead, random_), seconds, random_)
        audio = play(clip, seconds, rate_hz)
        if not near_silent(audio, rate_hz):
            return clip, audio
    raise UnisonoError(f"No audible arrangement of {excerpt.work.source} for {excerpt.lead} was found.")


def play(clip: Clip, seconds: float, rate_hz: int) -> NDArray[np.float32]:
    """Synthesize an arrangement: stereo samples [2, seconds * rate_hz], peak at `PEAK`, the end faded out."""
    import midirenderer
    import soundfile
    import soxr

    wave = midirenderer.render_wave_from(_soundfont_bytes(), midi(clip))
    rendered, rendered_hz = soundfile.read(BytesIO(wave), dtype="float32", always_2d=True)
    resampled = soxr.resample(rendered, rendered_hz, rate_hz).T
    samples = round(seconds * rate_hz)
    audio = np.zeros((2, samples), np.float32)
    audio[:, : resampled.shape[1]] = resampled[:, :samples]
    fade = round(0.05 * rate_hz)
    audio[:, -fade:] *= np.linspace(1, 0, fade, dtype=np.float32)
    peak = float(np.abs(audio).max())
    return audio * np.float32(PEAK / peak) if peak > 0 else audio


def midi(clip: Clip) -> bytes:
    """Encode an arrangement as a MIDI file: one channel for each instrument, drums on the drum channel."""
    import mido

    free_channels = iter(channel for channel in range(16) if channel != DRUM_CHANNEL)
    channels: dict[str, int] = {}
    timed: list[tuple[int, int, mido.Message]] = []  # at the same time: programs, then note ends, then note starts
    for sound in clip.sounds:
        if sound.track not in channels:
            is_drum = sound.track == DRUM_TRACK
            channel = channels[sound.track] = DRUM_CHANNEL if is_drum else next(free_channels)
            if not is_drum:
                program = INSTRUMENTS[sound.track].program
                timed.append((0, 0, mido.Message("program_change", channel=channel, program=program)))
        note = {"channel": channels[sound.track], "note": sound.pitch}
        start = round(sound.start * TICKS_PER_SECOND)
        end = start + max(1, round(sound.length * TICKS_PER_SECOND))
        timed.append((start, 2, mido.Message("note_on", velocity=sound.velocity, **note)))
        timed.append((end, 1, mido.Message("note_off", **note)))
    return midi_file(timed)


def midi_file(timed: list[tuple[int, int, Any]]) -> bytes:
    """Return a MIDI file of messages, each with its tick and its order among those of the same tick."""
    import mido

    track = mido.MidiTrack()
    now = 0
    for tick, _, message in sorted(timed, key=lambda one: one[:2]):
        track.append(message.copy(time=tick - now))
        now = tick
    content = BytesIO()
    mido.MidiFile(ticks_per_beat=TICKS_PER_SECOND // 2, tracks=[track]).save(file=content)
    return content.getvalue()


def near_silent(audio: NDArray[np.float32], rate_hz: int) -> bool:
    """Return whether too much of a clip is inaudible, by the level of frames of 50 ms."""
    frame = rate_hz // 20
    mono = audio.mean(axis=0)
    frames = mono[: len(mono) // frame * frame].reshape(-1, frame)
    levels_db = 20 * np.log10(np.sqrt((frames**2).mean(axis=1)) / PEAK + 1e-9)
    return bool((levels_db < QUIET_DB).mean() > MAX_QUIET_SHARE)


@cache
def _soundfont_bytes() -> bytes:
    return soundfont().read_bytes()


def facts_of(recording: Recording) -> list[Facts]:
    """Read the facts about a finished recording's excerpts."""
    found = json.loads(recording.facts_path.read_text())
    return [Facts(**{**one, "players": tuple(one["players"])}) for one in found]
