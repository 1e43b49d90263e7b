"""What helps on the demo's music: one change at a time against the demo's own training, over several seeds.

    make demo && python -m benchmarks.experiments [--root data/demo] [--seeds 3] [--only loss pooling]

Each variant is trained and evaluated on the held-out compositions with every seed. The table gives the mean over the seeds
and the paired difference to the baseline over the same queries, with the 95 % interval of its mean over seeds and
resampled recordings. A difference whose interval holds 0 is none that this music can show.
"""

import argparse
import statistics
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from demo.__main__ import EPOCHS
from unisono import console
from unisono.evaluate.options import EvaluateOptions
from unisono.evaluate.pairing import TEXT_TO_MUSIC
from unisono.evaluate.result import QueryResult, read_result
from unisono.evaluate.run import run as evaluate
from unisono.prepare.options import PrepareOptions
from unisono.prepare.run import run as prepare
from unisono.train.options import TrainOptions
from unisono.train.run import run as train

RESAMPLES = 2000
MEASURES = ("recall@1", "recall@10", "mrr")


@dataclass(frozen=True)
class Variant:
    """One training: options that differ from the baseline's."""

    topic: str
    name: str
    train: dict[str, Any] = field(default_factory=dict)
    prepare: dict[str, Any] = field(default_factory=dict)
    """Options of `prepare` that differ: such a variant has embeddings of its own."""


BASELINE = Variant("baseline", "joint space, whitened, noise 1, InfoNCE, mean pooling, musicnn")
VARIANTS = (
    BASELINE,
    Variant("projection", "text into the audio space (z-scored)", {"projection": "text", "audio_scaling": "zscore"}),
    Variant("projection", "text into the whitened audio space", {"projection": "text"}),
    Variant("scaling", "joint, z-scored instead of whitened", {"audio_scaling": "zscore"}),
    Variant("noise", "no noise on the audio", {"audio_noise": 0.0}),
    Variant("noise", "noise 0.5", {"audio_noise": 0.5}),
    Variant("loss", "SigLIP", {"loss": "siglip"}),
    Variant("loss", "fixed temperature 0.1", {"learn_temperature": False}),
    Variant("heads", "linear text head", {"text_head": "linear"}),
    Variant("heads", "MLP audio head", {"audio_head": "mlp"}),
    Variant("batch", "batch size 128", {"batch_size": 128}),
    Variant("captions", "tag dropout 0.5", {"tag_dropout": 0.5}),
    Variant("captions", "tag-made captions weigh a quarter", {"mix_origins": ("tags=0.25",)}),
    Variant("pooling", "stats pooling", prepare={"pooling": "stats"}),
    Variant("encoder", "dsp", {"audio_encoder": "dsp"}, {"encoders": ("dsp",)}),
)


def embeddings(root: Path, variant: Variant) -> Path:
    """Give the folder of the embeddings that a variant reads; make it if it is one of its own."""
    if not variant.prepare:
        return root / "processed_embeddings"
    name = "_".join(str(value if isinstance(value, str) else value[0]) for value in variant.prepare.values())
    folder = root / "experiments" / f"embeddings_{name}"
    prepare(PrepareOptions(**{"data_root": root, "output_dir": folder, "encoders": ("musicnn",), **variant.prepare}))
    return folder


def queries(root: Path, variant: Variant, number: int, seed: int, data_dir: Path) -> list[QueryResult]:
    """Train a variant and give how each text query on the held-out music fared."""
    folder = root / "experiments" / f"{number:02d}_seed{seed}"
    settings: dict[str, Any] = {"audio_encoder": "musicnn", "projection": "joint", "audio_scaling": "whiten"}
    settings |= {"epochs": EPOCHS, **variant.train, "seed": seed, "data_dir": data_dir, "checkpoint_dir": folder}
    train(TrainOptions(**settings))
    output = folder / "result.json"
    evaluate(
        EvaluateOptions(checkpoint=folder / f"{settings['audio_encoder']}_best.pt", data_dir=data_dir, output=output)
    )
    return sorted(read_result(output).queries[TEXT_TO_MUSIC], key=lambda query: query.query)


def values(asked: list[QueryResult]) -> np.ndarray:
    """Give each query's recall@1, recall@10 and reciprocal rank [Q, 3]."""
    rank = np.array([query.rank for query in asked])
    return np.stack([rank <= 1, rank <= 10, 1 / rank], axis=1).astype(float)


def interval(difference: np.ndarray, about: list[str]) -> np.ndarray:
    """Bootstrap the mean of [seeds, Q, 3] over seeds and recordings: [2, 3], low and high."""
    rng = np.random.default_rng(0)
    _, cluster = np.unique(about, return_inverse=True)
    members = [np.flatnonzero(cluster == number) for number in range(cluster.max() + 1)]
    means = []
    for _ in range(RESAMPLES):
        drawn = np.concatenate([members[number] for number in rng.integers(len(members), size=len(members))])
        seeds = rng.integers(len(difference), size=len(difference))
        means.append(difference[seeds][:, drawn].mean(axis=(0, 1)))
    return np.percentile(means, [2.5, 97.5], axis=0)


def main() -> None:
    """Run the experiments and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path("data/demo"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=())
    args = parser.parse_args()
    rows = []
    base: np.ndarray | None = None
    for number, variant in enumerate(VARIANTS):
        if args.only and variant is not BASELINE and variant.topic not in args.only:
            continue
        data_dir = embeddings(args.root, variant)
        runs = [queries(args.root, variant, number, seed, data_dir) for seed in range(args.seeds)]
        found = np.stack([values(asked) for asked in runs])
        base = found if base is None else base
        low, high = interval(found - base, [query.about for query in runs[0]])
        rows.append((variant, found, found - base, low, high))
        console.log.info("%s", variant.name)
    console.out.print(f"\n{len(runs[0])} queries, {args.seeds} seeds\n")
    console.out.print("| | | R@1 | R@10 | MRR | change of R@10 | change of MRR |\n|---|---|---|---|---|---|---|")
    for variant, found, change, low, high in rows:
        means = " | ".join(f"{100 * value:.1f}" for value in found.mean(axis=(0, 1)))
        spread = statistics.pstdev(100 * seed for seed in found.mean(axis=1)[:, 2])
        changes = " | ".join(
            f"{100 * change.mean(axis=(0, 1))[at]:+.1f} ({100 * low[at]:+.1f} to {100 * high[at]:+.1f})"
            for at in (1, 2)
        )
        console.out.print(f"| {variant.topic} | {variant.name} | {means} ± {spread:.1f} | {changes} |", soft_wrap=True)


if __name__ == "__main__":
    console.configure()
    main()
