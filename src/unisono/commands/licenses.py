"""`unisono licenses`: what the licences of a unified file, or of what a checkpoint was trained on, allow."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from rich import box
from rich.table import Table

from unisono.base.errors import UsageError
from unisono.base.files import whole_file
from unisono.commands import console
from unisono.commands.licenses_options import LicensesOptions
from unisono.sources import registry as datasets
from unisono.sources.base import Dataset
from unisono.tracks.files import read_tracks
from unisono.tracks.licenses import terms
from unisono.tracks.track import Track

ALLOWS = {True: "yes", False: "no", None: "unknown"}
OBLIGES = (
    "Each line names title, artist, source and licence, as the Creative Commons licences ask. If you pass music on, keep "
    "its line with it, say what you changed, and imply nobody's endorsement; what a licence obliges you to beyond that "
    "stands in its text."
)
_CC_SITE = "https://creativecommons.org"
_SAMPLING = re.compile(r"CC-(NC-)?Sampling(-Plus)?-(\d\.\d)(?:-([A-Z]+))?")
_URLS = {
    "CC0-1.0": f"{_CC_SITE}/publicdomain/zero/1.0/",
    "PDM-1.0": f"{_CC_SITE}/publicdomain/mark/1.0/",
    "LAL": "https://artlibre.org/licence/lal/",
    "LAL-1.2": "https://artlibre.org/licence/lal/licence-art-libre-12/",
    "LAL-1.3": "https://artlibre.org/licence/lal/",
}


def run(path: Path, options: LicensesOptions) -> None:
    """Print the licences with what they allow, and write the attributions.

    Raises:
        UsageError, DataError: the file is missing or broken, or a checkpoint was asked for attributions.
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
    _show(Counter(track.license for track in tracks), path)
    _show_captions(track.dataset for track in tracks)
    if options.attribution:
        incomplete = _write_attributions(options.attribution, tracks, path)
        console.out.print(f"Attributions of {len(tracks):,} tracks are in {options.attribution}.", soft_wrap=True)
        if incomplete:
            console.log.warning("%d of them name no artist or no title; look them up where they are from.", incomplete)


def _show_checkpoint(path: Path) -> None:
    if not path.is_file():
        raise UsageError(f"There is no file {path}.")
    from unisono.retrieval.checkpoint import load  # torch is slow to import

    checkpoint = load(path)
    audio, text = checkpoint.audio_encoder, checkpoint.text_encoder
    use = "not for commercial use" if audio.noncommercial else "commercial use allowed"
    console.out.print(f"Weights of the audio encoder {audio.name}: {audio.license}, {use}", soft_wrap=True)
    console.out.print(f"Weights of the text encoder {text.name}: {text.weights_license}", soft_wrap=True)
    _show(checkpoint.trained_on.licenses, path)
    _show_captions(checkpoint.trained_on.datasets)


def _show_captions(names: Iterable[str]) -> None:
    for dataset in _known(names):
        console.out.print(f"Captions of {dataset.title}: {dataset.caption_license}", soft_wrap=True)


def _known(names: Iterable[str]) -> list[Dataset]:
    """Give the datasets of these names that this package knows, in alphabetical order."""
    known = set(datasets.names())
    return [datasets.get(name) for name in sorted(set(names)) if name in known]


def _show(counts: Mapping[str, int], path: Path) -> None:
    table = Table(title=f"Licences in {path}", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("licence")
    table.add_column("tracks", justify="right")
    for heading in ("commercial use", "derivatives", "share alike"):
        table.add_column(heading)
    for license, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        its_terms = terms(license)
        allowed = (its_terms.commercial_use, its_terms.derivatives, its_terms.share_alike)
        table.add_row(license, f"{count:,}", *(ALLOWS[value] for value in allowed))
    console.out.print(table)
    for name, count in totals(counts).items():
        console.out.print(f"{name}: {count:,} of {sum(counts.values()):,}")


def totals(counts: Mapping[str, int]) -> dict[str, int]:
    """Count the tracks that must not be used for money, must not be changed, or whose licence is not known."""
    found = {"non-commercial": 0, "no derivatives": 0, "licence unknown": 0}
    for license, count in counts.items():
        its_terms = terms(license)
        found["non-commercial"] += count * (its_terms.commercial_use is False)
        found["no derivatives"] += count * (its_terms.derivatives is False)
        found["licence unknown"] += count * (its_terms.family == "unknown")
    return found


def _write_attributions(path: Path, tracks: list[Track], source: Path) -> int:
    """Write one line a recording; returns how many say neither who made them nor what they are called."""
    sources = {dataset.name: dataset for dataset in _known(track.dataset for track in tracks)}
    of_recording: dict[str, list[Track]] = {}
    for track in tracks:
        of_recording.setdefault(track.recording or track.id, []).append(track)
    lines = [
        attribution_line(records[0], sources.get(records[0].dataset))
        + (", only excerpts used" if any(record.start for record in records) else "")
        for records in of_recording.values()
    ]
    with whole_file(path) as partial, partial.open("w", encoding="utf-8") as file:
        file.write(
            f"# Attributions\n\nMusic that was used by way of {_plain(source.name)}. No audio file was changed; where a "
            f"record stands for an excerpt, only that part was used. {OBLIGES}\n\n"
        )
        file.writelines(f"- {line}\n" for line in sorted(lines, key=str.casefold))
        if sources:
            file.write("\n## Captions and metadata\n\n")
        file.writelines(
            f"- {_plain(each.title)}, <{each.homepage}>, licence: {_plain(each.caption_license)}\n"
            for each in sources.values()
        )
    firsts = [records[0] for records in of_recording.values()]
    return sum(not (first.attribution or (first.artist and first.title)) for first in firsts)


def attribution_line(track: Track, dataset: Dataset | None = None) -> str:
    """Say who made a track, what it is called, where it is from and under what licence, as CC BY asks.

    Where upstream gives no address of the track itself, that of its dataset stands for it.
    """
    title, artist = _plain(track.title), _plain(track.artist)
    if title or artist:
        name = f"“{title or 'untitled'}” by {artist or 'an artist who is not named'}"
    else:
        name = _plain(track.attribution) or f"{_plain(track.id)}, title and artist not named"
    if track.url and _plain(track.url) not in name:
        name = f"{name}, <{track.url.replace('>', '%3E').replace(' ', '%20')}>"
    elif dataset and not track.url:
        name = f"{name}, {_plain(track.id)} of {_plain(dataset.title)}, <{dataset.homepage}>"
    return f"{name}, {_license_text(track.license)}"


def _license_text(license: str) -> str:
    if url := license_url(license):
        return f"licensed under [{license}]({url})"
    return "licence unknown" if license == "unknown" else f"licence: {_plain(license)}"


def license_url(license: str) -> str:
    """Give the address of a licence's text; empty where none is known."""
    if license in _URLS:
        return _URLS[license]
    if match := _SAMPLING.fullmatch(license):
        nc, plus, version, port = match.groups()
        name = f"{'nc-' if nc else ''}sampling{'+' if plus else ''}"
        return "/".join(filter(None, [_CC_SITE, "licenses", name, version, port and port.lower()])) + "/"
    parts = license.split("-")
    if parts[0] != "CC" or "Sampling" in parts:
        return ""
    elements = [part.lower() for part in parts[1:] if part in ("BY", "NC", "ND", "SA")]
    version, *port = parts[1 + len(elements) :] or [""]
    if not version:
        return f"{_CC_SITE}/licenses/"
    return "/".join([_CC_SITE, "licenses", "-".join(elements), version, *(name.lower() for name in port)]) + "/"


def _plain(text: str) -> str:
    """Keep Markdown from reading a text as markup."""
    return "".join(f"\\{letter}" if letter in "\\`*_{}[]<>#|" else letter for letter in " ".join(text.split()))


def licenses(path: Path, *, options: LicensesOptions = LicensesOptions()) -> None:  # noqa: B008
    """Show what the licences of a mix, or of what a checkpoint was trained on, allow; write the attributions.

    Parameters
    ----------
    path
        Unified file, or a checkpoint (.pt).
    """
    run(path, options)
