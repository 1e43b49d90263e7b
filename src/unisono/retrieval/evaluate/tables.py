"""The results of evaluations as tables: in per cent, except ranks."""

from collections.abc import Iterator

from unisono.base.table import Table
from unisono.retrieval.evaluate.measured import CategoryResult, Estimate, Measured
from unisono.retrieval.metrics import MUSIC_TO_TEXT, TEXT_TO_MUSIC

MEASURES = ("recall@1", "recall@5", "recall@10", "mrr", "map@10", "median_rank")
"""The measures that tables show."""
GRADED = ("ndcg@10", *MEASURES)
"""The same where judges graded the candidates."""
TITLES = {
    "mrr": "MRR",
    "map@10": "mAP@10",
    "ndcg@10": "nDCG@10",
    "median_rank": "median rank",
    "roc_auc": "ROC-AUC",
    "pr_auc": "PR-AUC",
}
"""The name of a measure in print, if it is not its own name."""


def measures_of(measured: Measured) -> tuple[str, ...]:
    """Return the measures to show of one set of queries."""
    return GRADED if GRADED[0] in measured.estimates else MEASURES


def say(name: str, value: float) -> str:
    """Return a value of a measure as text: a rank as a number, everything else in per cent."""
    if name == "median_rank":
        return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"
    return f"{100 * value:.1f}"


def say_interval(name: str, estimate: Estimate) -> str:
    """Return the interval of an estimate as text."""
    return f"{say(name, estimate.low)}–{say(name, estimate.high)}"


def result_tables(
    called: str,
    retrieval: dict[str, dict[str, Measured]],
    baselines: dict[str, dict[str, Measured]],
    tagging: dict[str, CategoryResult],
) -> Iterator[Table]:
    """Yield the tables of the fields of a `Result`."""
    forth, back = retrieval[TEXT_TO_MUSIC], retrieval[MUSIC_TO_TEXT]
    for name in forth:
        yield _retrieval_table(f"{called}, {name}", forth[name], back[name])
    for name, measured in baselines.items():
        yield _retrieval_table(f"baseline: {name}", measured[TEXT_TO_MUSIC], measured[MUSIC_TO_TEXT])
    if tagging:
        yield _tagging_table(tagging)


def _retrieval_table(title: str, forth: Measured, back: Measured) -> Table:
    rows = []
    for name in measures_of(forth):
        cells = [TITLES.get(name, name)]
        for measured in (forth, back):
            estimate = measured.estimates.get(name)
            cells += (
                [say(name, estimate.value), say_interval(name, estimate), say(name, estimate.chance)]
                if estimate
                else [""] * 3
            )
        rows.append(cells)
    return Table(
        f"{title}\ntext to music: {forth.queries:,} queries among {forth.candidates:,} tracks\n"
        f"music to text: {back.queries:,} queries among {back.candidates:,} captions",
        ("", "to music", "95%", "chance", "to text", "95%", "chance"),
        rows,
    )


def _tagging_table(tagging: dict[str, CategoryResult]) -> Table:
    rows = []
    for category, found in tagging.items():
        over = f"{found.measured.queries:,} tags, {found.measured.candidates:,} tracks"
        estimates = [(name, estimate, over) for name, estimate in found.measured.estimates.items()]
        if found.accuracy:
            estimates.append(("accuracy", found.accuracy, f"{found.accuracy_tracks:,} tracks with one"))
        rows += [
            (
                f"{category} {TITLES.get(name, name)}",
                say(name, estimate.value),
                say_interval(name, estimate),
                say(name, estimate.chance),
                what,
            )
            for name, estimate, what in estimates
        ]
    return Table("single-tag queries", ("", "value", "95%", "chance", "over"), rows)
