"""Run a sweep: train what is missing, each trial in a folder of its own, on one or several devices at a time."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from unisono.base.arguments import AnyPath, Count, as_path, checked
from unisono.base.errors import UnisonoError, UsageError
from unisono.base.files import write_whole
from unisono.base.log import log, log_to
from unisono.embeddings.file import FILE_NAME, SplitRows, open_embeddings
from unisono.embeddings.prepare.run import prepare
from unisono.retrieval.evaluate.ranking import query_results, rank_both
from unisono.retrieval.evaluate.result import QueryResult
from unisono.retrieval.metrics import TEXT_TO_MUSIC
from unisono.retrieval.model import Model
from unisono.retrieval.pairing import pair_rows
from unisono.retrieval.sweep.outcome import SweepOutcome, TrialResult, outcome_of
from unisono.retrieval.sweep.plan import Trial, read_plan
from unisono.retrieval.train.loop import InterruptionError
from unisono.retrieval.train.run import train
from unisono.tracks.files import write_tracks
from unisono.tracks.track import Caption, Split, Track

RESULT = "trial.json"
_device = ""
"""Of this process of the pool."""


@checked
def sweep(
    file: AnyPath,
    *,
    data_dir: AnyPath | None = None,
    folder: AnyPath | None = None,
    devices: Sequence[str] = ("auto",),
    jobs: Count = 1,
) -> SweepOutcome:
    """Train all trials of a sweep file that are not trained yet, and compare them on the val split.

    Each trial has a folder named after its options, in which an interrupted training continues. A trial that fails does not
    end the others; the next call tries it again.

    Args:
        file: the sweep file; see `plan.py`.
        data_dir: folder of the embeddings, unless the file names it.
        folder: folder of the trials. Default: that of the file, or `checkpoints/<name of the file>`.
        devices: where to train.
        jobs: trainings at the same time on each device.

    Raises:
        UsageError: the file has a mistake.
        UnisonoError: no trial could be trained.
        InterruptionError: a signal came; what was trained is kept.
    """
    path = as_path(file)
    plan = read_plan(path)
    data = as_path(plan.data_dir or data_dir or "data/processed_embeddings")
    where = as_path(folder or plan.folder or Path("checkpoints") / path.stem)
    with log_to(where / "sweep.log"):
        missing = [trial for trial in plan.trials if _finished(trial, where, data) is None]
        log.info("%d trials, %d of them trained already.", len(plan.trials), len(plan.trials) - len(missing))
        failed: dict[str, str] = {}
        for done, (trial, problem) in enumerate(_run_all(missing, where, data, devices, jobs), 1):
            if problem:
                failed[trial.name] = problem
                log.warning("Trial %s failed: %s", _called(trial), problem)
            else:
                log.info("%d of %d: %s", len(plan.trials) - len(missing) + done, len(plan.trials), _called(trial))
    finished = ((trial, _finished(trial, where, data)) for trial in plan.trials)
    results = [(trial, result) for trial, result in finished if result]
    if not results:
        raise UnisonoError(f"No trial of {path} could be trained: {next(iter(failed.values()))}")
    return outcome_of(plan, results, failed, where)


def _run_all(
    trials: Sequence[Trial], folder: Path, data: Path, devices: Sequence[str], jobs: int
) -> Iterator[tuple[Trial, str]]:
    """Run trials; yield each with why it failed, or with nothing."""
    if len(devices) * jobs == 1:
        for trial in trials:
            yield trial, run_trial(trial, folder, data, devices[0])
        return
    context = multiprocessing.get_context("spawn")
    places: Queue[str] = context.Queue()
    for device in [*devices] * jobs:
        places.put(device)
    workers = min(len(devices) * jobs, len(trials)) or 1
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_begin, initargs=(places,))
    try:
        running = {pool.submit(run_trial, trial, folder, data): trial for trial in trials}
        for future in as_completed(running):
            yield running[future], future.result()
    except BrokenProcessPool as error:
        raise UnisonoError(
            "A training's process was ended from outside, perhaps for lack of memory.",
            hint="The same command continues; fewer --jobs need less memory.",
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _begin(places: "Queue[str]") -> None:
    """Take a device for this process, and end with the process that began it, however that ends."""
    global _device
    _device = places.get()
    parent = multiprocessing.parent_process()

    def follow() -> None:
        if parent is not None:
            wait([parent.sentinel])
            os.kill(os.getpid(), signal.SIGTERM)  # a training saves its state

    threading.Thread(target=follow, daemon=True).start()


def run_trial(trial: Trial, folder: Path, data: Path, device: str = "") -> str:
    """Train a trial, or continue it, and write the result of its queries; return why it failed, or nothing."""
    where = folder / trial.name
    try:
        model = train(data, **trial.options, checkpoint_dir=where, device=device or _device)
        result = TrialResult(
            options=trial.options,
            data=_stamp(data),
            checkpoint=Path(str(model.path)).name,
            best_epoch=model.training.best_epoch,
            candidates=model.training.candidates,
            chance=model.training.chance,
            queries=queries(model, data, "val"),
        )
    except InterruptionError:
        raise
    except UnisonoError as error:
        return error.message
    write_whole(where / RESULT, msgspec.json.encode(result))
    return ""


def queries(model: Model, data: Path, split: Split) -> list[QueryResult]:
    """Return the result of each text query on a split, as `unisono evaluate` computes it.

    If the model's audio encoder was tuned, the music is embedded again, into a folder next to the checkpoint.
    """
    with open_embeddings(data) as file:
        rows = file.read(split, [] if model.checkpoint.tower else [model.audio_encoder.name])
        if not rows.ids:
            raise UsageError(f"{file.path} has no {split} split: there is nothing to compare by.")
        if not model.checkpoint.tower:
            music = model.project_rows(file, rows)
    if model.checkpoint.tower:
        rows, music = _embedded_again(model, rows)
    pairing = pair_rows(rows)
    ranked = rank_both(pairing, model.embed_text(pairing.texts, cached=True), music)
    return sorted(query_results(rows, pairing, ranked)[TEXT_TO_MUSIC], key=lambda query: query.query)


def _embedded_again(model: Model, rows: SplitRows) -> tuple[SplitRows, NDArray[np.floating]]:
    """Embed the music of a split with a tuned encoder; return its rows and its vectors in the model's space."""
    where = Path(str(model.path)).parent / rows.split
    write_tracks(where / "unified.jsonl", _tracks(rows))
    settings: dict[str, Any] = {"pooling": model.audio_encoder.pooling, "output_dir": where}
    prepare(where / "unified.jsonl", encoders=(str(model.path),), **settings)
    with open_embeddings(where) as file:
        again = file.read(rows.split, [model.audio_encoder.name])
        return again, model.project_rows(file, again)


def _tracks(rows: SplitRows) -> list[Track]:
    """Return the tracks of a split, with what decides the pairs of captions and music."""
    captions: list[list[Caption]] = [[] for _ in rows.ids]
    for row, text, origin in zip(rows.caption_of, rows.captions, rows.caption_origin, strict=True):
        captions[row].append(Caption(text, origin or None))  # type: ignore[arg-type]
    kept = ("dataset", "recording", "artist_id", "audio_path")
    texts: list[dict[str, Any]] = [{name: rows.texts[name][row] for name in kept} for row in range(len(rows.ids))]
    return [
        Track(
            id=id,
            captions=tuple(captions[row]),
            start=float(rows.start_s[row]),
            duration=float(rows.duration_s[row]),
            split=rows.split,
            **texts[row],
        )
        for row, id in enumerate(rows.ids)
    ]


def _finished(trial: Trial, folder: Path, data: Path) -> TrialResult | None:
    """Return the result of a trial, if it was trained on the embeddings as they are now."""
    try:
        result = msgspec.json.decode((folder / trial.name / RESULT).read_bytes(), type=TrialResult)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    return result if result.data == _stamp(data) else None


def _stamp(data: Path) -> list[int]:
    path = data / FILE_NAME if data.is_dir() else data
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def _called(trial: Trial) -> str:
    varied: dict[str, Any] = {**trial.varied, "seed": trial.seed}
    return ", ".join(f"{name.replace('_', '-')} {value}" for name, value in varied.items())
