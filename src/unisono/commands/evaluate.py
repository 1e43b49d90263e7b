"""`unisono evaluate`: measure a model on held-out music; print the tables, write a JSON file and a report."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from unisono.base.errors import UsageError
from unisono.base.extras import extra, require
from unisono.base.files import remove_left_behind
from unisono.commands import console
from unisono.commands._benchmarks import ALL, run_all
from unisono.commands.options import StageOptions, model_of, record
from unisono.tracks.workspace import Workspace

if TYPE_CHECKING:
    from unisono.retrieval.evaluate.result import Result


ASKED = ("exclude_overlap", "baselines", "windows", "robustness", "hubness", "rerank", "seed")
"""Options that mean the same whatever is evaluated on."""


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions(StageOptions):
    """Options of `unisono evaluate`."""

    checkpoint: Path | None = None
    """The model to evaluate. Default: the only best checkpoint in `checkpoints/`."""
    model: str | None = None
    """Name of a model that needs no training (`unisono models list`), or a checkpoint."""
    data_dir: Path | None = None
    """Folder of `embeddings.h5`. Default: `DATA-ROOT/processed_embeddings`; with --dataset-file a folder of its own,
    `DATA-ROOT/benchmarks/DATASET-FILE_ENCODER`."""
    dataset_file: Path | None = None
    """Evaluate on all music of this unified file, a benchmark never trained on; it is embedded first."""
    benchmark: str | None = None
    """Evaluate on a published benchmark by its name (song-describer, musiccaps, ...), or on all whose release is on disk."""
    allow_missing: bool = False
    """With --benchmark: evaluate on the music that is there, if some is missing; otherwise that is an error."""
    split: Literal["train", "val", "test", "all"] | None = None
    """The split to evaluate on. Default: test; with --dataset-file, all."""
    exclude_overlap: bool = False
    """Leave out music that the model was trained on (by id or recording), which is otherwise an error, and music of the
    val split that selected the checkpoint, which is otherwise a warning."""
    queries: Path | None = None
    """Also ask the queries of a text file: a text, a tab, and the tags that a relevant track carries, one query a line."""
    windows: Literal["best", "mean", "pooled"] | None = None
    """What counts of a track whose windows were kept: the one that fits best, the mean of their scores, or the one embedding
    that is stored of it. Default: as in a search, the best if they were kept with `prepare --windows-per-track`, else the
    stored one. With --dataset-file, best and mean keep 5 windows of each track."""
    robustness: bool = False
    """Also measure what edits by rule change: of captions (negation, other instrument, tempo, key, mood, voice; word order,
    length, language) and of the audio of 60 tracks (level, MP3, noise, beginning); and how few tracks take most places."""
    hubness: Literal["csls"] | None = None
    """Also measure how few tracks take most places, and correct the ranks for that by CSLS, for comparison."""
    rerank: Literal["maxsim"] | None = None
    """Also order the first 200 hits of each description by its words and the windows that were kept, as `search --rerank
    maxsim` does, for comparison; with --dataset-file or --benchmark, 5 windows of each track are kept."""
    baselines: bool = False
    """Also measure the baselines: random, tag overlap, dsp."""
    output: Path | None = None
    """JSON file for the result. Default: next to the checkpoint, `CHECKPOINT_SPLIT.json` or
    `CHECKPOINT_DATASET-FILE.json`; for a model without a checkpoint, in DATA-ROOT with the model's name."""
    report: Path | None = None
    """HTML file for a report with plots, and players for the best and the worst queries."""
    report_audio: bool = False
    """Also write what the report plays, at most 30 s of each excerpt, to `REPORT_files/` next to it, so that it can be
    moved to another machine; otherwise it plays the files where they are."""
    device: str = "auto"
    """Where the model runs: auto, cpu, cuda, cuda:1, ..."""
    seed: int = 42
    """Seed of the bootstrap intervals."""


def run(options: EvaluateOptions) -> "Result":
    """Evaluate, print the tables, write the files and return the result.

    Raises:
        UsageError: the model was trained on some of the music, or the options do not fit each other.
        DataError: the split is empty, or the embeddings do not fit the model.
    """
    _refuse_contradictions(options)
    require("train", "Evaluating", ("torch", "h5py"))
    if options.report:
        from unisono.retrieval.report.evaluation import write_report  # a missing package is an error before the work
    named = model_of(options.model, options.checkpoint)
    if options.model is None:
        options = replace(options, checkpoint=Path(named))
    result = msgspec.structs.replace(_evaluate(named, options), options=record(options))
    output = options.output or _beside(named, options.data_root, result.called)
    remove_left_behind(output)
    result.write(output)  # before the tables are printed: whoever reads along may end early
    if options.report:
        remove_left_behind(options.report)
        write_report(result, options.report, clips=options.report_audio)
    _show(result)
    for written in (output, options.report):
        if written:
            console.log.info("Wrote %s.", written)
    return result


def _refuse_contradictions(options: EvaluateOptions) -> None:
    if options.report_audio and not options.report:
        raise UsageError("--report-audio needs a report.", hint="Add --report report.html")
    if options.benchmark:
        for name in ("dataset_file", "split", "queries"):
            if getattr(options, name):
                raise UsageError(f"--benchmark and --{name.replace('_', '-')} exclude each other.")
    elif options.allow_missing:
        raise UsageError("--allow-missing needs --benchmark.")


def _beside(named: str | Path, data_root: Path, called: str) -> Path:
    """Return the default path of the result: next to the checkpoint, or in the data folder."""
    from unisono.retrieval import models

    where = data_root / named if str(named) in models.names() else Path(named)
    return where.with_name(f"{where.stem}_{called}.json")


def _evaluate(named: str | Path, options: EvaluateOptions) -> "Result":
    with extra("train", "Evaluating"):
        from unisono.retrieval.evaluate import run as evaluating
        from unisono.retrieval.models import load_model
    model = load_model(named, options.device)
    asked = {name: getattr(options, name) for name in ASKED}
    if options.benchmark:
        return evaluating.evaluate_named(
            model,
            options.benchmark,
            data_root=options.data_root,
            output_dir=options.data_dir,
            allow_missing=options.allow_missing,
            **asked,
        )
    if options.dataset_file:
        kept = "_windows" if options.windows in ("best", "mean") or options.rerank else ""
        own = Workspace(options.data_root).benchmark(options.dataset_file, model.audio_encoder.name + kept)
        return evaluating.evaluate_benchmark(
            model,
            options.dataset_file,
            output_dir=options.data_dir or own,
            split=options.split,
            queries=options.queries,
            **asked,
        )
    data = options.data_dir or Workspace(options.data_root).embeddings
    return evaluating.evaluate(model, data, split=options.split or "test", queries=options.queries, **asked)


def _show(result: "Result") -> None:
    from unisono.retrieval.evaluate.result import NOTE

    for table in result.tables():
        console.out.print(f"\n[bold]{console.escape(table.title)}[/]", soft_wrap=True)
        console.say(str(replace(table, title="")))
    console.out.print(f"\n{NOTE}\n[bold]Protocol[/]")
    for sentence in result.protocol:
        console.out.print(f"- {console.escape(sentence)}")


def evaluate(options: EvaluateOptions = EvaluateOptions()) -> None:
    """Measure how well a model finds held-out music by its descriptions, and descriptions by their music."""
    if options.benchmark == ALL:
        _refuse_contradictions(options)
        page = options.report or _beside(
            model_of(options.model, options.checkpoint), options.data_root, "benchmarks"
        ).with_suffix(".html")

        def evaluate_on(benchmark: str) -> "Result":
            return run(replace(options, benchmark=benchmark, report=None, output=None, data_dir=None))

        run_all(Workspace(options.data_root), page, evaluate_on)
    else:
        run(options)
