"""Which tracks of a mix are kept: filters by duration and licence, then a sample."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from unisono.base.errors import UsageError
from unisono.base.log import log
from unisono.base.tally import Dropped, Tally
from unisono.curation.filters import by_duration
from unisono.curation.licensing import LicenseRule, by_license
from unisono.curation.sampling import Stratification, sample
from unisono.tracks.track import Track


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

    def apply(self, tracks: Sequence[Track], tally: Tally) -> list[Track]:
        """Return the tracks that are kept, and tally what is kept and dropped."""
        kept, too_short_or_long = by_duration(tracks, self.min_duration_s, self.max_duration_s)
        kept, not_allowed = by_license(kept, self.licenses)
        if left_out := [*too_short_or_long, *not_allowed]:
            dataset_of = {track.id: track.dataset for track in tracks}
            for item in left_out:
                tally.drop(dataset_of[item.id], item)
        drawn = sample(
            kept,
            seed=self.seed,
            max_samples=self.max_samples,
            samples_per_dataset=self.samples_per_dataset,
            stratify_by=self.stratify_by,
        )
        if len(drawn) < len(kept):
            ids = {track.id for track in drawn}
            for track in kept:
                if track.id not in ids:
                    tally.drop(track.dataset, Dropped(id=track.id, reason="not in the sample", fault=False))
        tally.kept.update(track.dataset for track in drawn)
        return drawn
