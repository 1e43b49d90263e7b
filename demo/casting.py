"""Assign compositions to datasets, and decide which recordings are made of each.

A composition is an artist: all its arrangements carry the same artist id. Whatever keeps an artist on one side of a split
therefore keeps a composition there. The two Jamendo datasets share their artists, and some compositions are in both; FMA
numbers its artists itself, so its compositions are in no other dataset.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from demo.arrange import Facts, deal
from demo.render import Excerpt, Recording, facts_of
from demo.scores import Work
from unisono.base.seeded import rank_key, rng

DatasetName = Literal["song_describer", "fma", "jamendo_max_caps"]
Format = tuple[int, int]
"""Sample rate in Hz and number of channels."""

CLIPS_PER_WORK = 4
CAST: tuple[tuple[str, int], ...] = (("fma", 7), ("jamendo_max_caps", 5), ("song_describer", 5), ("both", 3))
"""Compositions of each dataset, out of 20; `both` are in Song Describer and in JamendoMaxCaps."""
FORMATS: dict[DatasetName, tuple[Format, ...]] = {
    "song_describer": ((44_100, 2), (48_000, 1), (24_000, 1), (24_000, 1), (24_000, 1)),
    "fma": ((44_100, 2), (44_100, 1), (22_050, 1), (22_050, 1), (22_050, 1)),
    "jamendo_max_caps": ((44_100, 1), (24_000, 1), (24_000, 1), (24_000, 1)),
}
"""Formats of the audio of each release; mostly low sample rates, which are fast to encode."""


@dataclass(frozen=True)
class Item:
    """One track of a release."""

    track_id: int
    artist_id: int
    work: Work
    number: int
    """Number of the track among those of its artist."""
    recording: Recording
    facts: list[Facts] = field(default_factory=list)
    """One for each excerpt, once rendered."""

    @property
    def artist(self) -> str:
        """The artist's name: the composition's source."""
        return f"{self.work.collection} ({Path(self.work.source).stem})"

    @property
    def title(self) -> str:
        """The composition and who plays it."""
        arrangements = []
        for facts in self.facts:
            others = [name for name in (facts.accompanist, "drums" if facts.drums else None) if name]
            arrangements.append(", ".join([facts.lead, *others]))
        return f"{self.work.title} [{' / '.join(arrangements)}]"

    @property
    def song_s(self) -> float:
        """Duration of the whole work in seconds at the first excerpt's tempo; the file is an excerpt of it."""
        return round(max(60.0, len(self.work.parts[0]) / max(self.facts[0].notes_per_second, 0.5)), 1)


def cast(works: list[Work], seed: int, raw: Path) -> dict[DatasetName, list[Item]]:
    """Distribute the compositions among the datasets and list the recordings to make of them."""
    shares = [name for name, share in CAST for _ in range(share)]
    rng(seed, "cast").shuffle(shares)
    items: dict[DatasetName, list[Item]] = {"song_describer": [], "fma": [], "jamendo_max_caps": []}
    for number, (work, hand) in enumerate(zip(works, deal(seed, works, CLIPS_PER_WORK), strict=True)):
        excerpts = [Excerpt(work, index, lead) for index, lead in enumerate(hand)]
        share = shares[number % len(shares)]
        half = CLIPS_PER_WORK // 2
        if share == "fma":
            wanted: list[tuple[DatasetName, list[Excerpt]]] = [("fma", [excerpt]) for excerpt in excerpts]
        elif share == "song_describer":
            wanted = [("song_describer", [excerpt]) for excerpt in excerpts]
        elif share == "jamendo_max_caps":
            wanted = [("jamendo_max_caps", excerpts[:half]), ("jamendo_max_caps", excerpts[half:])]
        else:
            wanted = [("song_describer", [excerpt]) for excerpt in excerpts[:half]]
            wanted.append(("jamendo_max_caps", excerpts[half:]))
        for index, (dataset, its_excerpts) in enumerate(wanted):
            items[dataset].append(_item(dataset, work, number, index, its_excerpts, seed, raw))
    return items


def _item(
    dataset: DatasetName, work: Work, number: int, index: int, excerpts: list[Excerpt], seed: int, raw: Path
) -> Item:
    if dataset == "fma":
        track_id, artist_id = 2 + 997 * number + 131 * index, 100 + number
        path = f"fma_small/{f'{track_id:06d}'[:3]}/{track_id:06d}.mp3"
    else:
        track_id, artist_id = 1_004_034 + 1009 * number + 31 * index, 360_000 + number
        folder = f"{track_id % 100:02d}"
        ending = ".2min.mp3" if dataset == "song_describer" else ".mp3"
        path = f"audio/{folder}/{track_id}{ending}"
    formats = FORMATS[dataset]
    rate_hz, channels = formats[rank_key(seed, "format", dataset, track_id) % len(formats)]
    recording = Recording(
        path=raw / dataset / path,
        facts_path=raw.parent / "facts" / f"{dataset}_{track_id}.json",
        excerpts=tuple(excerpts),
        rate_hz=rate_hz,
        channels=channels,
    )
    return Item(track_id, artist_id, work, index, recording)


def with_facts(item: Item) -> Item:
    """Add the facts of its recording to an item."""
    return Item(item.track_id, item.artist_id, item.work, item.number, item.recording, facts_of(item.recording))
