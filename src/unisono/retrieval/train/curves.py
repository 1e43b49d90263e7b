"""The curves of a training: for TensorBoard while it runs, and as an image afterwards. Both are optional."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from unisono.base.extras import MissingExtraError, extra
from unisono.base.files import whole_file
from unisono.base.log import log
from unisono.retrieval.metrics import DIRECTIONS
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


def draw_curve(
    history: list[dict[str, Any]], path: Path, select_by: str, best_epoch: int, chance: Mapping[str, float]
) -> bool:
    """Draw loss and validation by epoch as a PNG; without matplotlib, say so in the log and return False.

    Args:
        history: the metrics of each epoch.
        path: of the picture.
        select_by: the measure that selected the best epoch.
        best_epoch: the one that is marked; 0: none was selected.
        chance: measure -> what a random order achieves, text to music; empty without a val split.
    """
    try:
        with extra("report", "Drawing the learning curve"):
            from matplotlib import rc_context
            from matplotlib.figure import Figure

            from unisono.retrieval.report.drawing import COLOURS, LOOK
    except MissingExtraError as error:
        log.info("No learning curve. %s %s", error.message, error.hint)
        return False
    epochs = [entry["epoch"] for entry in history]
    with rc_context(LOOK):
        figure = Figure(figsize=(9, 3.4))
        margins = {"left": 0.06, "right": 0.99, "bottom": 0.15, "top": 0.91, "wspace": 0.14}
        loss, score = figure.subplots(1, 2, gridspec_kw=margins)
        loss.plot(epochs, [entry["loss"] for entry in history], color=COLOURS[2])
        loss.set(title="Training loss", xlabel="epoch")
        for direction, colour, line in zip(DIRECTIONS, COLOURS, ("-", "--"), strict=False):
            if direction in history[0]:
                values = [entry[direction][select_by] for entry in history]
                score.plot(epochs, values, line, color=colour, label=DIRECTIONS[direction])
        score.set(title=f"Validation: {select_by}", xlabel="epoch", ylim=(0, 1))
        if score.lines:
            if best_epoch:
                score.axvline(best_epoch, color=COLOURS[3], linewidth=1, label=f"best epoch: {best_epoch}")
                loss.axvline(best_epoch, color=COLOURS[3], linewidth=1)
            if select_by in chance:
                score.axhline(
                    chance[select_by], color=COLOURS[6], linestyle=":", label=f"chance: {chance[select_by]:.2f}"
                )
            score.legend(loc="center right", fontsize=8)
        with whole_file(path) as partial:
            figure.savefig(partial, format="png", dpi=120, facecolor="white", metadata={"Software": None})
    return True
