"""The stage: a checkpoint and a split of `embeddings.h5` -> tables, and a JSON file with all of it."""

from unisono import __version__, console
from unisono import options as stage_options
from unisono.embeddings import EmbeddingsFile, SplitRows, open_embeddings
from unisono.errors import DataError
from unisono.evaluate import retrieval, tagging
from unisono.evaluate.options import EvaluateOptions
from unisono.evaluate.overlap import find_overlap, without_overlap
from unisono.evaluate.pairing import pair_rows
from unisono.evaluate.result import CategoryResult, Result, write_result
from unisono.evaluate.table import show
from unisono.projected import Floats, project
from unisono.train.checkpoint import Model, load_model


def run(options: EvaluateOptions) -> Result:
    """Evaluate, print the tables, write the JSON and return what it holds.

    Raises:
        UsageError: the model was trained on some of the music.
        DataError: the split is empty, or the embeddings do not fit the model.
    """
    model = load_model(options.checkpoint)
    with open_embeddings(options.data_path) as file:
        result = evaluate(model, file, options)
    show(result)
    write_result(options.output_path, result)
    console.log.info("Wrote %s.", options.output_path)
    return result


def evaluate(model: Model, file: EmbeddingsFile, options: EvaluateOptions) -> Result:
    """Evaluate a model on a split of a file."""
    rows = file.read(options.split, [model.audio_encoder.name])
    if not rows.ids:
        raise DataError(f"{file.path}: the split {options.split} is empty.")
    notes = []
    if options.split == "train":
        notes.append("This is the TRAINING split: the numbers say nothing about music that the model has not seen.")
    else:
        overlap = find_overlap(rows, model.trained_on)
        rows = without_overlap(rows, overlap, exclude=options.exclude_overlap)
        notes.append(overlap.sentence() + (" Seen excerpts were left out." if overlap.seen.any() else ""))
    pairing = pair_rows(rows)
    music = project(model, file, rows)
    console.log.info("Embedding %s captions.", f"{len(pairing.texts):,}")
    ranked = retrieval.rank_both(pairing, model.embed_text(pairing.texts), music)
    measured = retrieval.measure_all(rows, pairing, ranked, seed=options.seed)
    queries = _tag_queries(rows, options)
    return Result(
        version=__version__,
        checkpoint=str(options.checkpoint),
        audio_encoder=model.audio_encoder.name,
        text_encoder=model.checkpoint.text_encoder.name,
        data=str(file.path),
        split=options.split,
        protocol=[*retrieval.protocol(measured, options.split), *tagging.protocol(queries), *notes],
        retrieval=measured,
        tagging=_measure_tags(model, queries, music, options),
        queries=retrieval.query_results(rows, pairing, ranked),
        options=stage_options.record(options),
    )


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
