"""What the licences of tracks allow, and the attributions that they oblige a user to show."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from unisono.base.arguments import AnyPath, as_path
from unisono.base.files import remove_left_behind, whole_file
from unisono.base.table import Table, Tabular
from unisono.base.words import plain_markdown
from unisono.curation.collection import as_tracks
from unisono.curation.statistics import ALLOWS
from unisono.sources import registry
from unisono.sources.base import Dataset
from unisono.tracks.licenses import terms
from unisono.tracks.track import Track

OBLIGES = (
    "Each line names title, artist, source and licence, as the Creative Commons licences ask. If you pass music on, keep "
    "its line with it, say what you changed, and imply nobody's endorsement; what a licence obliges you to beyond that "
    "stands in its text."
)
_IN_ADDRESSES = "!#$%&'()*+,/:;=?@[]~"
_CC_SITE = "https://creativecommons.org"
_SAMPLING = re.compile(r"CC-(NC-)?Sampling(-Plus)?-(\d\.\d)(?:-([A-Z]+))?")
_URLS = {
    "CC0-1.0": f"{_CC_SITE}/publicdomain/zero/1.0/",
    "PDM-1.0": f"{_CC_SITE}/publicdomain/mark/1.0/",
    "LAL": "https://artlibre.org/licence/lal/",
    "LAL-1.2": "https://artlibre.org/licence/lal/licence-art-libre-12/",
    "LAL-1.3": "https://artlibre.org/licence/lal/",
}


@dataclass(frozen=True, repr=False)
class LicenseReport(Tabular):
    """The licences of tracks and of their captions."""

    licenses: dict[str, int]
    """Canonical licence -> tracks, the most frequent first."""
    captions: dict[str, str]
    """Title of a dataset -> the licence of its captions."""

    @property
    def totals(self) -> dict[str, int]:
        """How many tracks forbid commercial use, forbid derivatives, or have an unknown licence."""
        found = {"non-commercial": 0, "no derivatives": 0, "licence unknown": 0}
        for license, count in self.licenses.items():
            allowed = terms(license)
            found["non-commercial"] += count * (allowed.commercial_use is False)
            found["no derivatives"] += count * (allowed.derivatives is False)
            found["licence unknown"] += count * (allowed.family == "unknown")
        return found

    def table(self, title: str = "Licences") -> Table:
        """Return what each licence allows, as a table."""
        rows = []
        for license, count in self.licenses.items():
            allowed = terms(license)
            answers = (allowed.commercial_use, allowed.derivatives, allowed.share_alike)
            rows.append((license, f"{count:,}", *(ALLOWS[answer] for answer in answers)))
        headings = ("licence", "tracks", "commercial use", "derivatives", "share alike")
        return Table(title, headings, rows, words=(0, 2, 3, 4))


def licenses_of(tracks: AnyPath | Iterable[Track]) -> LicenseReport:
    """Return what the licences of tracks allow.

    Raises:
        UsageError, DataError: the file is missing or broken.
    """
    tracks = as_tracks(tracks)
    return report_of(Counter(track.license for track in tracks), (track.dataset for track in tracks))


def report_of(licenses: Mapping[str, int], datasets: Iterable[str]) -> LicenseReport:
    """Return the report on counted licences, and on the captions of those datasets that are known."""
    ordered = dict(sorted(licenses.items(), key=lambda item: (-item[1], item[0])))
    return LicenseReport(ordered, {each.title: each.caption_license for each in _known(datasets).values()})


def write_attributions(tracks: AnyPath | Iterable[Track], path: AnyPath, *, name: str = "a unified file") -> int:
    """Write a Markdown file with an attribution for each recording.

    Args:
        tracks: a unified file, or tracks.
        path: the file to write.
        name: what the text calls the tracks.

    Returns:
        How many recordings have no documented attribution and lack a title or an artist.

    Raises:
        UsageError, DataError: the unified file is missing or broken.
        UnisonoError: the Markdown file cannot be written.
    """
    tracks = as_tracks(tracks)
    sources = _known(track.dataset for track in tracks)
    of_recording: dict[str, list[Track]] = {}
    for track in tracks:
        of_recording.setdefault(track.recording or track.id, []).append(track)
    lines = [
        attribution_line(records[0], sources.get(records[0].dataset))
        + (", only excerpts used" if any(record.start for record in records) else "")
        for records in of_recording.values()
    ]
    remove_left_behind(as_path(path))
    with whole_file(as_path(path)) as partial, partial.open("w", encoding="utf-8", errors="replace") as file:
        file.write(
            f"# Attributions\n\nMusic that was used by way of {plain_markdown(name)}. No audio file was changed; where a "
            f"record stands for an excerpt, only that part was used. {OBLIGES}\n\n"
        )
        file.writelines(f"- {line}\n" for line in sorted(lines, key=str.casefold))
        if sources:
            file.write("\n## Captions and metadata\n\n")
        file.writelines(
            f"- {plain_markdown(each.title)}, <{each.homepage}>, licence: {plain_markdown(each.caption_license)}\n"
            for each in sources.values()
        )
    firsts = [records[0] for records in of_recording.values()]
    return sum(not (first.attribution or (first.artist and first.title)) for first in firsts)


def _known(names: Iterable[str]) -> dict[str, Dataset]:
    """Return the known datasets among some names, in alphabetical order."""
    known = set(registry.names())
    return {name: registry.get(name) for name in sorted(set(names) & known)}


def attribution_line(track: Track, dataset: Dataset | None = None) -> str:
    """Return a line with a track's title, artist, source and licence, as CC BY asks for.

    If upstream documents no address of the track itself, the line has the dataset's.
    """
    title, artist = plain_markdown(track.title), plain_markdown(track.artist)
    if title or artist:
        name = f"“{title or 'untitled'}” by {artist or 'an artist who is not named'}"
    else:
        name = plain_markdown(track.attribution) or f"{plain_markdown(track.id)}, title and artist not named"
    if track.url and plain_markdown(track.url) not in name:
        name = f"{name}, {_link(track.url)}"
    elif dataset and not track.url:
        name = f"{name}, {plain_markdown(track.id)} of {plain_markdown(dataset.title)}, <{dataset.homepage}>"
    return f"{name}, {_license_text(track.license)}"


def _link(address: str) -> str:
    """Return an address as a link if it is one of the web, else as text: `javascript:` and others can act."""
    if not address.casefold().startswith(("http://", "https://")):
        return plain_markdown(address)
    return f"<{quote(' '.join(address.split()), safe=_IN_ADDRESSES, errors='replace')}>"


def _license_text(license: str) -> str:
    if url := license_url(license):
        return f"licensed under [{plain_markdown(license)}]({quote(url, safe=':/+')})"
    return "licence unknown" if license == "unknown" else f"licence: {plain_markdown(license)}"


def license_url(license: str) -> str:
    """Return the address of a licence's text, or "" if none is known."""
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
