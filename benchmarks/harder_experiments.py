"""Measure what helps on music that is harder than the demo's: one change at a time, over several seeds.

    python -m benchmarks.harder_music --soundfont FluidR3_GM.sf2
    python -m benchmarks.harder_experiments [--root data/harder] [--seeds 5] [--only tuning views]

Queries are the captions of the test split, whose compositions no training has heard: all, those about instruments that
training heard, and those about instruments that it did not; candidates are all clips of the split. Changes are paired
by query and seed; their 95 % intervals are a bootstrap over seeds and compositions. What is finished is not trained again.
"""

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from benchmarks.harder_music import SECONDS, UNHEARD_TAG
from benchmarks.kept_front import kept_front
from unisono.base.files import write_whole
from unisono.commands import console
from unisono.embeddings.file import open_embeddings
from unisono.embeddings.prepare.run import prepare
from unisono.retrieval.evaluate.result import QueryResult
from unisono.retrieval.evaluate.significance import value_of
from unisono.retrieval.metrics import chance
from unisono.retrieval.pairing import pair_rows
from unisono.retrieval.sweep.outcome import interval_over_seeds
from unisono.retrieval.sweep.run import queries
from unisono.retrieval.train.run import train
from unisono.tracks.files import read_tracks, write_tracks
from unisono.tracks.track import Track, replace

Figures = NDArray[np.float64]
EVERY, HEARD, UNHEARD = "all captions", "known instruments", "unheard instruments"


@dataclass(frozen=True)
class Variant:
    """One training: options that differ from the baseline's."""

    topic: str
    name: str
    train: dict[str, Any] = field(default_factory=dict)
    start: "Variant | None" = None
    """The variant whose trained model of the same seed it starts from."""


BASELINE = Variant("baseline", "frozen musicnn: joint space, whitened, noise 1, InfoNCE")
SHARED: dict[str, Any] = {
    "audio_encoder": "musicnn", "projection": "joint", "audio_scaling": "whiten", "epochs": 40, "batch_size": 32,
}  # fmt: skip
MLP = Variant("heads", "MLP audio head", {"audio_head": "mlp"})
MORE: dict[str, Any] = {"epochs": 8, "learning_rate": 1e-4}
TUNED = MORE | {"tune_audio": "full", "frozen_front": 1, "audio_learning_rate": 3e-4}
VARIANTS = (
    BASELINE,
    MLP,
    Variant("heads", "text into the audio space", {"projection": "text"}),
    Variant("scaling", "z-scored instead of whitened", {"audio_scaling": "zscore"}),
    Variant("loss", "SigLIP", {"loss": "siglip"}),
    Variant("loss", "decoupled contrastive", {"loss": "dcl"}),
    Variant("loss", "InfoNCE + SIGReg", {"loss": "infonce_sigreg"}),
    Variant("views", "partial views of captions", {"views": True}),
    Variant("swaps", "false captions: instrument, mood, tempo", {"hard_negatives": ("instrument", "mood", "tempo")}),
    Variant("batch", "batches of 128", {"batch_size": 128}),
    Variant("tuning", "8 epochs more, musicnn frozen", MORE, BASELINE),
    Variant("tuning", "8 epochs more, musicnn tuned", TUNED, BASELINE),
    Variant("tuned mlp", "MLP audio head, 8 epochs more, musicnn frozen", MLP.train | MORE, MLP),
    Variant("tuned mlp", "MLP audio head, 8 epochs more, musicnn tuned", MLP.train | TUNED, MLP),
    Variant("windows", "one window a step", {"audio_windows": 1}),
    Variant("windows", "three windows a step", {"audio_windows": 3}),
    Variant("windows", "three windows a step, MaxSim 0.4", {"audio_windows": 3, "maxsim": 0.4}),
)
TOPICS = sorted({variant.topic for variant in VARIANTS} - {BASELINE.topic})


@dataclass(frozen=True)
class Music:
    """What is trained and tested on."""

    root: Path
    composition: dict[str, str]
    """Id of a test clip -> its composition."""
    unheard: frozenset[str]
    """Test clips that feature an unheard instrument."""

    @property
    def embeddings(self) -> Path:
        """The folder of the embeddings of frozen musicnn."""
        return self.root / "embeddings"


def cut(track: Track, seconds: float, *, into_pieces: bool) -> list[Track]:
    """Return the middle of a clip, or the pieces that it consists of, each an excerpt of its own, for training."""
    if not into_pieces:
        return [replace(track, start=(SECONDS - seconds) / 2, duration=seconds)]
    recording = track.id.replace("_", ":", 1)
    if track.split != "train":
        return [replace(track, start=(SECONDS - seconds) / 2, duration=seconds, recording=recording)]
    return [
        replace(track, id=f"{track.id}_{number}", start=number * seconds, duration=seconds, recording=recording)
        for number in range(int(SECONDS // seconds))
    ]


def read_music(root: Path, compositions: int, seconds: float, *, into_pieces: bool = False) -> Music:
    """Embed the first compositions, of each clip the middle, or in training all pieces, as far as that is missing."""
    tracks = [
        piece
        for track in read_tracks(root / "unified.json")
        if int(track.id.split("_")[1]) < compositions
        for piece in cut(track, seconds, into_pieces=into_pieces)
    ]
    root = root / f"{compositions}x{seconds:g}{'p' if into_pieces else ''}"
    write_tracks(root / "unified.json", tracks)
    prepare(
        root / "unified.json",
        encoders=("musicnn",),
        keep_windows=seconds > 3,
        cache_audio=True,
        output_dir=root / "embeddings",
    )
    test = [track for track in tracks if track.split == "test"]
    composition = {track.id: track.artist_id for track in test}
    return Music(root, composition, frozenset(track.id for track in test if UNHEARD_TAG in track.tags))


def folder_of(music: Music, variant: Variant, seed: int) -> Path:
    """Return the folder of a training."""
    return music.root / "experiments" / re.sub(r"\W+", "_", f"{variant.topic} {variant.name}") / str(seed)


def asked(music: Music, variant: Variant, seed: int) -> list[QueryResult]:
    """Train a variant with a seed, unless that was done before; return the result of each query of the test split."""
    folder = folder_of(music, variant, seed)
    found = folder / "test.json"
    if not found.exists():
        options = {**SHARED, **variant.train}
        if variant.start:
            options["model"] = folder_of(music, variant.start, seed) / "musicnn_best.pt"
        if "tune_audio" in options:
            options |= {"dataset_file": music.root / "unified.json", "cached_audio": True, "threads": 1}
        model = train(music.embeddings, **options, seed=seed, checkpoint_dir=folder)
        write_whole(found, msgspec.json.encode(queries(model, music.embeddings, "test")))
    return msgspec.json.decode(found.read_bytes(), type=list[QueryResult])


def table(music: Music, outcomes: Sequence[tuple[Variant, list[list[QueryResult]]]]) -> None:
    """Print tables in Markdown against the first, for all queries, and those about known and about unheard instruments."""
    with open_embeddings(music.embeddings) as file:
        rows = file.read("test")
    pairing = pair_rows(rows)
    clips: dict[str, list[str]] = {text: [] for text in pairing.texts}
    for text, row in zip(pairing.text_of, rows.caption_of, strict=True):
        clips[pairing.texts[text]].append(rows.ids[row])
    first = [query.query for query in outcomes[0][1][0]]
    is_unheard = np.array([all(clip in music.unheard for clip in clips[text]) for text in first])
    cluster = np.unique([music.composition[clips[text][0]] for text in first], return_inverse=True)[1]
    for group, chosen in ((EVERY, is_unheard | True), (HEARD, ~is_unheard), (UNHEARD, is_unheard)):
        places = sorted(pairing.texts.index(text) for text, is_chosen in zip(first, chosen, strict=True) if is_chosen)
        _table_of(group, outcomes, chosen, cluster[chosen], chance(pairing.relevance.only(np.array(places))))


def _table_of(
    group: str,
    outcomes: Sequence[tuple[Variant, list[list[QueryResult]]]],
    chosen: NDArray[np.bool_],
    about: NDArray[np.int64],
    luck: dict[str, float],
) -> None:
    base = _values(outcomes[0][1], "mrr")[:, chosen]
    expected = ", ".join(f"{name} {100 * luck[name]:.1f}" for name in ("recall@1", "recall@10", "mrr"))
    said = (
        f"{chosen.sum()} captions about clips of {len(set(about))} compositions, {len(base)} seeds; chance: {expected}"
    )
    console.out.print(f"\n**{group}**: {said}\n", soft_wrap=True)
    console.out.print(f"| | | R@1 | R@10 | MRR | change of MRR |\n{'|---' * 6}|", soft_wrap=True)
    for variant, runs in outcomes:
        mrr = _values(runs, "mrr")[:, chosen]
        means = [f"{100 * _values(runs, measure)[:, chosen].mean():.1f}" for measure in ("recall@1", "recall@10")]
        spread = 100 * mrr.mean(axis=1).std(ddof=1) if len(mrr) > 1 else 0
        low, high = interval_over_seeds(mrr - base, about)
        change = f"{100 * (mrr - base).mean():+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"
        cells = [variant.topic, variant.name, *means, f"{100 * mrr.mean():.1f} ± {spread:.1f}", change]
        console.out.print(f"| {' | '.join(cells)} |", soft_wrap=True)


def _values(runs: Sequence[list[QueryResult]], measure: Any) -> Figures:
    """Return a measure of each query [seeds, Q]."""
    return np.array([[value_of(query, measure) for query in run] for run in runs], dtype=float)


def main() -> None:
    """Run the experiments and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path("data/harder"))
    parser.add_argument("--compositions", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each clip")
    parser.add_argument(
        "--pieces", action="store_true", help="train on all pieces of that length, not on the middle one"
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", nargs="*", choices=TOPICS, default=TOPICS, help="topics")
    args = parser.parse_args()
    music = read_music(args.root, args.compositions, args.seconds, into_pieces=args.pieces)
    topics = set(args.only) - ({"windows"} if args.seconds <= 3 else set())
    chosen = [variant for variant in VARIANTS if variant is BASELINE or variant.topic in topics]
    with kept_front():
        found = [(variant, [asked(music, variant, seed) for seed in range(args.seeds)]) for variant in chosen]
    table(music, found)
    for start in (BASELINE, MLP):
        if both := [each for each in found if each[0].start is start]:
            console.out.print(f"\nAgainst as many more epochs with musicnn frozen, from {start.name}:", soft_wrap=True)
            table(music, both)


if __name__ == "__main__":
    console.configure(quiet=True)
    main()
