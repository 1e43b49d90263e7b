"""Leaks: what a benchmark shares with the tracks that a model is trained on."""

import itertools
import json
from array import array
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unisono.audio.copies import FileSizes
from unisono.audio.listening import listen, unheard
from unisono.base.arguments import AnyPath, Count, as_path, checked
from unisono.base.files import write_whole
from unisono.base.log import log
from unisono.base.table import Table, Tabular
from unisono.curation.collection import Tracks, as_tracks
from unisono.curation.matching import (
    BY_LISTENING,
    CERTAIN,
    KINDS,
    Kind,
    Match,
    Matching,
    hash_lists,
    read_published,
)
from unisono.curation.same_sound import audio_matches
from unisono.tracks.record import Entry
from unisono.tracks.track import Track
from unisono.tracks.workspace import DEFAULT_ROOT

HELD_OUT = ("val", "test")
DEFAULT_KINDS: tuple[Kind, ...] = ("ids", "sha256", "text")


@dataclass(frozen=True, repr=False)
class LeakReport(Tabular):
    """The matches between the tracks that are trained on and a benchmark."""

    everything: Tracks
    """The tracks that were given first."""
    first: Tracks
    """Those of them that are trained on: the ones that were compared."""
    compared: NDArray[np.bool_]
    """[N]: which of the tracks that were given first they are."""
    second: Tracks
    """The benchmark."""
    matches: list[Match]
    """`Match.first` and `Match.second` are places in `first` and `second`."""
    counting: frozenset[Kind]
    """The kinds of matches that make a track a leak."""
    unheard: list[dict[str, str]]
    """The tracks that could not be listened to: id, reason, detail."""

    @cached_property
    def leaking(self) -> frozenset[str]:
        """The ids in `first` that leak."""
        return frozenset(self._ids[match.first] for match in self.matches if match.kind in self.counting)

    @cached_property
    def _ids(self) -> dict[int, str]:
        """Place in `first` -> id, of the tracks that match."""
        places = sorted({match.first for match in self.matches})
        flags = np.zeros(len(self.first), dtype=bool)
        flags[places] = True
        return {place: track.id for place, track in zip(places, self.first.at(flags).entries(), strict=True)}

    @property
    def doubtful(self) -> int:
        """How many tracks in `first` match by kinds that do not count only."""
        return len({match.first for match in self.matches}) - len(self.leaking)

    def clean(self) -> Tracks:
        """Return the tracks that were given first, without those that leak."""
        kept = np.ones(len(self.everything), dtype=bool)
        leaking = [match.first for match in self.matches if match.kind in self.counting]
        kept[np.flatnonzero(self.compared)[leaking]] = False
        return self.everything.at(kept)

    @property
    def content(self) -> dict[str, Any]:
        """Every match with its evidence, as plain values."""
        rows = [
            {
                "first": self._ids[match.first],
                "second": self.second[match.second].id,
                "match": match.kind,
                "evidence": match.evidence,
                "certain": match.kind in CERTAIN,
            }
            for match in self.matches
        ]
        return {"matches": rows, "unheard": self.unheard}

    def write(self, path: AnyPath) -> None:
        """Write every match with its evidence to a JSON file.

        Raises:
            UnisonoError: it cannot be written.
        """
        text = json.dumps(self.content, ensure_ascii=False, indent=1) + "\n"
        write_whole(as_path(path), text.encode(errors="surrogatepass"))

    def counts(self) -> list[tuple[Kind, int, int]]:
        """Return (kind, tracks in `first`, tracks in `second`) for each kind of match that was found."""
        found = []
        for kind in KINDS:
            its = [match for match in self.matches if match.kind == kind]
            if its:
                found.append((kind, len({match.first for match in its}), len({match.second for match in its})))
        return found

    def table(self) -> Table:
        """Return it as a table."""
        title = f"{len(self.leaking):,} of {len(self.first):,} tracks leak; {self.doubtful:,} more match, in doubt"
        rows = [(kind, f"{first:,}", f"{second:,}") for kind, first, second in self.counts()]
        return Table(title, ("match", "trained on", "benchmark"), rows)


@checked
def leaks(
    trained_on: AnyPath | Iterable[Track],
    benchmark: AnyPath | Iterable[Track],
    *,
    match: Collection[Kind] = (),
    all_splits: bool = False,
    sha256_lists: Sequence[AnyPath] = (),
    data_root: AnyPath = DEFAULT_ROOT,
    workers: Count | None = None,
) -> LeakReport:
    """Find what a benchmark shares with the tracks that a model is trained on.

    Args:
        trained_on: a unified file, or tracks.
        benchmark: a unified file, or tracks.
        match: the kinds of matches that count (see `matching`); by default ids, sha256 and text are looked for, and
            text alone does not count.
        all_splits: whether to compare the val and test splits of `trained_on`, too.
        sha256_lists: published lists of hashes; by default, those in `data_root`.
        data_root: folder of the data, where what listening finds is kept.
        workers: threads that decode; by default, the number of cores.

    Raises:
        UsageError, DataError: a file is missing or broken.
    """
    kinds = set(match) or set(DEFAULT_KINDS)
    published = read_published(hash_lists(sha256_lists, as_path(data_root)))
    sizes = FileSizes()
    second = as_tracks(benchmark)
    compared = array("B")
    matching = Matching(list(second), kinds, published)

    def look(tracks: Sequence[Entry]) -> None:
        flags = [all_splits or track.split not in HELD_OUT for track in tracks]
        compared.extend(flags)
        chosen = list(itertools.compress(tracks, flags))
        if "sha256" in kinds:
            sizes.look(chosen)
        matching.look(chosen)

    everything = as_tracks(trained_on, [look])
    is_compared = np.asarray(compared).astype(bool)
    first = everything.at(is_compared)
    if len(first) < len(everything):
        log.info("%d tracks of the val and test splits are not compared.", len(everything) - len(first))
    sizes.look(list(second) if "sha256" in kinds else ())
    if copies := sizes.hashes_of_copies(lambda: itertools.chain(first.entries(), second)):
        matching.look_again(first.entries(), copies)
    matches = matching.found(first.entries)
    not_heard: list[dict[str, str]] = []
    if BY_LISTENING & kinds:
        heard = listen(itertools.chain(first.entries(), second), workers, as_path(data_root))
        matches += audio_matches(heard[: len(first)], heard[len(first) :], sorted(kinds))
        not_heard = unheard(itertools.chain(first.entries(), second), heard)
    counting: set[Kind] = {*match, *(("decoded",) if "audio" in match else ())} or set(CERTAIN)
    return LeakReport(everything, first, is_compared, second, matches, frozenset(counting), not_heard)
