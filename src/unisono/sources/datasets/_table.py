"""The table of all datasets in docs/datasets.md: `python -m unisono.sources.datasets._table` prints it."""

import sys

from unisono.sources import registry as datasets
from unisono.sources.base import Dataset

_HEADER = ("name", "dataset", "tracks", "captions", "their licence", "audio licence", "")


def markdown() -> str:
    """Return the table of all datasets, in alphabetical order, as Markdown."""
    rows = [_HEADER, tuple("---:" if name == "tracks" else "---" for name in _HEADER)]
    rows += [_row(datasets.get(name)) for name in datasets.names()]
    return "".join(f"| {' | '.join(row)} |\n".replace("|  |", "| |") for row in rows)


def _row(dataset: Dataset) -> tuple[str, ...]:
    notes = [
        "for evaluation: do not train on it" if dataset.evaluation_only else "",
        "" if dataset.in_default_mix else "takes part only when named",
        "bring your own audio" if dataset.not_fetched else "",
    ]
    return (
        f"`{dataset.name}`",
        f"[{dataset.title}]({dataset.homepage})",
        f"{dataset.tracks:,}",
        dataset.captions_in_words,
        dataset.caption_license,
        dataset.audio_license,
        "; ".join(filter(None, notes)),
    )


if __name__ == "__main__":
    sys.stdout.write(markdown())
