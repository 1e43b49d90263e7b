"""Kills runs of `prepare` and starts them again until one comes to its end; prints how many were killed at what stage.

    python -m tests.embeddings.prepare.killer UNIFIED_FILE OUTPUT_DIR KILLS SEED

Runs are forked from this process, which has everything imported, so that a run is short and a kill hits its work.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

import h5py  # noqa: F401 - so that the children need not
import pytest
import safetensors.numpy  # noqa: F401
import soundfile  # noqa: F401
import soxr  # noqa: F401
import torch
import transformers.audio_utils  # noqa: F401

from tests import quick
from unisono.embeddings.encoders.audio.musicnn import Musicnn
from unisono.embeddings.prepare import embed
from unisono.embeddings.prepare.run import prepare


def child(unified: Path, output: Path) -> None:
    """Run to the end; shards are written as often as possible."""
    vars(embed).update(FLUSH_EVERY_S=0.0, ROWS_A_SHARD=2)
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
    try:
        prepare(unified, output_dir=output, encoders=("dsp", "musicnn"), devices=("cpu",), batch_size=4)
    except BaseException:
        os._exit(1)
    os._exit(0)


def embed_slowly(encoder: Musicnn, windows: torch.Tensor) -> torch.Tensor:
    """Compute hardly anything, and take long enough to be hit."""
    time.sleep(0.05 * len(windows))
    return quick.embed(encoder, windows)


def start(unified: Path, output: Path) -> int:
    """Fork a run; give its process id."""
    process = os.fork()
    if not process:
        child(unified, output)
    return process


def main() -> None:
    """Kill so many runs at random moments, then let one finish."""
    torch.set_num_threads(1)
    pytest.MonkeyPatch().setattr(Musicnn, "embed", embed_slowly)
    unified, output, kills, seed = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    began = time.monotonic()
    process = start(unified, output.with_name("timing"))
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0
    whole_s = time.monotonic() - began
    moments = random.Random(seed)
    killed = {"before": 0, "embedding": 0, "assembling": 0}
    while sum(killed.values()) < kills:
        process = start(unified, output)
        # Progress adds up from run to run, so each is given a part of the time that a whole one takes.
        deadline = time.monotonic() + moments.uniform(0, 0.5) * whole_s
        while time.monotonic() < deadline and os.waitpid(process, os.WNOHANG) == (0, 0):
            time.sleep(0.005)
        try:
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
        except (ProcessLookupError, ChildProcessError):  # it had come to its end: begin again from nothing
            for path in sorted(output.rglob("*"), reverse=True):
                path.rmdir() if path.is_dir() else path.unlink()
            continue
        if list(output.glob(".embeddings.h5.*")):
            killed["assembling"] += 1
        else:
            killed["embedding" if list(output.glob("shards/*/*.safetensors")) else "before"] += 1
    process = start(unified, output)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0
    sys.stdout.write(f"{killed['before']} {killed['embedding']} {killed['assembling']}\n")


if __name__ == "__main__":
    main()
