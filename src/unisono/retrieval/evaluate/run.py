"""Evaluate a model: on a split of `embeddings.h5`, or on a unified file that it was never trained on."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from unisono import __version__
from unisono.base.arguments import AnyPath, checked
from unisono.base.errors import DataError
from unisono.base.log import log
from unisono.embeddings.file import EmbeddingsFile, SplitRows
from unisono.retrieval import doubts
from unisono.retrieval.evaluate import benchmarks, ranking, tagging
from unisono.retrieval.evaluate.baselines import measure_baselines
from unisono.retrieval.evaluate.benchmark import Benchmark, embed_benchmark, read_named
from unisono.retrieval.evaluate.by_words import LINE, rank_by_words
from unisono.retrieval.evaluate.edit_results import RobustnessReport
from unisono.retrieval.evaluate.examples import examples
from unisono.retrieval.evaluate.hubness import NOTE as HUB_NOTE
from unisono.retrieval.evaluate.hubness import HubReport, measure_both
from unisono.retrieval.evaluate.measured import CategoryResult, Measured
from unisono.retrieval.evaluate.result import Result
from unisono.retrieval.evaluate.robustness import Evaluated, measure_robustness
from unisono.retrieval.evaluate.seen_music import SeenMusic, find_seen, without_seen
from unisono.retrieval.metrics import TEXT_TO_MUSIC
from unisono.retrieval.model import Model
from unisono.retrieval.models import Floats, JointModel
from unisono.retrieval.pairing import pair_rows
from unisono.retrieval.split_rows import keep_captions, opened, read_rows
from unisono.retrieval.windows import Score, keeps_some, scored_by
from unisono.tracks.track import Split
from unisono.tracks.workspace import DEFAULT_ROOT, Workspace

VALID = "captions found valid, among their tracks"
"""Name of the lines of a benchmark whose captions people judged."""
CSLS = "all, corrected for hubs (CSLS)"
"""Name of the lines whose ranks are corrected."""
Where = Literal["train", "val", "test", "all"]
Hubness = Literal["csls"]
Rerank = Literal["maxsim"]
WINDOWS = 5
"""Windows kept of each track of a benchmark, if it is scored by windows."""
Embed = Callable[[list[str]], Floats]
"""From n texts to [n, D]."""
SCORED = {
    "best": ["The score of an excerpt is that of its window that fits best, of those that were kept."],
    "mean": ["The score of an excerpt is the mean of the scores of its windows that were kept."],
    "pooled": [],
}


@dataclass(frozen=True)
class _Request:
    """What to evaluate."""

    split: Split | None
    """None: all splits."""
    called: str
    """Name of what is evaluated on, for tables."""
    exclude_overlap: bool
    baselines: bool
    queries: Path | None
    seed: int
    benchmark: Benchmark | None = None
    windows: Score | None = None
    robustness: bool = False
    hubness: Hubness | None = None
    rerank: Rerank | None = None


@checked
def evaluate(
    model: JointModel,
    embeddings: EmbeddingsFile | AnyPath,
    *,
    split: Where = "test",
    exclude_overlap: bool = False,
    baselines: bool = False,
    queries: AnyPath | None = None,
    windows: Score | None = None,
    robustness: bool = False,
    hubness: Hubness | None = None,
    rerank: Rerank | None = None,
    seed: int = 42,
) -> Result:
    """Measure how well a model finds the music of a split by its descriptions, and descriptions by their music.

    Args:
        model: the model.
        embeddings: an `embeddings.h5`, or its folder.
        split: the split to evaluate on; "all" joins all three.
        exclude_overlap: leave out music that the model was trained on, which is otherwise an error, and music of the val
            split that selected the checkpoint, of which the log otherwise warns.
        baselines: also measure the baselines: random, tag overlap, dsp.
        queries: also ask the queries of a text file: a text, a tab, and the tags that a relevant track carries, one a line.
        windows: what counts of a track: of its windows that were kept the one that fits best ("best"), or the mean of
            their scores ("mean"); or the one embedding that is stored of it ("pooled"). Default: as in a search, the best
            if a few windows of each were kept for that (`prepare --windows-per-track`), else the stored one.
        robustness: also measure what edits of captions and audio change, and hubness.
        hubness: "csls": also correct the ranks for hubs, for comparison.
        rerank: "maxsim": also order the first hits of each text by its words and the windows that were kept, for comparison.
        seed: of the bootstrap intervals.

    Raises:
        UsageError: the model was trained on some of the music, or no windows were kept.
        DataError: the split is empty, or the embeddings do not fit the model.
    """
    one = None if split == "all" else split
    own_queries = Path(queries) if queries else None
    asked = _Request(
        one, split, exclude_overlap, baselines, own_queries, seed, None, windows, robustness, hubness, rerank
    )
    with opened(embeddings) as file:
        return _evaluate(model, file, asked)


@checked
def evaluate_benchmark(
    model: JointModel,
    dataset_file: AnyPath,
    *,
    output_dir: AnyPath | None = None,
    split: Where | None = None,
    exclude_overlap: bool = False,
    baselines: bool = False,
    queries: AnyPath | None = None,
    windows: Score | None = None,
    robustness: bool = False,
    hubness: Hubness | None = None,
    rerank: Rerank | None = None,
    seed: int = 42,
) -> Result:
    """Evaluate a model on a unified file that it was never trained on; its music is embedded first.

    Args:
        model: the model.
        dataset_file: the unified file.
        output_dir: folder for the embeddings; what is there is not embedded again.
            Default: `data/benchmarks/<dataset file>_<audio encoder>`, with windows `..._windows`.
        split: evaluate on this split only. Default: on all music of the file.
        windows: "best" or "mean": keep 5 windows of each track, and score it by them. Default: by all, pooled.
        exclude_overlap, baselines, queries, robustness, hubness, rerank, seed: as for `evaluate`.

    Raises:
        UsageError, DataError: as for `evaluate`.
    """
    path = Path(dataset_file)
    folder, kept = _embeddings_of(model, path, Workspace(), output_dir, windows, rerank)
    benchmark = embed_benchmark(model, path, folder, windows_per_track=kept)
    one = None if split is None or split == "all" else split
    called = f"{path.stem}_{split}" if split else path.stem
    own_queries = Path(queries) if queries else None
    asked = _Request(
        one, called, exclude_overlap, baselines, own_queries, seed, benchmark, windows, robustness, hubness, rerank
    )
    with opened(folder) as file:
        return _evaluate(model, file, asked)


@checked
def evaluate_named(
    model: JointModel,
    benchmark: str,
    *,
    data_root: AnyPath = DEFAULT_ROOT,
    output_dir: AnyPath | None = None,
    allow_missing: bool = False,
    exclude_overlap: bool = False,
    baselines: bool = False,
    windows: Score | None = None,
    robustness: bool = False,
    hubness: Hubness | None = None,
    rerank: Rerank | None = None,
    seed: int = 42,
) -> Result:
    """Evaluate a model on a benchmark by its name (`evaluate/benchmarks`); its music is embedded first.

    Args:
        model: the model.
        benchmark: its name, such as "song-describer".
        data_root: folder of the data; the release is in `<data_root>/raw/`.
        output_dir: folder for the embeddings. Default: `<data_root>/benchmarks/<benchmark>_<audio encoder>`.
        allow_missing: evaluate on the music that is there, if some is missing; otherwise that is an error.
        windows: as for `evaluate_benchmark`.
        exclude_overlap, baselines, robustness, hubness, rerank, seed: as for `evaluate`.

    Raises:
        UsageError: there is no such benchmark, its release is not there, or music is missing.
        DataError: the release has other counts than the benchmark.
    """
    workspace = Workspace.at(data_root)
    path, asked = read_named(benchmarks.get(benchmark), workspace, allow_missing=allow_missing)
    folder, kept = _embeddings_of(model, path, workspace, output_dir, windows, rerank)
    embed_benchmark(model, path, folder, windows_per_track=kept)
    request = _Request(
        None, benchmark, exclude_overlap, baselines, None, seed, asked, windows, robustness, hubness, rerank
    )
    with opened(folder) as file:
        return _evaluate(model, file, request)


def _embeddings_of(
    model: JointModel,
    path: Path,
    workspace: Workspace,
    output_dir: AnyPath | None,
    windows: Score | None,
    rerank: Rerank | None,
) -> tuple[Path, int | None]:
    """Return the folder of the embeddings of a unified file, and how many windows of each track they keep."""
    kept = None if windows in (None, "pooled") and not rerank else WINDOWS
    named = f"{model.audio_encoder.name}_windows" if kept else model.audio_encoder.name
    return Path(output_dir) if output_dir else workspace.benchmark(path, named), kept


def _evaluate(model: JointModel, file: EmbeddingsFile, asked: _Request) -> Result:
    encoder = model.reads(file)
    rows = read_rows(file, asked.split, [encoder])
    if not rows.ids:
        raise DataError(f"{file.path}: the split {asked.called} is empty.")
    rows, notes = _unseen(model, rows, asked)
    if asked.benchmark:
        notes += asked.benchmark.protocol(rows)
    pairing = asked.benchmark.pair(rows) if asked.benchmark else pair_rows(rows)
    score = asked.windows or ("best" if keeps_some(file) else "pooled")
    music, embed = _music(model, file, rows, score)
    heard = model.checkpoint.music if isinstance(model, Model) else {}
    if unlike := doubts.of_music(heard, rows.embeddings[encoder]):
        log.warning("%s", unlike)
        notes.append(unlike)
    log.info("Embedding %s captions.", f"{len(pairing.texts):,}")
    texts = embed(list(pairing.texts))
    ranked = ranking.rank_both(pairing, texts, music)
    measured = ranking.measure_all(rows, pairing, ranked, seed=asked.seed)
    notes = ranking.protocol(measured) + SCORED[score] + notes
    robust, hubs, said = _edits_and_hubs(
        Evaluated(model, rows, pairing, file.encoders[encoder], texts, music, embed, asked.seed), asked, measured
    )
    notes += said
    if asked.rerank:
        by_words = rank_by_words(model, file, rows, pairing, texts, music)
        measured[TEXT_TO_MUSIC][LINE] = by_words.measure(seed=asked.seed)
    if asked.benchmark and asked.benchmark.valid:
        for direction, found in _measure_valid(embed, rows, music, asked.benchmark, asked.seed).items():
            measured[direction][VALID] = found
        notes.append(f"“{VALID}”: a separate evaluation, with those captions and the excerpts that have one.")
    queries = tagging.tag_queries(rows)
    if asked.queries:
        queries.append(tagging.read_queries(asked.queries, rows))
    baselines = {}
    if asked.baselines:
        baselines = measure_baselines(model, file, asked.split, rows, pairing, seed=asked.seed)
    return Result(
        version=__version__,
        checkpoint=model.label,
        audio_encoder=encoder,
        text_encoder=model.text_encoder.spec.name,
        data=str(file.path),
        called=asked.called,
        benchmark=asked.benchmark.whole(rows) if asked.benchmark else "",
        protocol=[*notes, *tagging.protocol(queries)],
        retrieval=measured,
        tagging=_measure_tags(embed, queries, music, asked.seed),
        baselines=baselines,
        examples=examples(rows, pairing, ranked[TEXT_TO_MUSIC], texts, music),
        queries=ranking.query_results(rows, pairing, ranked),
        robustness=robust,
        hubs=hubs,
        options=_options(asked),
    )


def _options(asked: _Request) -> dict[str, Any]:
    """Return what was asked for, as the result remembers it."""
    return {
        "split": asked.split or "all",
        "exclude_overlap": asked.exclude_overlap,
        "baselines": asked.baselines,
        "queries": str(asked.queries) if asked.queries else None,
        "windows": asked.windows,
        "robustness": asked.robustness,
        "hubness": asked.hubness,
        "rerank": asked.rerank,
        "seed": asked.seed,
    }


def _edits_and_hubs(
    of: Evaluated, asked: _Request, measured: dict[str, dict[str, Measured]]
) -> tuple[RobustnessReport | None, dict[str, HubReport], list[str]]:
    """Measure edits and hubness, as far as asked for, with sentences on how; add the corrected lines to `measured`."""
    robust = measure_robustness(of) if asked.robustness else None
    hubs = measure_both(of.texts, of.music) if asked.robustness or asked.hubness else {}
    if asked.hubness == "csls":
        for direction, corrected in ranking.rank_both(of.pairing, of.texts, of.music, csls=True).items():
            measured[direction][CSLS] = corrected.measure(seed=asked.seed)
    return robust, hubs, [*(robust.notes if robust else []), *([HUB_NOTE] if hubs else [])]


def _music(model: JointModel, file: EmbeddingsFile, rows: SplitRows, score: Score) -> tuple[Floats, Embed]:
    """Return the vectors of the excerpts, and what embeds texts into the same space."""
    if score == "pooled":
        return model.project_rows(file, rows), model.embed_text
    music = scored_by(score, *model.project_windows(file, rows))
    if score == "best":
        return music, model.embed_text
    return music, lambda texts: np.pad(model.embed_text(texts), ((0, 0), (0, 1)))


def _unseen(model: JointModel, rows: SplitRows, asked: _Request) -> tuple[SplitRows, list[str]]:
    """Return the rows that may be evaluated on, and sentences for the protocol on what the model has seen."""
    if model.trained_on is None or not model.trained_on.digests:
        return rows, [
            f"What music the weights of {model.label} were trained on is not recorded: it may be among these."
        ]
    of_benchmark = asked.benchmark is not None
    if asked.split == "train" and not of_benchmark:
        return rows, ["This is the TRAIN split: the numbers say nothing about music that the model has not seen."]
    seen = find_seen(rows, model.trained_on)
    selects = asked.split == "val" and not of_benchmark
    if selects:
        seen = replace(seen, in_val=None)
    kept = without_seen(rows, seen, exclude=asked.exclude_overlap)
    notes = [seen.sentence() + (" Seen excerpts were left out." if seen.in_train.any() else "")]
    if selects:
        notes.append("Training selected its best checkpoint on the val split: the numbers are too high.")
    else:
        notes.append(seen.val_sentence() + _of_val(seen, asked))
    return kept, notes


def _of_val(seen: SeenMusic, asked: _Request) -> str:
    """Return what was done about excerpts of the val split, and log a warning if they were kept."""
    if seen.in_val is None or not seen.in_val.any():
        return ""
    if asked.exclude_overlap:
        return " They were left out."
    log.warning(
        "%s of the %s excerpts, or their recordings, were in the val split that selected the checkpoint: the numbers are "
        "too high. exclude_overlap (--exclude-overlap) leaves them out.",
        f"{seen.in_val.sum():,}",
        f"{len(seen.in_val):,}",
    )
    return " Their numbers are too high."


def _measure_valid(
    embed: Embed, rows: SplitRows, music: Floats, benchmark: Benchmark, seed: int
) -> dict[str, Measured]:
    chosen, described = keep_captions(rows, benchmark.valid_captions(rows))
    pairing = pair_rows(chosen)
    ranked = ranking.rank_both(pairing, embed(list(pairing.texts)), music[described])
    return {direction: found.measure(seed=seed) for direction, found in ranked.items()}


def _measure_tags(
    embed: Embed, queries: list[tagging.TagQueries], music: Floats, seed: int
) -> dict[str, CategoryResult]:
    return {each.category: tagging.measure_tags(each, embed(each.prompts), music, seed=seed) for each in queries}
