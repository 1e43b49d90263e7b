"""Measure what helps on the demo's music: one change at a time against the demo's own training, over several seeds.

    make demo && python -m benchmarks.experiments [--root data/demo] [--seeds 3] [--only loss pooling]

Each variant is trained and evaluated on the held-out compositions with every seed. The table shows the mean over the seeds
and the paired difference to the baseline over the same queries, with the 95 % interval of its mean over seeds and
resampled recordings. This music cannot show a difference whose interval contains 0.

The second table compares ways to make captions from tags. Only the captions of the training split differ: val and test keep
theirs, and the queries are the human ones among them. The column val is the figure for a choice by the val split.
"""

import argparse
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from demo.__main__ import EPOCHS
from unisono.captions.assign import CaptionPlan, assign
from unisono.commands import console
from unisono.embeddings.file import FILE_NAME, create_embeddings, open_embeddings
from unisono.embeddings.prepare.run import prepare
from unisono.retrieval.collection import Collection, indexed_tracks
from unisono.retrieval.evaluate.ranking import query_results, rank_both
from unisono.retrieval.evaluate.result import QueryResult
from unisono.retrieval.metrics import TEXT_TO_MUSIC
from unisono.retrieval.model import Model
from unisono.retrieval.pairing import pair_rows
from unisono.retrieval.sweep.outcome import interval_over_seeds
from unisono.retrieval.sweep.run import queries
from unisono.retrieval.train.run import train
from unisono.retrieval.windows import maxsim
from unisono.tracks.files import read_tracks
from unisono.tracks.track import SPLITS, Caption, Split, replace

Figures = NDArray[np.float64]


@dataclass(frozen=True)
class Settings:
    """What all trainings share."""

    root: Path
    """Folder of the demo."""
    seeds: int
    epochs: int
    resamples: int
    """Of the bootstrap."""


@dataclass(frozen=True)
class Variant:
    """One training: options that differ from the baseline's."""

    topic: str
    name: str
    train: dict[str, Any] = field(default_factory=dict)
    prepare: dict[str, Any] = field(default_factory=dict)
    """Options of `prepare` that differ: such a variant has embeddings of its own."""
    captions: tuple[str, ...] = ()
    """The wordings of captions made from tags, in training."""
    of_all: bool = False
    """Only such captions for all training music, not only for the dataset without captions."""
    by_words: bool = False
    """Order by MaxSim, as `search --rerank maxsim` does with a gallery this small."""


BASELINE = Variant("baseline", "joint space, whitened, noise 1, InfoNCE, mean pooling, musicnn")
SWAPS = ("instrument", "mood", "tempo", "key", "voice")
WORDS = {"audio_windows": 2, "maxsim": 0.4}
VARIANTS = (
    BASELINE,
    Variant("projection", "text into the audio space (z-scored)", {"projection": "text", "audio_scaling": "zscore"}),
    Variant("projection", "text into the whitened audio space", {"projection": "text"}),
    Variant("scaling", "joint, z-scored instead of whitened", {"audio_scaling": "zscore"}),
    Variant("noise", "no noise on the audio", {"audio_noise": 0.0}),
    Variant("noise", "noise 0.5", {"audio_noise": 0.5}),
    Variant("loss", "SigLIP", {"loss": "siglip"}),
    Variant("loss", "decoupled contrastive", {"loss": "dcl"}),
    Variant("loss", "InfoNCE + SIGReg", {"loss": "infonce_sigreg"}),
    Variant("loss", "fixed temperature 0.1", {"learn_temperature": False}),
    Variant("views", "partial views of captions", {"views": True}),
    Variant("false captions", "swapped: instrument, mood, tempo, key, voice", {"hard_negatives": SWAPS}),
    Variant("false captions", "negated", {"hard_negatives": ("negation",)}),
    Variant(
        "false captions", "swapped and negated, with views", {"hard_negatives": (*SWAPS, "negation"), "views": True}
    ),
    Variant("heads", "linear text head", {"text_head": "linear"}),
    Variant("heads", "MLP audio head", {"audio_head": "mlp"}),
    Variant("batch", "batch size 128", {"batch_size": 128}),
    Variant("captions", "tag dropout 0.5", {"tag_dropout": 0.5}),
    Variant("captions", "tag-made captions weigh a quarter", {"mix_origins": ("tags=0.25",)}),
    Variant("pooling", "stats pooling", prepare={"pooling": "stats"}),
    Variant("windows", "one window a step instead of all three", {"audio_windows": 1}, {"keep_windows": True}),
    Variant("windows", "two windows a step instead of all three", {"audio_windows": 2}, {"keep_windows": True}),
    Variant("maxsim", "MaxSim 0.4, on two windows a step", WORDS, {"keep_windows": True}),
    Variant("maxsim", "the same, ordered by MaxSim", WORDS, {"keep_windows": True}, by_words=True),
    Variant("encoder", "dsp", {"audio_encoder": "dsp"}, {"encoders": ("dsp",)}),
)
WORDINGS: tuple[tuple[str, ...], ...] = (
    ("template",),
    ("varied",),
    ("keywords",),
    ("metadata",),
    ("template", "varied", "keywords"),
    ("template", "varied", "keywords", "metadata"),
)
FEW, ALL = "the third without captions", "all music"
CAPTIONS = tuple(
    Variant(topic, " ".join(wording), captions=wording, of_all=topic == ALL)
    for topic in (FEW, ALL)
    for wording in WORDINGS
)
TOPICS = sorted({variant.topic for variant in (*VARIANTS, *CAPTIONS)} - {BASELINE.topic})


def embeddings(root: Path, variant: Variant) -> Path:
    """Return the folder of the embeddings that a variant reads; make it if only this variant uses it."""
    if variant.captions:
        return reworded(root, variant)
    if not variant.prepare:
        return root / "processed_embeddings"
    name = "_".join(
        f"{key}_{value[0] if isinstance(value, tuple) else value}" for key, value in variant.prepare.items()
    )
    folder = root / "experiments" / f"embeddings_{name}"
    prepare(root / "unified_dataset.json", **{"output_dir": folder, "encoders": ("musicnn",), **variant.prepare})
    return folder


def reworded(root: Path, variant: Variant) -> Path:
    """Copy the embeddings with other captions in the training split; val and test keep theirs."""
    folder = root / "experiments" / f"captions_{'_'.join(variant.captions)}{'_of_all' if variant.of_all else ''}"
    tracks = {track.id: track for track in read_tracks(root / "unified_dataset.json")}
    with (
        open_embeddings(root / "processed_embeddings") as old,
        create_embeddings(folder / FILE_NAME, old.config, 0) as new,
    ):
        for split in SPLITS:
            rows = old.read(split)
            these = [tracks[id] for id in rows.ids]
            if split == "train":
                made = {
                    track.id
                    for track in these
                    if variant.of_all or [each.origin for each in track.captions] == ["tags"]
                }
                bare = [
                    replace(track, captions=(Caption(track.caption, "tags"),)) if track.id in made else track
                    for track in these
                ]
                these = assign(bare, made, CaptionPlan(ways=variant.captions), seed=0).tracks
            new.add_split(split, these)
            for name, record in old.encoders.items():
                new.add_embeddings(split, record, iter([rows.embeddings[name]]))
    return folder


def trained(each: Settings, variant: Variant, number: str, seed: int, data_dir: Path) -> Model:
    """Train a variant and return its best model."""
    folder = each.root / "experiments" / f"{number}_seed{seed}"
    settings: dict[str, Any] = {"audio_encoder": "musicnn", "projection": "joint", "audio_scaling": "whiten"}
    settings |= {"epochs": each.epochs, **variant.train, "seed": seed, "checkpoint_dir": folder, "overwrite": True}
    return train(data_dir, **settings)


def queries_by_words(model: Model, data_dir: Path, split: Split) -> list[QueryResult]:
    """Return the result of each text query on a split, by MaxSim with all windows."""
    with open_embeddings(data_dir) as file:
        rows = file.read(split, [model.audio_encoder.name])
        vectors, windows = model.project_windows(file, rows)
    music = Collection(indexed_tracks(rows), vectors, windows=windows)
    pairing = pair_rows(rows)
    every = np.arange(len(rows.ids))
    scores = np.stack([maxsim(model.embed_tokens(text), music, every) for text in pairing.texts])
    ranked = rank_both(pairing, scores, np.eye(len(every)))  # the scores are the cosines with these, but for a factor
    return sorted(query_results(rows, pairing, ranked)[TEXT_TO_MUSIC], key=lambda query: query.query)


def human(asked: list[QueryResult], data_dir: Path, split: Split) -> list[QueryResult]:
    """Return the queries that people wrote."""
    with open_embeddings(data_dir) as file:
        rows = file.read(split)
    texts = {text for text, origin in zip(rows.captions, rows.caption_origin, strict=True) if origin == "human"}
    return [query for query in asked if query.query in texts]


def values(asked: list[QueryResult]) -> Figures:
    """Return each query's recall@1, recall@10 and reciprocal rank [Q, 3]."""
    rank = np.array([query.rank for query in asked])
    return np.stack([rank <= 1, rank <= 10, 1 / rank], axis=1).astype(float)


@dataclass(frozen=True)
class Outcome:
    """The results of a variant."""

    variant: Variant
    found: Figures
    """[seeds, Q, 3]."""
    val_mrr: float
    """Mean over the seeds, of the same kind of queries on the val split; NaN if it was not measured."""


def outcome(each: Settings, variant: Variant, number: str) -> tuple[Outcome, list[QueryResult]]:
    """Train and evaluate a variant with every seed; return the outcome and the queries, which all seeds share."""
    data_dir = embeddings(each.root, variant)
    models = [trained(each, variant, number, seed, data_dir) for seed in range(each.seeds)]
    runs = [(queries_by_words if variant.by_words else queries)(model, data_dir, "test") for model in models]
    val = float("nan")
    if variant.captions:
        runs = [human(asked, data_dir, "test") for asked in runs]
        chosen = [human(queries(model, data_dir, "val"), data_dir, "val") for model in models]
        val = float(np.mean([values(asked)[:, 2].mean() for asked in chosen]))
    console.log.info("%s: %s", variant.topic, variant.name)
    return Outcome(variant, np.stack([values(asked) for asked in runs]), val), runs[0]


def show(outcomes: list[Outcome], bases: dict[str, Outcome], asked: list[QueryResult], resamples: int) -> None:
    """Print a table in Markdown.

    Args:
        outcomes: one a row.
        bases: topic -> the baseline of its variants.
        asked: the queries of all of them.
        resamples: of the bootstrap.
    """
    with_val = not np.isnan(outcomes[0].val_mrr)
    seeds = len(outcomes[0].found)
    recordings = len({query.about for query in asked})
    console.out.print(f"\n{len(asked)} queries about {recordings} recordings, {seeds} seeds\n")
    heads = ["", "", *(["val MRR"] if with_val else []), "R@1", "R@10", "MRR", "change of R@10", "change of MRR"]
    console.out.print(f"| {' | '.join(heads)} |\n{'|---' * len(heads)}|", soft_wrap=True)
    for each in outcomes:
        change = each.found - bases[each.variant.topic].found
        about = np.unique([query.about for query in asked], return_inverse=True)[1]
        bounds = [interval_over_seeds(change[:, :, at], about, resamples) for at in range(change.shape[2])]
        means = [f"{100 * value:.1f}" for value in each.found.mean(axis=(0, 1))]
        spread = statistics.pstdev(100 * seed for seed in each.found.mean(axis=1)[:, 2])
        changes = [
            f"{100 * change.mean(axis=(0, 1))[at]:+.1f} ({100 * bounds[at][0]:+.1f} to {100 * bounds[at][1]:+.1f})"
            for at in (1, 2)
        ]
        val = [f"{100 * each.val_mrr:.1f}"] if with_val else []
        cells = [each.variant.topic, each.variant.name, *val, *means[:2], f"{means[2]} ± {spread:.1f}", *changes]
        console.out.print(f"| {' | '.join(cells)} |", soft_wrap=True)


def compare(settings: Settings, variants: Sequence[Variant], mark: str) -> None:
    """Compare variants, the first or the first of each topic being the baseline, and print the table."""
    found = [outcome(settings, variant, f"{mark}{number:02d}") for number, variant in enumerate(variants)]
    outcomes = [each for each, _ in found]
    bases: dict[str, Outcome] = {}
    for each in outcomes:
        first = outcomes[0] if outcomes[0].variant is BASELINE else each
        bases.setdefault(each.variant.topic, first)
    show(outcomes, bases, found[0][1], settings.resamples)


def main() -> None:
    """Run the experiments and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path("data/demo"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--resamples", type=int, default=2000, help="of the bootstrap")
    parser.add_argument("--only", nargs="*", choices=TOPICS, default=TOPICS, help="topics")
    args = parser.parse_args()
    settings = Settings(args.root, args.seeds, args.epochs, args.resamples)
    changes = [variant for variant in VARIANTS if variant.topic in args.only]
    if changes:
        compare(settings, [BASELINE, *changes], "")
    captions = [variant for variant in CAPTIONS if variant.topic in args.only]
    if captions:
        compare(settings, captions, "captions")


if __name__ == "__main__":
    console.configure()
    main()
