"""`unisono licenses`: what the licences of a unified file, or of what a checkpoint was trained on, allow."""

from dataclasses import dataclass
from pathlib import Path

from cyclopts import Parameter
from rich import box
from rich.table import Table

from unisono.base.errors import UsageError
from unisono.commands import console
from unisono.curation.collection import read_tracks
from unisono.curation.license_terms import LicenseReport, licenses_of, report_of, write_attributions


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class LicensesOptions:
    """Options of `unisono licenses`."""

    attribution: Path | None = None
    """Write the attributions of all tracks to this Markdown file."""


def licenses(path: Path, *, options: LicensesOptions = LicensesOptions()) -> None:
    """Show what the licences of a mix, or of what a checkpoint was trained on, allow; write the attributions.

    Parameters
    ----------
    path
        Unified file, or a checkpoint (.pt).
    """
    if path.suffix == ".pt":
        if options.attribution:
            raise UsageError(
                f"{path} does not hold the tracks themselves.",
                hint="Write the attributions from the unified file that it was trained on.",
            )
        _show_checkpoint(path)
        return
    tracks = read_tracks(path)
    _show(licenses_of(tracks), path)
    if options.attribution:
        incomplete = write_attributions(tracks, options.attribution, name=path.name)
        console.out.print(f"Attributions of {len(tracks):,} tracks are in {options.attribution}.", soft_wrap=True)
        if incomplete:
            console.log.warning("%d of them lack an artist or a title; look them up at their source.", incomplete)


def _show_checkpoint(path: Path) -> None:
    if not path.is_file():
        raise UsageError(f"There is no file {path}.")
    from unisono.retrieval.checkpoint import load  # torch is slow to import

    checkpoint = load(path)
    audio, text = checkpoint.audio_encoder, checkpoint.text_encoder
    use = "not for commercial use" if audio.noncommercial else "commercial use allowed"
    console.out.print(f"Weights of the audio encoder {audio.name}: {audio.license}, {use}", soft_wrap=True)
    console.out.print(f"Weights of the text encoder {text.name}: {text.weights_license}", soft_wrap=True)
    trained_on = checkpoint.trained_on
    _show(report_of(trained_on.licenses, trained_on.datasets), path)


def _show(report: LicenseReport, path: Path) -> None:
    found = report.table()
    table = Table(title=f"Licences in {path}", title_justify="left", box=box.SIMPLE_HEAD)
    for at, heading in enumerate(found.headings):
        table.add_column(heading, justify="left" if at in found.words else "right")
    for row in found.rows:
        table.add_row(*row)
    console.out.print(table)
    for name, count in report.totals.items():
        console.out.print(f"{name}: {count:,} of {sum(report.licenses.values()):,}")
    for title, license in report.captions.items():
        console.out.print(f"Captions of {title}: {license}", soft_wrap=True)
