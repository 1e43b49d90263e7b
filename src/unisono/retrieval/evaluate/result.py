"""The result of an evaluation, as it is written to JSON: every number with its interval, chance and counts."""

from pathlib import Path
from typing import Any

import msgspec

from unisono.base.arguments import AnyPath, as_path
from unisono.base.errors import DataError, UsageError
from unisono.base.files import write_whole
from unisono.base.table import Table, Tabular
from unisono.retrieval.evaluate import benchmarks
from unisono.retrieval.evaluate.edit_results import RobustnessReport
from unisono.retrieval.evaluate.hubness import HubReport, hub_table
from unisono.retrieval.evaluate.measured import CategoryResult, Measured
from unisono.retrieval.evaluate.reference import published_table
from unisono.retrieval.evaluate.tables import result_tables
from unisono.retrieval.metrics import TEXT_TO_MUSIC

FORMAT = 1
NOTE = "All in per cent except ranks, with 95 % intervals."


class QueryResult(msgspec.Struct, frozen=True):
    """The result of one query, by which `compare` pairs two models."""

    query: str
    """The caption, or the id of the excerpt."""
    about: str
    """Identity of the recording."""
    rank: int
    """Rank of the best relevant candidate, from 1."""
    average_precision: float
    """Among the first 10."""
    ndcg: float | None = None
    """Among the first 10, if judges graded the candidates."""


class FoundExcerpt(msgspec.Struct, frozen=True):
    """An excerpt that a query found, or should have found."""

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
    right: FoundExcerpt
    """The relevant excerpt of the best rank."""
    found: list[FoundExcerpt]
    """The excerpts of the first ranks."""


class Result(Tabular, msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of one evaluation."""

    note = NOTE

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
    benchmark: str = ""
    """Name of the benchmark, if it was asked for by name and all of its music is there."""
    protocol: list[str]
    """The protocol in words."""
    retrieval: dict[str, dict[str, Measured]]
    """Direction -> slice ("all", "dataset fma", "captions by human", ...) -> metrics."""
    tagging: dict[str, CategoryResult] = {}
    baselines: dict[str, dict[str, Measured]] = {}
    """Name -> direction -> metrics."""
    examples: dict[str, list[Example]] = {}
    """The captions that find their music "best" and "worst"."""
    queries: dict[str, list[QueryResult]] = {}
    """Direction -> result of every query."""
    robustness: RobustnessReport | None = None
    """What edits of captions and audio change, if that was asked for."""
    hubs: dict[str, HubReport] = {}
    """How the first ten places are shared out, as it is and corrected, if that was asked for."""
    options: dict[str, Any] = {}

    def __repr__(self) -> str:
        heading = f"Result of {self.checkpoint or 'a model'} on {self.called} of {self.data}"
        return "\n\n".join([heading, *map(str, self.tables()), f"{NOTE} The protocol is in `.protocol`."])

    def tables(self) -> list[Table]:
        """Return the tables of slices, baselines and tags, and of published results of the same queries and candidates."""
        found = [*result_tables(self.called, self.retrieval, self.baselines, self.tagging), *self.published()]
        return [*found, *self.edit_tables()]

    def edit_tables(self) -> list[Table]:
        """Return the tables of edits and of hubs, if there are any."""
        found = self.robustness.tables() if self.robustness else []
        return [*found, hub_table(self.hubs)] if self.hubs else found

    def published(self) -> list[Table]:
        """Return this result above the published ones of the same benchmark, queries and candidates."""
        if not self.benchmark:
            return []
        named = f"{Path(self.checkpoint).name}, {self.audio_encoder}"
        found = published_table(named, benchmarks.get(self.benchmark).music, self.retrieval[TEXT_TO_MUSIC]["all"])
        return [found] if found else []

    def write(self, path: AnyPath) -> None:
        """Write the result as JSON, whole or not at all."""
        write_whole(as_path(path), msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n")


def read_result(path: Path) -> Result:
    """Read a result from JSON.

    Raises:
        UsageError: there is no such file.
        DataError: it is not a result of this format.
    """
    if not path.is_file():
        raise UsageError(
            f"There is no {path}.", hint="Make one with: unisono evaluate --checkpoint ... --output " + str(path)
        )
    try:
        result = msgspec.json.decode(path.read_bytes(), type=Result)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is not a result of unisono evaluate: {error}.") from error
    if result.format != FORMAT:
        raise DataError(f"{path}: expected a result of format {FORMAT}, found {result.format}.")
    return result
