"""What `unisono prepare` shows at its end."""

from rich.table import Table

from unisono.base.tally import Tally
from unisono.commands import console
from unisono.embeddings.file import FILE_NAME, EncoderRecord
from unisono.embeddings.prepare.options import PrepareOptions
from unisono.tracks.track import Split, Track


def show(tally: Tally, splits: dict[Split, list[Track]], records: list[EncoderRecord], options: PrepareOptions) -> None:
    """Print what came in, what was embedded and why the rest was not; what was stored; and the splits."""
    console.out.print(_datasets(tally, splits))
    for reason, count in tally.reasons().most_common():
        console.out.print(f"  {count:,} left out: {reason}", markup=False)
    for record in records:
        size = f"{record.layers} x {record.dim}" if record.layers > 1 else f"{record.dim}"
        terms = f"{record.license}{', not for commercial use' if record.noncommercial else ''}"
        console.out.print(
            f"  {record.name}: {size} numbers a track, {record.pooling} pooling, weights {terms}", markup=False
        )
    if splits:
        counts = ", ".join(f"{split.capitalize()}: {len(tracks):,} samples" for split, tracks in splits.items())
        console.out.print(f"Final splits: {counts}")
        console.out.print(f"In {(options.output_path / FILE_NAME).absolute()}", soft_wrap=True, markup=False)


def _datasets(tally: Tally, splits: dict[Split, list[Track]]) -> Table:
    table = Table(title="Prepared")
    for name in ("dataset", "tracks", "embedded", "left out", "hours", "captions"):
        table.add_column(name, justify="left" if name == "dataset" else "right")
    embedded = [track for tracks in splits.values() for track in tracks]
    for dataset in sorted(tally.came):
        its_tracks = [track for track in embedded if track.dataset == dataset]
        table.add_row(
            dataset or "(none)",
            f"{tally.came[dataset]:,}",
            f"{tally.kept[dataset]:,}",
            f"{tally.came[dataset] - tally.kept[dataset]:,}",
            f"{sum(track.duration for track in its_tracks) / 3600:,.1f}",
            f"{sum(len(track.captions) for track in its_tracks):,}",
        )
    return table
