"""Zero-shot tagging: whether the prompt of a tag finds the tracks that carry the tag.

Each tag is one query, such as `music featuring flute`. Tracks that carry the tag are relevant; candidates are the tracks
that carry any tag of its category. Tags are those of the rows; the vocabulary sorts them into genres, moods and
instruments, and tags that it does not know are left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unisono.base.errors import DataError, UsageError
from unisono.base.log import log
from unisono.embeddings.file import SplitRows
from unisono.retrieval.evaluate.measured import CategoryResult, Estimate, Measured, TagResult
from unisono.retrieval.metrics import Relevance, chance, intervals, normalised, per_query, ranks
from unisono.tracks.vocabulary import key, sort_tags

PROMPTS = {"genre": "{tag} music", "mood": "{tag} music", "instrument": "music featuring {tag}"}
OWN = "queries"
"""The category of the queries of a user."""
MIN_TRACKS = 5
"""The least tracks of a tag; with fewer, its precision@5 cannot be 1."""


@dataclass(frozen=True)
class TagQueries:
    """The tags of one category that are queries."""

    category: str
    tags: list[str]
    prompts: list[str]
    """The text of each tag's query."""
    candidates: NDArray[np.int64]
    """Rows [C] of the excerpts that carry any tag of the category; nothing is known of the others."""
    carries: NDArray[np.bool_]
    """[tags, C]: which candidates carry each tag."""


def tag_queries(rows: SplitRows, min_tracks: int = MIN_TRACKS) -> list[TagQueries]:
    """Return the tags of a split that at least `min_tracks`, and not all, candidates carry; `genre` counts as a tag."""
    holders: dict[str, dict[str, set[int]]] = {category: {} for category in PROMPTS}
    for row, (tags, genre) in enumerate(zip(rows.tags, rows.texts["genre"], strict=True)):
        facts = sort_tags(genre, tags)
        named = {"genre": (facts.genre, *facts.genres), "mood": facts.moods, "instrument": facts.instruments}
        for category, terms in named.items():
            for term in filter(None, terms):
                holders[category].setdefault(term, set()).add(row)
    queries = []
    for category, held in holders.items():
        candidates = np.array(sorted(set().union(*held.values())), dtype=np.int64)
        tags = sorted(tag for tag, found in held.items() if min_tracks <= len(found) < len(candidates))
        carries = np.array([np.isin(candidates, list(held[tag])) for tag in tags])
        if tags:
            prompts = [PROMPTS[category].format(tag=tag) for tag in tags]
            queries.append(TagQueries(category, tags, prompts, candidates, carries))
    return queries


def read_queries(path: Path, rows: SplitRows) -> TagQueries:
    """Read the queries of a user: a text and the tags that a relevant excerpt carries, `slow flute<tab>flute, slow`.

    Blank lines and lines that begin with # are ignored. A query without relevant excerpts is left out, with a warning.

    Raises:
        UsageError: there is no such file, or no query is left.
        DataError: a line is not of this form.
    """
    if not path.is_file():
        raise UsageError(
            f"There is no {path}.", hint="Write one query a line: a text, a tab, the tags of relevant tracks."
        )
    held = [{*map(key, tags), key(genre)} for tags, genre in zip(rows.tags, rows.texts["genre"], strict=True)]
    prompts, wanted, answers = [], [], []
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        text, _, tags = line.partition("\t")
        asked = {key(tag) for tag in tags.split(",")} - {""}
        if not text.strip() or not asked:
            raise DataError(f"{path} line {number}: expected a text, a tab and tags, found {line!r}.")
        carries = np.array([asked <= tags_of_row for tags_of_row in held])
        if not carries.any():
            log.warning("%s line %d: no excerpt carries %s; left out.", path, number, tags.strip())
            continue
        prompts.append(text.strip())
        wanted.append(tags.strip())
        answers.append(carries)
    if not prompts:
        raise UsageError(f"{path}: no query has a relevant excerpt in the split.")
    candidates = np.flatnonzero([bool(tags_of_row - {""}) for tags_of_row in held])
    return TagQueries(OWN, wanted, prompts, candidates, np.stack(answers)[:, candidates])


def measure_tags(
    queries: TagQueries, prompts: NDArray[np.floating], music: NDArray[np.floating], *, seed: int
) -> CategoryResult:
    """Measure one category: its prompts [tags, D] and the music [N, D] or [N, W, D]; tags are resampled (or tracks)."""
    music = music[queries.candidates]
    tag, row = np.nonzero(queries.carries)
    relevance = Relevance.from_pairs(tag, row, *queries.carries.shape)
    found = ranks(prompts, music, relevance)
    values = {"precision@5": per_query(found, relevance)["precision@5"], **_areas(found, relevance)}
    about = np.arange(len(queries.tags))
    bounds = intervals({**values, "rank": per_query(found, relevance)["rank"]}, about, seed=seed)
    expected = {"precision@5": chance(relevance)["precision@5"], "roc_auc": 0.5, "pr_auc": _chance_pr_auc(relevance)}
    measured = Measured(
        queries=len(queries.tags),
        candidates=relevance.candidates,
        relevant=float(relevance.counts.mean()),
        clusters=len(queries.tags),
        estimates={
            name: Estimate(float(value.mean()), *bounds[name], expected[name]) for name, value in values.items()
        },
    )
    accuracy, tracks = _accuracy(queries, prompts, music, seed=seed)
    listed = [
        TagResult(name, prompt, int(count), float(precision), float(roc), float(pr))
        for name, prompt, count, precision, roc, pr in zip(
            queries.tags, queries.prompts, relevance.counts, *values.values(), strict=True
        )
    ]
    return CategoryResult(measured, accuracy, tracks, listed)


def _areas(found: NDArray[np.int64], relevance: Relevance) -> dict[str, NDArray[np.float64]]:
    """Compute the areas under the ROC and the precision-recall curve of each query from the ranks."""
    counts = relevance.counts
    begin = relevance.offsets[:-1]
    place = np.arange(len(found)) - np.repeat(begin, counts) + 1
    wrong_before = np.add.reduceat((found - place).astype(np.float64), begin)
    return {
        "roc_auc": 1 - wrong_before / (counts * (relevance.candidates - counts)),
        "pr_auc": np.add.reduceat(place / found, begin) / counts,
    }


def _chance_pr_auc(relevance: Relevance) -> float:
    """Return the expected average precision of a random order: slightly more than the share of relevant tracks."""
    rank = np.arange(1, relevance.candidates + 1)
    others = (relevance.counts - 1) / max(relevance.candidates - 1, 1)
    harmonic = float((1 / rank).mean())
    return float((harmonic + others * (1 - harmonic)).mean())


def _accuracy(
    queries: TagQueries, prompts: NDArray[np.floating], music: NDArray[np.floating], *, seed: int
) -> tuple[Estimate | None, int]:
    """Measure the accuracy on the tracks that carry exactly one of the tags; a tie is wrong."""
    tracks = np.flatnonzero(queries.carries.sum(axis=0) == 1)
    if queries.category == OWN or len(queries.tags) < 2 or not len(tracks):
        return None, len(tracks)
    truth = queries.carries[:, tracks].argmax(axis=0)
    relevance = Relevance.from_pairs(np.arange(len(tracks)), truth, len(tracks), len(queries.tags))
    rank = ranks(normalised(music)[tracks], prompts, relevance)
    right = (rank == 1).astype(np.float64)
    low, high = intervals({"accuracy": right, "rank": 2 - right}, np.arange(len(tracks)), seed=seed)["accuracy"]
    return Estimate(float(right.mean()), low, high, 1 / len(queries.tags)), len(tracks)


def protocol(queries: Sequence[TagQueries]) -> list[str]:
    """Return in words how the numbers were computed."""
    if not queries:
        return []
    asked = "; ".join(
        f"{each.category}: {len(each.tags)} tags, “{PROMPTS.get(each.category, 'the texts of the file')}”"
        for each in queries
    )
    return [
        f"Tags: every genre, mood and instrument that at least {MIN_TRACKS} excerpts carry is a query, as a prompt "
        f"({asked}). Candidates are the excerpts with any tag of that category. Excerpts without the tag count as not "
        "relevant, although tags are rarely complete. Averages and intervals are over tags. pr_auc is the average precision "
        "over the whole ranking. accuracy: excerpts with exactly one of the tags, classified by the nearest prompt.",
    ]
