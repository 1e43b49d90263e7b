"""Which tracks of a mix are kept: filters by duration and licence, then a sample."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np
from numpy.typing import NDArray

from unisono.base.errors import UsageError
from unisono.base.log import log
from unisono.base.tally import Dropped, Tally
from unisono.curation.filters import by_duration
from unisono.curation.licensing import LicenseRule, by_license
from unisono.curation.sampling import Stratification, sample
from unisono.tracks.stored import StoredTracks
from unisono.tracks.track import Split, Track, batched

AT_A_TIME = 10_000


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

    def apply(self, tracks: Sequence[Track], tally: Tally) -> Sequence[Track]:
        """Return the tracks that are kept, and tally what is kept and dropped."""
        kept = self._filtered(tracks, tally)
        if self.max_samples is not None or self.samples_per_dataset is not None:
            kept = self._sampled(kept, tally)
        tally.kept.update(track.dataset for track in kept)
        return kept

    def _filtered(self, tracks: Sequence[Track], tally: Tally) -> Sequence[Track]:
        """Leave out what is too short or too long, and what its licence does not allow, a part at a time."""
        places = array("q")
        too_short_or_long, not_allowed = list[tuple[str, Dropped]](), list[tuple[str, Dropped]]()
        begin = 0
        for part in batched(tracks, AT_A_TIME):
            kept, by_its_duration = by_duration(part, self.min_duration_s, self.max_duration_s)
            kept, by_its_license = by_license(kept, self.licenses)
            if by_its_duration or by_its_license:
                dataset_of = {track.id: track.dataset for track in part}
                too_short_or_long += [(dataset_of[item.id], item) for item in by_its_duration]
                not_allowed += [(dataset_of[item.id], item) for item in by_its_license]
                for item in (*by_its_duration, *by_its_license):
                    del dataset_of[item.id]
                places.extend(begin + at for at, track in enumerate(part) if track.id in dataset_of)
            else:
                places.extend(range(begin, begin + len(part)))
            begin += len(part)
        tally.dropped += [*too_short_or_long, *not_allowed]
        return _at(tracks, np.asarray(places))

    def _sampled(self, tracks: Sequence[Track], tally: Tally) -> Sequence[Track]:
        drawn = sample(
            [_Drawable(track.id, track.dataset, track.duration, track.split) for track in tracks],
            seed=self.seed,
            max_samples=self.max_samples,
            samples_per_dataset=self.samples_per_dataset,
            stratify_by=self.stratify_by,
        )
        ids = {track.id for track in drawn}
        places = array("q")
        for at, track in enumerate(tracks):
            if track.id in ids:
                places.append(at)
            else:
                tally.drop(track.dataset, Dropped(id=track.id, reason="not in the sample", fault=False))
        return _at(tracks, np.asarray(places))


class _Drawable(msgspec.Struct, frozen=True, gc=False):
    """What of a track a sample depends on."""

    id: str
    dataset: str
    duration: float
    split: Split | None


def _at(tracks: Sequence[Track], places: NDArray[np.int64]) -> Sequence[Track]:
    """Return the tracks at some places."""
    if len(places) == len(tracks):
        return tracks
    return tracks[places] if isinstance(tracks, StoredTracks) else [tracks[place] for place in places]
