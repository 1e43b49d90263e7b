"""`unisono sweep`: trainings that differ in their options, with several seeds, compared on the val split."""

from pathlib import Path
from typing import TYPE_CHECKING

from unisono.base.errors import UnisonoError
from unisono.base.extras import extra, require
from unisono.base.words import counted
from unisono.commands import console
from unisono.commands.options import Count

if TYPE_CHECKING:
    from unisono.retrieval.sweep.outcome import SweepOutcome


def sweep(
    file: Path,
    *,
    data_dir: Path | None = None,
    folder: Path | None = None,
    devices: tuple[str, ...] = ("auto",),
    jobs: Count = 1,
) -> None:
    """Train with all combinations of options that a file names, or a random sample of them, and compare them.

    Parameters
    ----------
    file
        The sweep file (.toml): the options of `unisono train` that are fixed, those that vary, and the seeds; see
        docs/sweep.md.
    data_dir
        Folder of `embeddings.h5`, unless the file names it. Default: `data/processed_embeddings`.
    folder
        Folder of the trials. Default: that of the file, or `checkpoints/<name of the file>`.
    devices
        Where to train: cuda:0 cuda:1 ... Default: a GPU, or else the CPU.
    jobs
        Trainings at the same time on each device.
    """
    found = run(file, data_dir, folder, devices, jobs)
    console.show(found.table())
    console.say(found.note)
    console.say(f"\nThe best one: {found.settings[0].checkpoint}")
    console.say(f"Its command: {found.command()}")
    if found.failed:
        raise UnisonoError(
            f"{counted(len(found.failed), 'trial')} failed: {'; '.join(dict.fromkeys(found.failed.values()))}",
            hint="The same command tries again.",
        )


def run(file: Path, data_dir: Path | None, folder: Path | None, devices: tuple[str, ...], jobs: int) -> "SweepOutcome":
    """Run the sweep and return its outcome."""
    require("train", "Training", ("tensorboard",))
    with extra("train", "Training"):
        from unisono.retrieval.sweep.run import sweep as run_sweep
    return run_sweep(file, data_dir=data_dir, folder=folder, devices=devices, jobs=jobs)
