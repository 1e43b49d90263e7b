"""The curves of a training: for TensorBoard while it runs, and as an image afterwards. Both are optional."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from unisono.base.extras import MissingExtraError, extra
from unisono.base.files import whole_file
from unisono.base.log import log
from unisono.retrieval.metrics import DIRECTIONS, TEXT_TO_MUSIC
from unisono.retrieval.train import distributed


@contextmanager
def curves(folder: Path, begin: int) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Yield a function that adds the metrics of an epoch to the TensorBoard curves in `folder`.

    Without TensorBoard, training runs without curves, and the log says so before the first step. Entries of an
    interrupted run from step `begin` on are removed.
    """
    writer: Any = None
    if distributed.rank() == 0:
        try:
            with extra("train", "Writing curves"):
                from torch.utils.tensorboard import SummaryWriter
        except MissingExtraError as error:
            log.warning("Training without TensorBoard curves. %s %s", error.message, error.hint)
        else:
            writer = SummaryWriter(str(folder), purge_step=begin)

    def add(entry: dict[str, Any]) -> None:
        if writer is None:
            return
        for name in ("loss", "temperature"):
            writer.add_scalar(f"train/{name}", entry[name], entry["step"])
        for direction in DIRECTIONS:
            for name, value in entry.get(direction, {}).items():
                writer.add_scalar(f"val_{direction}/{name}", value, entry["step"])

    try:
        yield add
    finally:
        if writer is not None:
            writer.close()


def draw_curve(history: list[dict[str, Any]], path: Path, select_by: str) -> bool:
    """Draw loss and validation by epoch as a PNG; without matplotlib, say so in the log and return False."""
    try:
        with extra("report", "Drawing the learning curve"):
            from matplotlib.figure import Figure
    except MissingExtraError as error:
        log.info("No learning curve. %s %s", error.message, error.hint)
        return False
    epochs = [entry["epoch"] for entry in history]
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    loss, score = figure.subplots(1, 2)
    loss.plot(epochs, [entry["loss"] for entry in history], color="tab:blue")
    loss.set(title="Training loss", xlabel="epoch")
    for direction, name in DIRECTIONS.items():
        if direction in history[0]:
            score.plot(epochs, [entry[direction][select_by] for entry in history], label=f"{name}")
    score.set(title=f"Validation: {select_by}", xlabel="epoch", ylim=(0, 1))
    if score.lines:
        best = max(history, key=lambda entry: entry[TEXT_TO_MUSIC][select_by])["epoch"]
        score.axvline(best, color="tab:gray", linestyle=":", label=f"best epoch, {best}")
        loss.axvline(best, color="tab:gray", linestyle=":")
        score.legend(frameon=False)
    for axes in (loss, score):
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    with whole_file(path) as partial:
        figure.savefig(partial, format="png", dpi=120, metadata={"Software": None})
    return True
