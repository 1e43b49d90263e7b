"""What is one music by any identity stays on one side: compared with brute force, pair by pair."""

from collections import Counter, defaultdict
from itertools import combinations
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.curation.listed import assign_stable_splits, groups
from tests.making import make_track
from unisono.curation.joining import COMMON, further_identities
from unisono.curation.splits import TENTHS, assign_splits, counts
from unisono.curation.splitting import SplitRule, with_splits
from unisono.curation.wording import words
from unisono.tracks.stored import StoredTracks
from unisono.tracks.track import Track

STRICTNESS = {"train": 0, "val": 1, "test": 2}
PUBLISHED = {"jamendo:1": ("aa", "bb"), "jamendo:2": ("bb",), "jamendo:3": ("cc",)}
WORDS = ["slow", "piano", "fast", "drums", "a", "the", "and", "with", "of", "in", "song", "guitar", "calm"]

recordings = st.sampled_from(["", "", "", "jamendo:1", "jamendo:2", "jamendo:3", "r:1", "r:2"])
names = st.sampled_from(["", "", "", "x", "y"])
captions = st.one_of(
    st.just("short one"),
    st.lists(st.sampled_from(WORDS), min_size=9, max_size=13).map(" ".join),
    st.sampled_from([" ".join(WORDS), " ".join(WORDS[1:]), "The very same words, as it happens"]),
)


@st.composite
def mixes(draw: st.DrawFn, most: int = 18) -> tuple[list[Track], list[tuple[int, int]]]:
    """Tracks of three datasets, and pairs of them that sound the same."""
    tracks = [
        make_track(
            id=f"d_{number}",
            audio_path=f"/{number}.mp3",
            caption=draw(captions),
            duration=1,
            dataset=draw(st.sampled_from("ABC")),
            recording=draw(recordings),
            artist_id=draw(names) and draw(names),
            artist=draw(names),
            title=draw(names),
            sha256=draw(st.sampled_from(["", "", "", "", "CC", "dd"])),
            split=draw(st.sampled_from([None, None, None, "train", "val", "test"])),
            caption_origin=draw(st.sampled_from(["human", "model", "tags"])),
        )
        for number in range(draw(st.integers(0, most)))
    ]
    places = st.integers(0, max(0, len(tracks) - 1))
    alike = draw(st.lists(st.tuples(places, places), max_size=3)) if tracks else []
    return tracks, [(one, other) for one, other in alike if one != other]


def told(tracks: list[Track]) -> Counter[tuple[str, frozenset[str]]]:
    """How many recordings of each dataset have each caption that says enough."""
    having = defaultdict(set)
    for track in tracks:
        if track.captions[0].origin != "tags" and len(words(track.caption)) >= 5:
            having[track.dataset, frozenset(words(track.caption))].add(track.recording or track.id)
    return Counter({key: len(recordings) for key, recordings in having.items()})


def same(one: Track, other: Track, common: Counter) -> bool:
    hashes = [
        {*([track.sha256.lower()] if track.sha256 else []), *PUBLISHED.get(track.recording, ())}
        for track in (one, other)
    ]
    sets = [frozenset(words(track.caption)) for track in (one, other)]
    telling = all(
        0 < common[track.dataset, its_words] < COMMON and track.captions[0].origin != "tags"
        for track, its_words in zip((one, other), sets, strict=True)
    )
    return (
        bool(one.recording and one.recording == other.recording)
        or bool(one.artist_id and one.artist_id == other.artist_id)
        or bool(one.title and one.artist and (one.title, one.artist) == (other.title, other.artist))
        or bool(hashes[0] & hashes[1])
        or (telling and 10 * len(sets[0] & sets[1]) >= 9 * len(sets[0] | sets[1]))
    )


def further(tracks: list[Track], alike: list[tuple[int, int]]):
    return listed(tracks, further_identities(tracks, PUBLISHED, captions=True, sounds=alike))


def listed(tracks: list[Track], of) -> list[tuple]:
    """Return the further identities of each track."""
    return [tuple(of(at, track)) for at, track in enumerate(tracks)]


@given(mixes())
def test_groups_are_those_of_all_pairs(mix) -> None:
    tracks, alike = mix
    common = told(tracks)
    side = list(range(len(tracks)))
    pairs = [(a, b) for a, b in combinations(range(len(tracks)), 2) if same(tracks[a], tracks[b], common)] + alike
    for a, b in pairs * len(tracks):  # until nothing changes
        if side[a] != side[b]:
            side = [side[a] if at == side[b] else at for at in side]
    found = groups(tracks, further(tracks, alike))
    assert {(a, b) for a, b in combinations(range(len(tracks)), 2) if side[a] == side[b]} == {
        (a, b) for a, b in combinations(range(len(tracks)), 2) if found[a] == found[b]
    }


@given(mixes(), st.sets(st.sampled_from("ABC")), st.integers(0, 3))
def test_no_group_is_split_and_nothing_held_out_is_trained_on(mix, held_out, seed) -> None:
    tracks, alike = mix
    joined = further(tracks, alike)
    assigned = assign_stable_splits(tracks, seed=seed, held_out=held_out, further=joined)
    sides = defaultdict(set)
    for track, group in zip(assigned, groups(tracks, joined), strict=True):
        sides[group].add(track.split)
        assert track.dataset not in held_out or track.split == "test"
    assert all(len(side) == 1 for side in sides.values())
    for before, after in zip(tracks, assigned, strict=True):
        assert STRICTNESS[after.split] >= STRICTNESS[before.split or "train"]


@given(mixes(), st.randoms(use_true_random=False), st.sets(st.sampled_from("ABC")))
def test_order_does_not_matter(mix, random, held_out) -> None:
    tracks, alike = mix
    order = random.sample(range(len(tracks)), len(tracks))
    shuffled = [tracks[at] for at in order]
    place = {at: new for new, at in enumerate(order)}
    its_alike = [(place[other], place[one]) for one, other in reversed(alike)]
    once = assign_stable_splits(tracks, seed=1, held_out=held_out, further=further(tracks, alike))
    again = assign_stable_splits(shuffled, seed=1, held_out=held_out, further=further(shuffled, its_alike))
    assert {track.id: track.split for track in once} == {track.id: track.split for track in again}


@given(mixes(), st.sets(st.sampled_from("ABC")), st.integers(0, 3))
def test_adding_datasets_moves_nothing_out_of_test_or_val(mix, first, seed) -> None:
    tracks, alike = mix
    kept = [at for at, track in enumerate(tracks) if track.dataset in first]
    place = {at: new for new, at in enumerate(kept)}
    some = [tracks[at] for at in kept]
    its_alike = [(place[one], place[other]) for one, other in alike if one in place and other in place]
    before = assign_stable_splits(some, seed=seed, further=further(some, its_alike))
    after = {track.id: track.split for track in assign_stable_splits(tracks, seed=seed, further=further(tracks, alike))}
    for track in before:
        assert STRICTNESS[after[track.id]] >= STRICTNESS[track.split]


@given(mixes(), st.randoms(use_true_random=False), st.integers(0, 3))
def test_with_the_splits_of_earlier_no_track_at_all_moves_out_of_test_or_val(mix, random, seed) -> None:
    tracks, alike = mix
    kept = sorted(random.sample(range(len(tracks)), random.randint(0, len(tracks))))
    place = {at: new for new, at in enumerate(kept)}
    some = [tracks[at] for at in kept]
    its_alike = [(place[one], place[other]) for one, other in alike if one in place and other in place]
    before = {
        track.id: track.split for track in assign_stable_splits(some, seed=seed, further=further(some, its_alike))
    }
    after = assign_stable_splits(tracks, seed=seed, kept=before, further=further(tracks, alike))
    for track in after:
        assert STRICTNESS[track.split] >= STRICTNESS[before.get(track.id, "train")]


@settings(max_examples=200)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=40), st.integers(0, 5))
def test_parts_are_off_by_no_more_than_half_of_the_largest_group(sizes, seed) -> None:
    tracks = [
        make_track(
            id=f"d_{group}_{n}", audio_path=f"/{group}_{n}", caption="a", duration=1, artist_id=f"artist:{group}"
        )
        for group, size in enumerate(sizes)
        for n in range(size)
    ]
    for assigned in (
        assign_splits(tracks, seed=seed, split_by="seed"),
        assign_stable_splits(tracks, seed=seed),
    ):
        parts, wanted = Counter(track.split for track in assigned), counts(len(tracks))
        assert abs(parts["test"] - wanted["test"]) <= max(sizes) / 2
        assert abs(parts["val"] - wanted["val"]) <= max(sizes) / 2
        assert abs(parts["train"] - wanted["train"]) <= max(sizes)


@given(st.lists(st.integers(0, 60), min_size=1, max_size=6), st.integers(0, 3))
def test_each_dataset_is_exact_and_the_whole_is_off_by_rounding_alone(sizes, seed) -> None:
    tracks = [
        make_track(id=f"{name}_{n}", audio_path=f"/{name}_{n}", caption="a", duration=1, dataset=str(name))
        for name, size in enumerate(sizes)
        for n in range(size)
    ]
    assigned = assign_stable_splits(tracks, seed=seed)
    for name, size in enumerate(sizes):
        parts = Counter(track.split for track in assigned if track.dataset == str(name))
        assert parts == Counter(counts(size))
    whole = Counter(track.split for track in assigned)
    for split, tenths in TENTHS.items():
        assert abs(whole[split] - tenths / 10 * len(tracks)) < len(sizes)


def test_captions_of_many_recordings_join_nothing() -> None:
    def mix(count: int) -> list[Track]:
        return [
            make_track(
                id=f"d_{n}", audio_path=f"/{n}", caption="The very same five words", duration=1, caption_origin="model"
            )
            for n in range(count)
        ]

    for count, expected in ((COMMON - 1, 1), (COMMON, COMMON)):
        tracks = mix(count)
        assert len(set(groups(tracks, listed(tracks, further_identities(tracks, {}, captions=True))))) == expected
        assert len(set(groups(tracks, listed(tracks, further_identities(tracks, {}))))) == count


def test_only_captions_that_people_or_models_wrote_join_tracks_and_moves_are_counted(tmp_path: Path) -> None:
    def pair(origin: str | None) -> list[Track]:
        return [
            make_track(
                id=f"d_{n}", audio_path=f"/{n}", caption="The very same five words", duration=1, caption_origin=origin,
                dataset="d", split=split,
            )
            for n, split in enumerate(("train", "test"))
        ]  # fmt: skip

    for origin, joined in (("human", 1), ("model", 1), ("tags", 0), (None, 0)):
        tracks, moved = with_splits(StoredTracks(pair(origin), tmp_path), [], SplitRule(match=["text"]))
        assert sum(track.split == "train" for track in tracks) == 1 - joined
        assert moved == ({"text: alike captions": 1} if joined else {})
