"""What an evaluation finds, as it is written to JSON: every number with its interval, chance and counts."""

from pathlib import Path
from typing import Any

import msgspec

from unisono.base.errors import DataError, UsageError
from unisono.base.files import write_whole

FORMAT = 1
MEASURES = ("recall@1", "recall@5", "recall@10", "mrr", "map@10", "median_rank")
"""The measures that tables show."""


class Estimate(msgspec.Struct, frozen=True):
    """One number."""

    value: float
    low: float
    """Lower end of the 95 % bootstrap interval."""
    high: float
    chance: float
    """What ranking at random gives in expectation, with the same queries and candidates."""


class Measured(msgspec.Struct, frozen=True):
    """All numbers of one set of queries."""

    queries: int
    candidates: int
    relevant: float
    """Relevant candidates a query, on average."""
    clusters: int
    """Recordings (or tags) that the queries are about: what the bootstrap draws."""
    estimates: dict[str, Estimate]


class QueryResult(msgspec.Struct, frozen=True):
    """How one query fared: what `compare` pairs two models by."""

    query: str
    """The caption, or the id of the track."""
    about: str
    """Identity of the recording."""
    rank: int
    """Rank of the best relevant candidate, from 1."""
    average_precision: float
    """Of the first 10."""


class TagResult(msgspec.Struct, frozen=True):
    """How well one tag finds its tracks."""

    tag: str
    prompt: str
    tracks: int
    """Tracks that carry the tag."""
    precision_at_5: float
    roc_auc: float
    pr_auc: float


class CategoryResult(msgspec.Struct, frozen=True):
    """Zero-shot tagging in one category of tags: genre, mood or instrument."""

    measured: Measured
    """`precision@5`, `roc_auc`, `pr_auc`, averaged over the tags."""
    accuracy: Estimate | None
    """Share of the tracks with exactly one of the tags for which that tag's prompt scores highest."""
    accuracy_tracks: int
    tags: list[TagResult]


class Found(msgspec.Struct, frozen=True):
    """An excerpt that a query found, or should have."""

    id: str
    name: str
    audio_path: str
    start_s: float
    duration_s: float
    score: float
    """Cosine similarity."""
    relevant: bool


class Example(msgspec.Struct, frozen=True):
    """A query to listen to."""

    query: str
    rank: int
    right: Found
    """The relevant excerpt that ranks best."""
    found: list[Found]
    """The excerpts that rank first."""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of one evaluation."""

    format: int = FORMAT
    version: str
    """Of unisono."""
    checkpoint: str
    audio_encoder: str
    text_encoder: str
    data: str
    """The file evaluated on."""
    called: str
    """The split, or the benchmark."""
    protocol: list[str]
    """The protocol in words."""
    retrieval: dict[str, dict[str, Measured]]
    """Direction -> slice ("all", "dataset fma", "captions by human", ...) -> numbers."""
    tagging: dict[str, CategoryResult] = {}
    baselines: dict[str, dict[str, Measured]] = {}
    """Name -> direction -> the same numbers for a model that knows less."""
    examples: dict[str, list[Example]] = {}
    """ "best" and "worst" captions."""
    queries: dict[str, list[QueryResult]] = {}
    """Direction -> every query."""
    options: dict[str, Any] = {}


def write_result(path: Path, result: Result) -> None:
    """Write a result as JSON, whole or not at all."""
    write_whole(path, msgspec.json.format(msgspec.json.encode(result), indent=1) + b"\n")


def read_result(path: Path) -> Result:
    """Read a result.

    Raises:
        UsageError: there is no such file.
        DataError: it is no result of this format.
    """
    if not path.is_file():
        raise UsageError(
            f"There is no {path}.", hint="Make one with: unisono evaluate --checkpoint ... --output " + str(path)
        )
    try:
        result = msgspec.json.decode(path.read_bytes(), type=Result)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is no result of unisono evaluate: {error}.") from error
    if result.format != FORMAT:
        raise DataError(f"{path}: expected a result of format {FORMAT}, found {result.format}.")
    return result
