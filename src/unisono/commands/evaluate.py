"""The stage: a checkpoint and a split of `embeddings.h5` -> tables, a JSON file with all of it, and an HTML report."""

from dataclasses import replace

from unisono import __version__
from unisono.base.errors import DataError, UsageError
from unisono.commands import console
from unisono.commands import options as stage_options
from unisono.commands.evaluate_table import show
from unisono.embeddings.file import EmbeddingsFile, SplitRows, open_embeddings
from unisono.retrieval.checkpoint import Model, load_model
from unisono.retrieval.evaluate import retrieval, tagging
from unisono.retrieval.evaluate.baselines import measure_baselines
from unisono.retrieval.evaluate.benchmark import Benchmark, prepare_benchmark
from unisono.retrieval.evaluate.examples import examples
from unisono.retrieval.evaluate.options import EvaluateOptions
from unisono.retrieval.evaluate.overlap import Overlap, find_overlap, without_overlap
from unisono.retrieval.evaluate.result import CategoryResult, Measured, Result, write_result
from unisono.retrieval.pairing import TEXT_TO_MUSIC, pair_rows
from unisono.retrieval.project import Floats, project
from unisono.retrieval.rows import keep_captions, read_rows
from unisono.retrieval.train.distributed import local_device

VALID = "captions found valid, among their tracks"
"""Name of the lines of a benchmark whose captions people judged."""


def run(options: EvaluateOptions) -> Result:
    """Evaluate, print the tables, write the files and return what the JSON holds.

    Raises:
        UsageError: the model was trained on some of the music, or the options do not fit each other.
        DataError: the split is empty, or the embeddings do not fit the model.
    """
    if options.report_audio and not options.report:
        raise UsageError("--report-audio needs a report.", hint="Add --report report.html")
    if options.report:
        from unisono.commands.report.evaluation import write as write_report  # says at once what is not installed
    model = load_model(options.checkpoint, str(local_device(options.device)))
    benchmark = prepare_benchmark(model, options.dataset_file, options) if options.dataset_file else None
    with open_embeddings(options.data_path(model.audio_encoder.name)) as file:
        result = evaluate_split(model, file, options, benchmark)
    show(result)
    write_result(options.output_path, result)
    console.log.info("Wrote %s.", options.output_path)
    if options.report:
        write_report(options.report, result, clips=options.report_audio)
        console.log.info("Wrote %s.", options.report)
    return result


def evaluate_split(
    model: Model, file: EmbeddingsFile, options: EvaluateOptions, benchmark: Benchmark | None = None
) -> Result:
    """Evaluate a model on a split of a file, or on a benchmark that was embedded into the file."""
    rows = read_rows(file, options.one_split, [model.audio_encoder.name])
    if not rows.ids:
        raise DataError(f"{file.path}: the split {options.called} is empty.")
    rows, notes = _unseen(model, rows, options)
    if benchmark:
        notes += benchmark.protocol(rows)
    pairing = pair_rows(rows)
    music = project(model, file, rows)
    console.log.info("Embedding %s captions.", f"{len(pairing.texts):,}")
    texts = model.embed_text(pairing.texts)
    ranked = retrieval.rank_both(pairing, texts, music)
    measured = retrieval.measure_all(rows, pairing, ranked, seed=options.seed)
    notes = retrieval.protocol(measured) + notes
    if benchmark and benchmark.valid:
        for direction, found in _measure_valid(model, rows, music, benchmark, options).items():
            measured[direction][VALID] = found
        notes.append(f"“{VALID}”: an evaluation of its own, with those captions and the excerpts that have one.")
    queries = _tag_queries(rows, options)
    return Result(
        version=__version__,
        checkpoint=str(options.checkpoint),
        audio_encoder=model.audio_encoder.name,
        text_encoder=model.checkpoint.text_encoder.name,
        data=str(file.path),
        called=options.called,
        protocol=[*notes, *tagging.protocol(queries)],
        retrieval=measured,
        tagging=_measure_tags(model, queries, music, options),
        baselines=measure_baselines(model, file, options.one_split, rows, pairing, seed=options.seed)
        if options.baselines
        else {},
        examples=examples(rows, pairing, ranked[TEXT_TO_MUSIC], texts, music),
        queries=retrieval.query_results(rows, pairing, ranked),
        options=stage_options.record(options),
    )


def _unseen(model: Model, rows: SplitRows, options: EvaluateOptions) -> tuple[SplitRows, list[str]]:
    """Leave out, or refuse, what the model was trained on; give also the sentences that say so."""
    if options.one_split == "train" and not options.dataset_file:
        return rows, ["This is the TRAINING split: the numbers say nothing about music that the model has not seen."]
    overlap = find_overlap(rows, model.trained_on)
    chooses = options.one_split == "val" and not options.dataset_file
    if chooses:
        overlap = replace(overlap, val_seen=None)
    kept = without_overlap(rows, overlap, exclude=options.exclude_overlap)
    notes = [overlap.sentence() + (" Seen excerpts were left out." if overlap.seen.any() else "")]
    if chooses:
        notes.append("Training chose its best checkpoint by the val split: the numbers are somewhat too good.")
    else:
        notes.append(overlap.val_sentence() + _of_val(overlap, options))
    return kept, notes


def _of_val(overlap: Overlap, options: EvaluateOptions) -> str:
    """Say what was done about excerpts of the val split, and warn if nothing was."""
    if overlap.val_seen is None or not overlap.val_seen.any():
        return ""
    if options.exclude_overlap:
        return " They were left out."
    console.log.warning(
        "%s of the %s excerpts, or their recordings, were in the val split that chose the checkpoint: the numbers are "
        "somewhat too good. --exclude-overlap leaves them out.",
        f"{overlap.val_seen.sum():,}",
        f"{len(overlap.val_seen):,}",
    )
    return " The numbers are somewhat too good for them."


def _measure_valid(
    model: Model, rows: SplitRows, music: Floats, benchmark: Benchmark, options: EvaluateOptions
) -> dict[str, Measured]:
    chosen, described = keep_captions(rows, benchmark.valid_captions(rows))
    pairing = pair_rows(chosen)
    ranked = retrieval.rank_both(pairing, model.embed_text(pairing.texts), music[described])
    return {direction: ranking.measure(seed=options.seed) for direction, ranking in ranked.items()}


def _tag_queries(rows: SplitRows, options: EvaluateOptions) -> list[tagging.TagQueries]:
    own = [tagging.read_queries(options.queries, rows)] if options.queries else []
    return [*tagging.tag_queries(rows), *own]


def _measure_tags(
    model: Model, queries: list[tagging.TagQueries], music: Floats, options: EvaluateOptions
) -> dict[str, CategoryResult]:
    return {
        each.category: tagging.measure_tags(each, model.embed_text(each.prompts), music, seed=options.seed)
        for each in queries
    }


def evaluate(options: EvaluateOptions) -> None:
    """Measure how well a model finds held-out music by its descriptions, and descriptions by their music."""
    run(options)
