"""The releases that the demo lays out are what the product's parsers read, and keep compositions apart."""

import csv
import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from demo.arrange import arrange, plan
from demo.casting import CLIPS_PER_WORK, Item, cast, with_facts
from demo.layouts import fma, jamendo_max_caps, song_describer
from demo.scores import Work
from tests.demo import scores
from unisono.base.seeded import rng
from unisono.base.tally import Dropped
from unisono.curation.splits import assign_splits
from unisono.sources import registry as datasets
from unisono.tracks.track import Track

SEED, SECONDS, WORKS = 42, 9.0, 40


def made_up_works() -> list[Work]:
    patterns = [scores.tune("major"), scores.tune("minor"), scores.chorale()]
    return [replace(patterns[number % 3], source=f"made-up/{number}.abc") for number in range(WORKS)]


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The three releases, with the facts but without the music: a parser never looks at audio."""
    folder = tmp_path_factory.mktemp("demo") / "raw"
    items = {}
    for dataset, wanted in cast(made_up_works(), SEED, folder).items():
        items[dataset] = [with_made_up_facts(item) for item in wanted]
    song_describer.write(folder / "song_describer", items["song_describer"], SEED)
    fma.write(folder / "fma", items["fma"], SEED)
    jamendo_max_caps.write(folder / "jamendo_max_caps", items["jamendo_max_caps"], SEED, SECONDS)
    return folder


def with_made_up_facts(item: Item) -> Item:
    facts = []
    for excerpt in item.recording.excerpts:
        random_ = rng(SEED, excerpt.work.source, excerpt.number)
        clip = arrange(excerpt.work, plan(excerpt.work, excerpt.lead, random_), SECONDS, random_)
        facts.append(asdict(clip.facts))
    item.recording.facts_path.parent.mkdir(parents=True, exist_ok=True)
    item.recording.facts_path.write_text(json.dumps(facts))
    item.recording.path.parent.mkdir(parents=True, exist_ok=True)
    item.recording.path.write_bytes(b"music" * 100)
    return with_facts(item)


def parsed(raw: Path, name: str) -> list[Track]:
    found = list(datasets.get(name).records(raw / name))
    assert not [item for item in found if isinstance(item, Dropped)]
    return [item for item in found if isinstance(item, Track)]


def excerpts(raw: Path, name: str) -> int:
    return sum(len(json.loads(path.read_text())) for path in (raw.parent / "facts").glob(f"{name}_*.json"))


@pytest.mark.parametrize(("name", "broken"), [("song_describer", 2), ("fma", 3), ("jamendo_max_caps", 3)])
def test_the_parser_reads_every_track(raw: Path, name: str, broken: int) -> None:
    tracks = parsed(raw, name)
    assert len(tracks) == excerpts(raw, name) + broken
    assert excerpts(raw, name) > 0
    assert len({track.id for track in tracks}) == len(tracks)
    with_audio = {path.name for path in (raw / name).rglob("*.mp3") if path.stat().st_size == 500}
    assert with_audio == {Path(track.audio_path).name for track in tracks} & with_audio


def test_every_clip_is_wanted_once(raw: Path) -> None:
    wanted = [
        (excerpt.work.source, excerpt.number)
        for items in cast(made_up_works(), SEED, raw).values()
        for item in items
        for excerpt in item.recording.excerpts
    ]
    assert len(wanted) == len(set(wanted)) == WORKS * CLIPS_PER_WORK


def test_song_describer_has_several_captions_of_people(raw: Path) -> None:
    tracks = [track for track in parsed(raw, "song_describer") if "missing" not in track.caption]
    assert all(track.captions[0].origin == "human" for track in tracks)
    described = [track for track in tracks if track.artist]
    assert all(3 <= len(set(track.texts)) <= 5 for track in described)
    assert all(track.tags for track in described)
    assert {str(valid) for track in described for valid in track.extra["caption_valid"]} == {"True", "None", "False"}


def test_fma_has_tags_and_no_captions_and_all_columns(raw: Path) -> None:
    with (raw / "fma" / "fma_metadata" / "tracks.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert {len(row) for row in rows} == {53}
    tracks = parsed(raw, "fma")
    assert {track.caption for track in tracks} == {""}
    assert {track.split for track in tracks} == {"train", "val", "test"}
    assert {track.genre for track in tracks} == {"Classical", "Folk"}
    assert all(track.tags for track in tracks)
    assert not any(track.artist.lower() in track.tags for track in tracks)


def test_jamendo_excerpts_differ_in_what_is_played(raw: Path) -> None:
    tracks = parsed(raw, "jamendo_max_caps")
    by_file: dict[str, set[float]] = {}
    for track in tracks:
        by_file.setdefault(track.audio_path, set()).add(track.start)
    assert sum(starts == {0.0, SECONDS} for starts in by_file.values()) == excerpts(raw, "jamendo_max_caps") // 2


@pytest.mark.parametrize("seed", range(5))
def test_no_composition_is_on_two_sides(raw: Path, seed: int) -> None:
    """Also where a composition is in both Jamendo datasets."""
    tracks = [track for name in ("song_describer", "fma", "jamendo_max_caps") for track in parsed(raw, name)]
    with_artist = [track for track in tracks if track.artist]
    sides: dict[str, set[str]] = {}
    in_datasets: dict[str, set[str]] = {}
    for track in assign_splits(with_artist, seed=seed, split_by="upstream"):
        sides.setdefault(track.artist, set()).add(str(track.split))
        in_datasets.setdefault(track.artist, set()).add(track.dataset)
    assert len(sides) == WORKS  # an artist is a composition
    assert all(len(splits) == 1 for splits in sides.values())
    assert {"song_describer", "jamendo_max_caps"} in in_datasets.values()
    assert {split for splits in sides.values() for split in splits} == {"train", "val", "test"}


def test_the_same_seed_lays_out_the_same_metadata(raw: Path, tmp_path: Path) -> None:
    items = [with_facts(item) for item in cast(made_up_works(), SEED, raw)["fma"]]
    fma.write(tmp_path, items, SEED)
    again, first = (folder / "fma_metadata" / "tracks.csv" for folder in (tmp_path, raw / "fma"))
    assert again.read_bytes() == first.read_bytes()
