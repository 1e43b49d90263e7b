"""The metrics of an evaluation: every number with its interval, chance and counts."""

import msgspec


class Estimate(msgspec.Struct, frozen=True):
    """One number."""

    value: float
    low: float
    """Lower end of the 95 % bootstrap interval."""
    high: float
    chance: float
    """The expectation under a random order, for the same queries and candidates."""


class Measured(msgspec.Struct, frozen=True):
    """The metrics of one set of queries."""

    queries: int
    candidates: int
    relevant: float
    """Relevant candidates of a query, on average."""
    clusters: int
    """Recordings (or tags) of the queries: what the bootstrap draws."""
    estimates: dict[str, Estimate]


class TagResult(msgspec.Struct, frozen=True):
    """The result of one tag."""

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
