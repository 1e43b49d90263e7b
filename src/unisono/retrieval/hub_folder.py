"""A folder for the Hugging Face Hub: an export, a card with the Hub's metadata, and a loader that needs no unisono.

`read_folder` reads such a folder, or any export, back; it holds safetensors and JSON only, so nothing of it is executed.
"""

import json
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from unisono.base.errors import DataError
from unisono.base.extras import extra
from unisono.embeddings.encoders.text import TextEncoderSpec
from unisono.embeddings.file import EncoderRecord
from unisono.retrieval.checkpoint import Checkpoint, TrainedOn
from unisono.retrieval.checkpoint_content import NAMED, ContentError, check_content
from unisono.retrieval.evaluate.result import Result
from unisono.retrieval.evaluate.tables import GRADED, TITLES
from unisono.retrieval.heads import Architecture
from unisono.retrieval.metrics import TEXT_TO_MUSIC
from unisono.retrieval.model_card import model_card

WEIGHTS = "model.safetensors"
CONFIG = "config.json"
LOADER = "unisono_model.py"
"""The standalone file."""
ADAPTER = "text_encoder."
"""What the names of the adapters' tensors begin with."""
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
    text = f"---\n{data.to_yaml()}\n---\n\n{model_card(checkpoint)}\n{_benchmarks(results)}{USE}"
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
    return ModelCardData(
        language="en",
        license="other",
        license_name="see-the-card",
        license_link="README.md",
        library_name="unisono",
        pipeline_tag="feature-extraction",
        tags=["music", "text-to-music-retrieval", "music-information-retrieval", checkpoint.audio_encoder.name],
        model_name=name,
        eval_results=evaluated or None,
    )


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


def read_folder(folder: Path) -> Checkpoint:
    """Read an export back.

    What the model was trained on is known as numbers only, not by ids: whether a benchmark was seen cannot be told.

    Raises:
        DataError: a file is missing or damaged, or something in it is not what it must be.
    """
    try:
        config = json.loads((folder / CONFIG).read_bytes())
        tensors = load_file(folder / WEIGHTS)
    except FileNotFoundError as error:
        raise DataError(
            f"{folder} is not an export: it has no {Path(error.filename or '').name or WEIGHTS}."
        ) from error
    except (OSError, ValueError, RecursionError, SafetensorError) as error:
        raise DataError(f"{folder} cannot be read: {error}.") from error
    try:
        content = {
            "options": config["training_options"],
            "audio_encoder": config["audio_encoder"],
            "text_encoder": config["text_encoder"],
            "architecture": config["architecture"],
            "trained_on": {**config["trained_on"], "digests": dict.fromkeys(NAMED, torch.empty(0, dtype=torch.int64))},
            "weights": {name: each for name, each in tensors.items() if not name.startswith(ADAPTER)},
            "adapter": {name.removeprefix(ADAPTER): each for name, each in tensors.items() if name.startswith(ADAPTER)},
            "optimizer": {},
            "progress": {},
        }
        check_content(content)
    except (ContentError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{folder}: {CONFIG} or {WEIGHTS} is not of an export: {error}.") from error
    return Checkpoint(
        options=content["options"],
        audio_encoder=EncoderRecord(**content["audio_encoder"]),
        text_encoder=TextEncoderSpec(**content["text_encoder"]),
        architecture=Architecture(**content["architecture"]),
        trained_on=TrainedOn(**content["trained_on"] | {"digests": {}}),
        weights=content["weights"],
        adapter=content["adapter"],
    )
