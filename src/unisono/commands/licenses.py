"""`unisono licenses`: what the licences of a unified file, or of what a checkpoint was trained on, allow."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from unisono.base.errors import UsageError
from unisono.base.extras import extra
from unisono.base.words import counted
from unisono.commands import console

if TYPE_CHECKING:
    from unisono.curation.license_terms import LicenseReport


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class LicensesOptions:
    """Options of `unisono licenses`."""

    attribution: Path | None = None
    """Write the attributions of all tracks to this Markdown file."""
    json: Annotated[bool, Parameter(negative="")] = False
    """Print the counts as JSON."""


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
        _show_checkpoint(path, as_json=options.json)
        return
    from unisono.curation.collection import read_tracks
    from unisono.curation.license_terms import licenses_of, write_attributions

    tracks = read_tracks(path)
    incomplete = 0
    if options.attribution:
        incomplete = write_attributions(tracks, options.attribution, name=path.name)
    _show(licenses_of(tracks), path, as_json=options.json)
    if options.attribution and not options.json:
        console.say(f"{options.attribution} names the sources of {counted(len(tracks), 'track')}.")
    if incomplete:
        lack = "lacks" if incomplete == 1 else "lack"
        console.log.warning("%d of them %s an artist or a title; see their source.", incomplete, lack)


def _show_checkpoint(path: Path, *, as_json: bool) -> None:
    if not path.is_file():
        raise UsageError(f"There is no file {path}.")
    with extra("train", "Reading a checkpoint"):
        from unisono.retrieval.checkpoint import load
    from unisono.curation.license_terms import report_of

    checkpoint = load(path)
    audio, text, trained_on = checkpoint.audio_encoder, checkpoint.text_encoder, checkpoint.trained_on
    report = report_of(trained_on.licenses, trained_on.datasets)
    if as_json:
        weights = {audio.name: audio.license, text.name: text.weights_license}
        _show(report, path, as_json=True, weights=weights, noncommercial=audio.noncommercial)
        return
    use = "not for commercial use" if audio.noncommercial else "commercial use allowed"
    for said in (
        f"Weights of the audio encoder {audio.name}: {audio.license}, {use}",
        f"Weights of the text encoder {text.name}: {text.weights_license}",
    ):
        console.say(said)
    _show(report, path)


def _show(report: "LicenseReport", path: Path, *, as_json: bool = False, **more: Any) -> None:
    if as_json:
        console.print_json({**asdict(report), "totals": report.totals, **more})
        return
    console.show(report.table(f"Licences in {path}"))
    for name, count in report.totals.items():
        console.out.print(f"{name}: {count:,} of {sum(report.licenses.values()):,}")
    for title, license in report.captions.items():
        console.say(f"Captions of {title}: {license}")
