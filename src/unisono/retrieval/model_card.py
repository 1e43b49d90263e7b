"""The model card: what a model was trained on, how, and its validation metrics, as Markdown."""

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from unisono.base.words import counted
from unisono.base.words import plain_markdown as plain
from unisono.retrieval.checkpoint import Checkpoint
from unisono.retrieval.doubts import of_model
from unisono.retrieval.metrics import DIRECTIONS, TEXT_TO_MUSIC

MEASURES = ("recall@1", "recall@5", "recall@10", "mrr", "map@10", "median_rank")
SETTINGS = (
    "run_name",
    "model",
    "keep_near",
    "projection",
    "loss",
    "epochs",
    "batch_size",
    "learning_rate",
    "temperature",
    "dropout",
    "audio_windows",
    "seed",
    "lora",
)


def model_card(checkpoint: Checkpoint, place: str) -> str:
    """Return the card of a checkpoint, with the metadata that the Hugging Face Hub reads, and how `place` is loaded."""
    header = "\n".join(f"{key}: {json.dumps(value)}" for key, value in metadata(checkpoint).items())
    return f"""---
{header}
---

{body(checkpoint)}
## Use

```python
import unisono as u

model = u.load_model("{place}")
for hit in model.search("calm piano at night", data="data/processed_embeddings"):
    print(hit.score, hit.track.name)
```

Or, from a terminal: `unisono search "calm piano at night" --model {place}`
"""


def metadata(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return what the Hub knows a model by."""
    return {
        "language": "en",
        "license": "other",
        "license_name": "see-the-card",
        "license_link": "README.md",
        "library_name": "unisono",
        "pipeline_tag": "feature-extraction",
        "tags": [
            "music",
            "text-to-music-retrieval",
            "music-information-retrieval",
            plain(checkpoint.audio_encoder.name),
        ],
    }


def body(checkpoint: Checkpoint) -> str:
    """Return the card without metadata and without how it is used."""
    audio, text, data = _plain(checkpoint.audio_encoder), _plain(checkpoint.text_encoder), checkpoint.trained_on
    noncommercial = audio.noncommercial or any("NC" in name.split("-") for name in data.licenses)
    restrictions = (
        "\n**Not for commercial use**: the audio encoder's weights, or some of the music, forbid it.\n"
        if noncommercial
        else ""
    )
    warnings = "".join(f"\n**Warning**: {plain(sentence)}\n" for sentence in of_model(checkpoint))
    tuned = ", tuned with LoRA adapters" if checkpoint.adapter else ", frozen"
    return f"""# {audio.name} + {text.name}: music by description

A model that maps descriptions and music into one space of {checkpoint.architecture.dim} dimensions, where the music
that fits a description best is the nearest. Made with unisono.

**Licence**: the weights of the audio encoder are {audio.license}, those of the text encoder
{text.weights_license}; the heads were trained on music under {counted(len(data.licenses), "licence")}, listed below.
{restrictions}{warnings}
## Parts

| part | what | licence of its weights |
|---|---|---|
| audio encoder | {audio.name}, {audio.weights}, revision {audio.revision} | {audio.license} |
| text encoder | {text.title}, {text.source}, revision {text.revision}{tuned} | {text.weights_license} |
| heads | {_heads(checkpoint)} | yours |

The audio encoder reads windows of {audio.window_s:g} s every {audio.hop_s:g} s at {audio.rate_hz:,} Hz; pooling over
the windows: {audio.pooling}.

## Data

{data.excerpts:,} excerpts with {data.captions:,} captions (train split, SHA-256 of its ids `{data.ids_sha256}`).

{_table("dataset", "excerpts", data.datasets)}
{_table("captions by", "captions", data.origins)}
{_table("licence of the music", "excerpts", data.licenses)}
## Training

{_table("option", "value", _settings(checkpoint))}
## Validation

{_validation(checkpoint)}
"""


def _plain(spec: Any) -> Any:
    """Return a spec whose texts are no markup: a checkpoint may come from strangers."""
    texts = {field.name: getattr(spec, field.name) for field in fields(spec)}
    return replace(spec, **{name: plain(text) for name, text in texts.items() if isinstance(text, str)})


def _settings(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return the settings that are shown; of a path, only its last part."""
    found = {name: value for name in SETTINGS if (value := checkpoint.options.get(name)) not in (None, "")}
    if "model" not in found:
        found.pop("keep_near", None)
        return found
    return found | {"model": Path(str(found["model"])).name}


def _heads(checkpoint: Checkpoint) -> str:
    of = checkpoint.architecture
    if of.projection == "text":
        return f"text: {of.text_head}; music: none, its embeddings are only scaled"
    return f"text: {of.text_head}; music: {of.audio_head}"


def _table(first: str, second: str, rows: dict[str, Any]) -> str:
    lines = [f"| {first} | {second} |", "|---|---|"]
    lines += [
        f"| {plain(str(name))} | {f'{value:,}' if type(value) is int else plain(str(value))} |"
        for name, value in rows.items()
    ]
    return "\n".join(lines) + "\n"


def _validation(checkpoint: Checkpoint) -> str:
    metrics = checkpoint.metrics
    if TEXT_TO_MUSIC not in metrics:
        return "The val split was empty: nothing was measured."
    chance = checkpoint.progress.get("chance", {})
    lines = ["| direction | " + " | ".join(MEASURES) + " |", "|---" * (len(MEASURES) + 1) + "|"]
    for direction, name in DIRECTIONS.items():
        lines.append(f"| {name} | " + " | ".join(f"{metrics[direction][measure]:.3f}" for measure in MEASURES) + " |")
    if chance:
        lines.append("| chance, text to music | " + " | ".join(f"{chance[measure]:.3f}" for measure in MEASURES) + " |")
    return (
        "\n".join(lines)
        + f"\n\nAfter epoch {metrics['epoch']}, on the val split, which also selected the epoch: measure on held-out music "
        "with `unisono evaluate`. Queries are distinct captions, candidates are all excerpts of the split; every excerpt "
        "of a described recording is relevant. Ranks count from 1, and ties count against the model."
    )
