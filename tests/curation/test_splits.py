"""Splits are exact as far as groups allow, keep groups together and do not depend on order."""

from collections import Counter
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from tests.curation.listed import assign_stable_splits, groups, with_val
from tests.making import make_track
from unisono.curation.groups import identities
from unisono.curation.splits import TENTHS, assign_splits, counts, nearest_subset
from unisono.tracks.track import Track, replace

names = st.sampled_from(["", *"abcdefghijkl"])
splits = st.sampled_from([None, "train", "val", "test"])


@st.composite
def mixes(draw: st.DrawFn) -> list[Track]:
    rows = draw(st.lists(st.tuples(names, names, st.sampled_from(["", "", "x", "y"]), splits), max_size=40))
    return [
        make_track(
            id=f"d_{number}",
            audio_path=f"/{number}.mp3",
            caption="a",
            duration=1,
            recording=recording,
            artist_id=artist,
            sha256=sha256,
            split=split,
        )
        for number, (recording, artist, sha256, split) in enumerate(rows)
    ]


def test_exact_where_groups_are_single():
    tracks = [
        make_track(id=f"d_{n}", audio_path=f"/{n}", caption="a", duration=1, recording=f"r:{n}") for n in range(10_000)
    ]
    parts = Counter(track.split for track in assign_splits(tracks, seed=42, split_by="upstream"))
    assert parts == {"train": 8000, "val": 1000, "test": 1000}


@given(st.integers(0, 200))
def test_counts_add_up_and_are_nearest(total):
    shares = counts(total)
    assert sum(shares.values()) == total
    assert all(abs(shares[split] - total * tenths / 10) < 1 for split, tenths in TENTHS.items())


@given(mixes(), st.sampled_from(["upstream", "seed"]))
def test_no_identity_stands_on_two_sides(tracks, split_by):
    side: dict[tuple[str, str], str] = {}
    for track in assign_splits(tracks, seed=1, split_by=split_by):
        for identity in identities(track):
            assert side.setdefault(identity, track.split) == track.split


@given(mixes(), st.randoms(use_true_random=False), st.sampled_from(["upstream", "seed"]))
def test_order_does_not_matter_and_is_kept(tracks, random, split_by):
    shuffled = random.sample(tracks, len(tracks))
    once = assign_splits(tracks, seed=5, split_by=split_by)
    again = assign_splits(shuffled, seed=5, split_by=split_by)
    assert [track.id for track in again] == [track.id for track in shuffled]
    assert sorted(once, key=lambda track: track.id) == sorted(again, key=lambda track: track.id)


@given(mixes())
def test_upstream_splits_are_honoured_or_held_out_further(tracks):
    strictness = {"train": 0, "val": 1, "test": 2}
    for before, after in zip(tracks, assign_splits(tracks, seed=5, split_by="upstream"), strict=True):
        if before.split is not None:
            assert strictness[after.split] >= strictness[before.split]
            if len(identities(before)) == 1 and not before.recording:
                assert after.split == before.split


def test_upstream_splits_are_ignored_when_drawing_all():
    tracks = [make_track(id=f"d_{n}", audio_path=f"/{n}", caption="a", duration=1, split="test") for n in range(100)]
    parts = Counter(track.split for track in assign_splits(tracks, seed=0, split_by="seed"))
    assert parts == {"train": 80, "val": 10, "test": 10}


@given(st.lists(st.integers(1, 9), max_size=9), st.integers(0, 20))
def test_nearest_subset_is_nearest(sizes, target):
    chosen = nearest_subset(range(len(sizes)), sizes, target)
    assert len(set(chosen)) == len(chosen)
    reachable = {sum(subset) for n in range(len(sizes) + 1) for subset in combinations(sizes, n)}
    found = sum(sizes[item] for item in chosen)
    assert abs(found - target) == min(abs(total - target) for total in reachable)


def test_upstream_conflicts_and_unassigned_relatives_join_the_held_out_side():
    def track(name, split=None, **identity):
        return make_track(id=name, audio_path=f"/{name}", caption="a", duration=1, split=split, **identity)

    tracks = [
        track("a", "train", artist_id="x", sha256="s"),
        track("b", "test", artist_id="y", sha256="s"),
        track("c", artist_id="y"),
        track("d", "val", artist_id="z"),
    ]
    assert [t.split for t in assign_splits(tracks, seed=0, split_by="upstream")] == ["test", "test", "test", "val"]


STRICTNESS = {"train": 0, "val": 1, "test": 2}


@given(
    mixes(),
    st.lists(st.sampled_from("ABC"), min_size=40, max_size=40),
    st.sets(st.sampled_from("ABC")),
    st.integers(0, 3),
)
def test_adding_a_dataset_moves_nothing_out_of_test_or_val(tracks, names, first, seed):
    tracks = [replace(track, dataset=name) for track, name in zip(tracks, names, strict=False)]
    some = [track for track in tracks if track.dataset in first]
    before = {track.id: track.split for track in assign_stable_splits(some, seed=seed)}
    after = {track.id: track.split for track in assign_stable_splits(tracks, seed=seed)}
    for name, split in before.items():
        assert STRICTNESS[after[name]] >= STRICTNESS[split]


@given(mixes(), st.lists(st.sampled_from("ABC"), min_size=40, max_size=40), st.randoms(use_true_random=False))
def test_stable_splits_join_groups_hold_out_datasets_and_know_no_order(tracks, names, random):
    tracks = [replace(track, dataset=name) for track, name in zip(tracks, names, strict=False)]
    assigned = assign_stable_splits(tracks, seed=1, held_out=["B"])
    side: dict[tuple[str, str], str] = {}
    for before, after in zip(tracks, assigned, strict=True):
        for identity in identities(after):
            assert side.setdefault(identity, after.split) == after.split
        assert before.dataset != "B" or after.split == "test"
        assert STRICTNESS[after.split] >= STRICTNESS[before.split or "train"]
    shuffled = random.sample(tracks, len(tracks))
    again = assign_stable_splits(shuffled, seed=1, held_out=["B"])
    assert sorted(again, key=lambda track: track.id) == sorted(assigned, key=lambda track: track.id)


def test_stable_splits_are_exact_in_every_dataset_and_alike_for_shared_artists():
    tracks = [
        make_track(
            id=f"{name}_{n}", audio_path=f"/{name}/{n}", caption="a", duration=1, dataset=name, artist_id=f"artist:{n}"
        )
        for name in "AB"
        for n in range(0 if name == "A" else 500, 1000 if name == "A" else 1500)
    ]
    assigned = assign_stable_splits(tracks, seed=42)
    for name in "AB":
        parts = Counter(track.split for track in assigned if track.dataset == name)
        assert abs(parts["test"] - 100) <= 20 and abs(parts["val"] - 100) <= 25 and abs(parts["train"] - 800) <= 35
    alone = Counter(track.split for track in assign_stable_splits(tracks[:1000], seed=42))
    assert alone == {"train": 800, "val": 100, "test": 100}


def test_excerpts_of_one_video_stay_together():
    tracks = [
        make_track(id=f"m_{n}", audio_path=f"/{n}", caption="a", duration=1, recording=f"youtube:abc-{n // 10}@{n}")
        for n in range(100)
    ]
    assigned = assign_splits(tracks, seed=0, split_by="seed")
    assert {len({track.split for track in assigned[at : at + 10]}) for at in range(0, 100, 10)} == {1}


@given(mixes())
def test_a_val_part_is_drawn_where_there_is_none(tracks: list[Track]) -> None:
    tracks = [replace(track, split="test" if track.split == "test" else "train") for track in tracks]
    before = assign_stable_splits(tracks, seed=1)
    after = with_val(before, seed=1)
    group_of = groups(before)
    in_train = {group for group, track in zip(group_of, before, strict=True) if track.split == "train"}
    split_of: dict[int, set[str]] = {}
    for group, was, now in zip(group_of, before, after, strict=True):
        split_of.setdefault(group, set()).add(str(now.split))
        assert (was.split, now.split) in {("test", "test"), ("train", "train"), ("train", "val")}
    assert all(len(its_splits) == 1 for its_splits in split_of.values()), "groups stay whole"
    in_val = {group for group, its_splits in split_of.items() if its_splits == {"val"}}
    assert len(in_train - in_val) >= min(2, len(in_train)), "train is left something to tell apart"
    assert bool(in_val) == (len(in_train) > 2)
    shuffled = with_val(before[::-1], seed=1)
    assert {track.id: track.split for track in shuffled} == {track.id: track.split for track in after}
    assert with_val(after, seed=2) == after, "a val part that is there is kept"


def test_the_val_part_is_a_tenth_and_seeded() -> None:
    tracks = [
        make_track(id=f"d_{n}", audio_path=f"/{n}", caption="a", duration=1, recording=f"r:{n // 7}", split="train")
        for n in range(700)
    ]
    drawn = [{track.id for track in with_val(tracks, seed=seed) if track.split == "val"} for seed in (1, 1, 2)]
    assert len(drawn[0]) == 70 and drawn[0] == drawn[1] != drawn[2]
