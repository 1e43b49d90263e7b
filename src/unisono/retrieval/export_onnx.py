"""The text tower as ONNX: from tokens to a vector of the common space; kept only if it agrees with torch."""

import io
import logging
import warnings
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from unisono.base.errors import UnisonoError
from unisono.base.extras import extra
from unisono.base.files import whole_file
from unisono.embeddings.encoders.text import exportable
from unisono.retrieval.model import Model

ONNX_PACKAGES = ("onnx", "onnxruntime", "onnxscript")
INPUTS = ("input_ids", "attention_mask")
OUTPUT = "vector"
TOKENIZER = "tokenizer.json"
TOLERANCE = 1e-4
"""The largest difference from torch that is taken for rounding."""
PROBES = (
    "piano",
    "slow solemn choir",
    "An upbeat Electronic track featuring synthesizer, with a driving beat and a bright melody over it",
)


class TextTower(nn.Module):
    """The text encoder and its projection head."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.encoder: Any = exportable(model.text_encoder)
        self.head = model.heads.text_head

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Embed tokens [B, T] as [B, D] unit vectors."""
        embedded = self.encoder.pooled(input_ids, attention_mask)
        return nn.functional.normalize(self.head(embedded), dim=-1)


def export_text_tower(model: Model, path: Path) -> dict[str, Any]:
    """Write the text tower of a model as ONNX and its tokenizer; return how to use them and how they were checked.

    Raises:
        UnisonoError: the ONNX libraries are not installed, the text encoder cannot be expressed in ONNX, or the result
            computes something else than torch.
    """
    with extra("export", "Exporting to ONNX"):
        import onnxruntime
        import onnxscript  # noqa: F401 - torch exports with it
    tower = TextTower(model).eval()
    with whole_file(path) as partial:
        _export(tower, partial)
        session = onnxruntime.InferenceSession(str(partial), providers=["CPUExecutionProvider"])
        difference = _largest_difference(tower, session)
        if not difference <= TOLERANCE:
            raise UnisonoError(f"The ONNX text tower differs from torch by {difference:g}; it was not kept.")
    folder = path.parent
    content = tower.encoder.tokenizer.backend_tokenizer.to_str(pretty=True)
    (folder / TOKENIZER).write_text(content, encoding="utf-8")
    spec = model.checkpoint.text_encoder
    return {
        "file": path.name,
        "tokenizer": TOKENIZER,
        "put_before_each_text": spec.instruction,
        "most_tokens": spec.max_tokens,
        "inputs": dict.fromkeys(INPUTS, "int64 [batch, tokens]"),
        "output": {OUTPUT: f"float32 [batch, {model.dim}], length 1"},
        "padding": "left" if getattr(tower.encoder, "pooling", "mean") == "last" else "right",
        "largest_difference": difference,
        "checked": f"{len(PROBES)} texts, alone and padded together",
    }


def _export(tower: TextTower, path: Path) -> None:
    ids, mask = tower.encoder.padded(tower.encoder.tokens(list(PROBES[:2])))
    shape = {0: torch.export.Dim("batch"), 1: torch.export.Dim("tokens", max=tower.encoder.spec.max_tokens)}
    quiet = logging.getLogger("torch.onnx")
    level = quiet.level
    quiet.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()), torch.no_grad():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                tower,
                (ids, mask),
                str(path),
                input_names=list(INPUTS),
                output_names=[OUTPUT],
                dynamic_shapes=(shape, shape),
                dynamo=True,
                external_data=False,
                verbose=False,
            )
    except OSError:  # the disk's
        raise
    except Exception as error:  # the exporter passes on any error of the code of a model
        reason = str(error).strip().split("\n", maxsplit=1)[0]
        raise UnisonoError(
            f"The text encoder {tower.encoder.spec.name} cannot be written as ONNX: {reason}.", hint="Use --no-onnx."
        ) from error
    finally:
        quiet.setLevel(level)


@torch.no_grad()
def _largest_difference(tower: TextTower, session: Any) -> float:
    tokens = tower.encoder.tokens(list(PROBES))
    largest = 0.0
    for batch in (tokens, *([each] for each in tokens)):
        ids, mask = tower.encoder.padded(batch)
        expected = tower(ids, mask).numpy()
        (found,) = session.run(None, dict(zip(INPUTS, (ids.numpy(), mask.numpy()), strict=True)))
        largest = max(largest, float(np.abs(expected - found).max()))
    return largest
