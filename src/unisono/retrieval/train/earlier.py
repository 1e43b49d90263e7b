"""What an earlier run left in the folder of the checkpoints: it is continued, refused, or replaced on demand."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from glob import escape
from pathlib import Path

from filelock import FileLock, Timeout

from unisono.base.errors import DataError, UnisonoError, UsageError
from unisono.base.files import explained, remove_left_behind
from unisono.retrieval import checkpoint as checkpoints
from unisono.retrieval.checkpoint import Checkpoint
from unisono.retrieval.train.resume import MAY_CHANGE, AskedTraining, refuse_other_data, refuse_other_options

HINT = (
    "Choose another folder with checkpoint_dir (--checkpoint-dir), "
    "or replace the earlier model with overwrite=True (--overwrite)."
)


@dataclass(frozen=True)
class EarlierRun:
    """What is in the folder of the checkpoints."""

    state: Checkpoint | None = None
    """The last state of the same training, to be continued."""
    refusal: UnisonoError | None = None
    """Why the folder cannot be used: it holds the checkpoints of another training."""


def find_earlier_run(folder: Path, asked: AskedTraining, *, resumes: bool) -> EarlierRun:
    """Look for the checkpoints of an earlier run.

    Args:
        folder: the folder of the checkpoints.
        asked: the options and the data of the training that is asked for.
        resumes: whether it continues another checkpoint, whose number of epochs may be raised.
    """
    last, best = (folder / f"{asked.audio_encoder.name}_{name}.pt" for name in ("last", "best"))
    state = None
    for path in (best, last):
        if not path.exists():
            continue
        try:
            found = checkpoints.load(path)
            # the best epoch may be older than a change of these
            refuse_other_options(path, found, asked.options, MAY_CHANGE if resumes or path == best else frozenset())
            refuse_other_data(path, found, asked)
        except UsageError as error:
            more = "" if resumes else f" To train it for longer: unisono train --resume {last} --epochs N"
            return EarlierRun(refusal=UsageError(error.message, hint=HINT + more))
        except DataError as error:
            return EarlierRun(refusal=DataError(error.message, hint=HINT))
        state = found if path == last else None
    return EarlierRun(state)


@contextmanager
def claimed(folder: Path, encoder: str) -> Iterator[None]:
    """Keep every other run from writing the checkpoints of an encoder, and remove what killed runs left half-written.

    Raises:
        UnisonoError: another run is writing them, or the folder is not writable.
    """
    lock = FileLock(folder / f".{encoder}_train.lock", timeout=0)
    with explained(folder / f"{encoder}_last.pt"):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire()
        except Timeout:
            raise UnisonoError(
                f"Another run is training {encoder} in {folder}.",
                hint="Wait until it is done, or choose another folder: checkpoint_dir (--checkpoint-dir).",
            ) from None
    try:
        for partial in folder.glob(f".{escape(encoder)}_*.partial"):
            remove_left_behind(folder / partial.name[1:].removesuffix(".partial").rpartition(".")[0])
        yield
    finally:
        lock.release()


def remove_earlier_run(folder: Path, encoder: str) -> None:
    """Remove the checkpoints, the model card and the curves of an earlier run; the log is kept."""
    with explained(folder / f"{encoder}_last.pt"):
        for name in ("best.pt", "card.md", "curve.png", "epoch*.pt", "last.pt"):
            for path in folder.glob(f"{escape(encoder)}_{name}"):
                path.unlink()
        shutil.rmtree(folder / "tensorboard" / encoder, ignore_errors=True)
