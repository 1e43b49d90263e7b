"""A folder for the Hugging Face Hub: an export, a card with the Hub's metadata, and a loader that needs no unisono."""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from unisono.base.errors import DataError
from unisono.base.extras import extra
from unisono.retrieval.checkpoint import Checkpoint
from unisono.retrieval.evaluate.result import Result
from unisono.retrieval.evaluate.tables import GRADED, TITLES
from unisono.retrieval.metrics import TEXT_TO_MUSIC
from unisono.retrieval.model_card import body, metadata

LOADER = "unisono_model.py"
"""The standalone file."""
USE = """## Use

Without unisono (needs numpy, onnxruntime, safetensors and tokenizers):

```python
from unisono_model import load

model = load(".")
vectors = model.embed_text(["slow solemn choir"])  # and model.project_audio(embeddings of the audio encoder)
```

With unisono: `unisono.load_model("this folder").search("slow solemn choir", data="my music's embeddings.h5")`.
"""


def write_hub_files(folder: Path, name: str, checkpoint: Checkpoint, results: Sequence[Result]) -> None:
    """Write the card with metadata, and the loader, into an export.

    Raises:
        DataError: the Hub's own library does not accept the card.
    """
    with extra("embed", "Writing a folder for the Hub"):
        from huggingface_hub import ModelCard
    data = _metadata(checkpoint, results, name)
    text = f"---\n{data.to_yaml()}\n---\n\n{body(checkpoint)}\n{_benchmarks(results)}{USE}"
    try:
        ModelCard(text)
    except (ValueError, TypeError) as error:
        raise DataError(f"The Hub would not accept the card: {error}.") from error
    (folder / "README.md").write_text(text, encoding="utf-8")
    loader = (files("unisono.retrieval") / "_standalone.py").read_text(encoding="utf-8")
    (folder / LOADER).write_text(loader, encoding="utf-8")


def _metadata(checkpoint: Checkpoint, results: Sequence[Result], name: str) -> Any:
    from huggingface_hub import EvalResult, ModelCardData

    evaluated = [
        EvalResult(
            task_type="feature-extraction",
            task_name="text-to-music retrieval",
            dataset_type=result.benchmark or result.called,
            dataset_name=f"{result.called}: {found.queries:,} queries among {found.candidates:,} tracks",
            metric_type=measure,
            metric_name=f"{TITLES.get(measure, measure)} (text to music)",
            metric_value=round(found.estimates[measure].value, 4),
        )
        for result in results
        for found in [result.retrieval[TEXT_TO_MUSIC]["all"]]
        for measure in GRADED
        if measure in found.estimates
    ]
    return ModelCardData(**metadata(checkpoint), model_name=name, eval_results=evaluated or None)


def _benchmarks(results: Sequence[Result]) -> str:
    """Return the results as Markdown, each with its interval, chance and protocol."""
    parts = []
    for result in results:
        table = result.tables()[0]
        title = table.title.replace("\n", "; ")
        parts.append(f"### {result.called}\n\n{title}. In per cent except ranks.\n\n{table.markdown()}\n")
        parts += [f"- {sentence}" for sentence in result.protocol]
        parts.append("")
    return "## Benchmarks\n\n" + "\n".join(parts) + "\n" if parts else ""
