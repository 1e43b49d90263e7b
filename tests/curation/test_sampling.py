"""Samples are exact, balanced, nested and independent of order."""

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.making import make_track
from unisono.curation.filters import by_duration
from unisono.curation.sampling import duration_strata, sample
from unisono.tracks.track import Split, Track


@st.composite
def mixes(draw: st.DrawFn) -> list[Track]:
    sizes = draw(st.lists(st.integers(0, 25), min_size=1, max_size=4))
    durations = st.sampled_from([0.5, 59.999, 60.0, 100.0, 179.9, 180.0, 2000.0])
    return [
        make_track(
            id=f"d{dataset}_{number}",
            audio_path="/a.mp3",
            caption="a",
            duration=draw(durations),
            dataset=f"d{dataset}",
        )
        for dataset, size in enumerate(sizes)
        for number in range(size)
    ]


def ids(tracks: list[Track]) -> set[str]:
    return {track.id for track in tracks}


stratifications = st.sampled_from([None, "dataset", "duration"])


@given(mixes(), st.integers(0, 60), st.integers(0, 60), stratifications, st.integers(0, 3))
def test_total_is_exact_and_samples_are_nested(tracks, smaller, larger, stratify_by, seed):
    smaller, larger = sorted((smaller, larger))
    small = sample(tracks, seed=seed, max_samples=smaller, stratify_by=stratify_by)
    large = sample(tracks, seed=seed, max_samples=larger, stratify_by=stratify_by)
    assert len(small) == min(smaller, len(tracks))
    assert ids(small) <= ids(large) <= ids(tracks)


@given(mixes(), st.randoms(use_true_random=False), st.integers(0, 60), stratifications, st.none() | st.integers(0, 9))
def test_order_does_not_matter_and_is_kept(tracks, random, wanted, stratify_by, per_dataset):
    def draw(tracks):
        return sample(tracks, seed=1, max_samples=wanted, samples_per_dataset=per_dataset, stratify_by=stratify_by)

    shuffled = random.sample(tracks, len(tracks))
    assert ids(draw(tracks)) == ids(draw(shuffled))
    drawn = draw(shuffled)
    assert drawn == [track for track in shuffled if track.id in ids(drawn)]


@given(mixes(), st.integers(0, 60), st.sampled_from(["dataset", "duration"]))
def test_shares_are_equal_as_far_as_the_strata_go(tracks, wanted, stratify_by):
    def stratum_of(track):
        return duration_strata(np.array([track.duration]))[0] if stratify_by == "duration" else track.dataset

    available = Counter(map(stratum_of, tracks))
    shares = Counter(map(stratum_of, sample(tracks, seed=7, max_samples=wanted, stratify_by=stratify_by)))
    highest = max((shares[name] for name in available), default=0)
    for name in available:  # a stratum below the level of the others has given all it has
        assert shares[name] >= highest - 1 or shares[name] == available[name]


@given(mixes(), st.integers(0, 9))
def test_samples_per_dataset(tracks, wanted):
    available = Counter(track.dataset for track in tracks)
    shares = Counter(track.dataset for track in sample(tracks, seed=3, samples_per_dataset=wanted))
    assert shares == Counter({name: min(wanted, count) for name, count in available.items()})


def test_seed_changes_the_sample_and_duration_bounds_are_as_documented():
    tracks = [make_track(id=f"x_{n}", audio_path="/a", caption="a", duration=1.0) for n in range(200)]
    assert ids(sample(tracks, seed=1, max_samples=50)) != ids(sample(tracks, seed=2, max_samples=50))
    assert duration_strata(np.array([59.99, 60, 179.99, 180])).tolist() == [0, 1, 1, 2]


@given(mixes(), st.none() | st.floats(0, 200), st.none() | st.floats(0, 200))
def test_filter_by_duration_loses_nothing(tracks, minimum, maximum):
    kept, dropped = by_duration(tracks, minimum, maximum)
    assert sorted([track.id for track in kept] + [item.id for item in dropped]) == sorted(ids(tracks))
    assert all(
        (minimum is None or track.duration >= minimum) and (maximum is None or track.duration <= maximum)
        for track in kept
    )
    assert not any(item.fault for item in dropped)


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 60), st.integers(0, 200))
def test_a_plain_sample_keeps_the_proportions_of_the_splits(train, val, unknown, wanted):
    sizes: dict[Split | None, int] = {"train": train, "val": val, None: unknown}
    tracks = [
        make_track(id=f"{split}_{n}", audio_path="/a", caption="a", duration=1, split=split)
        for split, size in sizes.items()
        for n in range(size)
    ]
    drawn = Counter(track.split for track in sample(tracks, seed=4, max_samples=wanted))
    assert drawn.total() == min(wanted, len(tracks))
    for split, size in sizes.items():
        assert abs(drawn[split] - size * drawn.total() / max(len(tracks), 1)) <= 1.5


def test_80_10_10_stays_so():
    tracks = [
        make_track(
            id=f"x_{n}",
            audio_path="/a",
            caption="a",
            duration=1,
            split="train" if n % 10 < 8 else "val" if n % 10 < 9 else "test",
        )
        for n in range(10_000)
    ]
    assert Counter(track.split for track in sample(tracks, seed=0, max_samples=1000)) == {
        "train": 800,
        "val": 100,
        "test": 100,
    }
