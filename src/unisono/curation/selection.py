"""Which tracks of a mix are kept: filters by duration and licence, then a sample."""

import functools
import itertools
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from unisono.base.errors import UsageError
from unisono.base.log import log
from unisono.base.tally import Dropped, DroppedList, Tally
from unisono.curation.filters import too_short_or_long
from unisono.curation.licensing import LicenseRule
from unisono.curation.sampling import Drawing, Stratification
from unisono.tracks.record import Entry
from unisono.tracks.stored import StoredTracks


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The rules by which tracks are kept; each is off by default.

    Raises:
        UsageError: the rules contradict each other.
    """

    min_duration_s: float | None = None
    max_duration_s: float | None = None
    licenses: LicenseRule = field(default_factory=LicenseRule)
    max_samples: int | None = None
    samples_per_dataset: int | None = None
    stratify_by: Stratification | None = None
    """What a sample of `max_samples` has equal shares of."""
    seed: int = 42

    def __post_init__(self) -> None:
        low, high = self.min_duration_s, self.max_duration_s
        if low is not None and high is not None and low > high:
            raise UsageError(
                f"min_duration {low:g} is above the maximum duration {high:g}: no track can meet both.",
                parameter="min_duration",
            )
        if self.stratify_by and self.max_samples is None:
            log.warning("--stratify-by shares out --max-samples; without that, it changes nothing.")

    def begin(self) -> "Selecting":
        """Return what looks at the tracks of a mix as they are read."""
        return Selecting(self)


class Selecting:
    """Selects tracks of a mix by what it noted of them as they were read."""

    def __init__(self, rule: Selection) -> None:
        self._rule = rule
        self._drawing = None if rule.max_samples is rule.samples_per_dataset is None else Drawing(rule.seed)
        self._objection_to = functools.cache(rule.licenses.objection)  # licences are few
        self._count = 0
        self._refused = array("q")
        self._too_short_or_long, self._not_allowed = DroppedList(), DroppedList()

    def look(self, tracks: Sequence[Entry]) -> None:
        """Note further tracks, and leave out what is too short or too long, and what its licence does not allow."""
        rule = self._rule
        if self._drawing:
            self._drawing.look(tracks)
        for at, track in enumerate(tracks, self._count):
            if left_out := too_short_or_long(track, rule.min_duration_s, rule.max_duration_s):
                self._refused.append(at)
                self._too_short_or_long.extend([(track.dataset, left_out)])
            elif objection := self._objection_to(track.license):
                self._refused.append(at)
                left_out = Dropped(id=track.id, reason=objection, detail=track.license, fault=False)
                self._not_allowed.extend([(track.dataset, left_out)])
        self._count += len(tracks)

    def apply(self, tracks: StoredTracks, tally: Tally) -> StoredTracks:
        """Return the tracks that are kept, of all that were looked at, and tally what is dropped."""
        rule = self._rule
        tally.dropped.extend(itertools.chain(self._too_short_or_long, self._not_allowed))
        kept = places = np.delete(np.arange(self._count), np.asarray(self._refused))
        if self._drawing:
            kept = self._drawing.drawn(
                places,
                max_samples=rule.max_samples,
                samples_per_dataset=rule.samples_per_dataset,
                stratify_by=rule.stratify_by,
            )
            for track in tracks[np.setdiff1d(places, kept, assume_unique=True)].entries():
                tally.drop(track.dataset, Dropped(id=track.id, reason="not in the sample", fault=False))
        return tracks if len(kept) == len(tracks) else tracks[kept]
