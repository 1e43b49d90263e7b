"""The two taggers of the package `musicnn`: their files, their tags, and their variables as numpy arrays.

Nothing here imports torch, so that a search can compute the tags of stored embeddings without it.
"""

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unisono.base.errors import DataError
from unisono.embeddings.encoders.audio import WeightsAbsentError, _tf_bundle

PACKAGE = "musicnn"
INSTALL = "pip install --no-deps musicnn==0.1.0"
POOLED_DIM = 1506
HIDDEN_DIM = 200
BATCH_NORM_EPSILON = 1e-3


@dataclass(frozen=True)
class Tagger:
    """One of the networks in version 0.1.0 of the package."""

    folder: str
    """Its folder in the package."""
    files: dict[str, str]
    """File -> sha256."""
    tags: tuple[str, ...]
    """What its outputs stand for, in their order."""

    @property
    def revision(self) -> str:
        """The sha256 of its variables."""
        return "sha256:" + self.files[".data-00000-of-00001"]


MSD = Tagger(
    "MSD_musicnn",
    {
        ".index": "87f3e0f3550c8d3bafc840374003e5c8af5eeb5ecf6add61af09a7822d3282c8",
        ".data-00000-of-00001": "8579734ee6388f799ed0def4bbd0d1fdcbeaf213ef2a9dc860917bd76a303de6",
    },
    (
        "rock", "pop", "alternative", "indie", "electronic", "female vocalists", "dance", "00s", "alternative rock", "jazz",
        "beautiful", "metal", "chillout", "male vocalists", "classic rock", "soul", "indie rock", "Mellow", "electronica",
        "80s", "folk", "90s", "chill", "instrumental", "punk", "oldies", "blues", "hard rock", "ambient", "acoustic",
        "experimental", "female vocalist", "guitar", "Hip-Hop", "70s", "party", "country", "easy listening", "sexy",
        "catchy", "funk", "electro", "heavy metal", "Progressive rock", "60s", "rnb", "indie pop", "sad", "House", "happy",
    ),
)  # fmt: skip
"""The tagger of the Million Song Dataset: tags of listeners of last.fm."""
MTT = Tagger(
    "MTT_musicnn",
    {
        ".index": "da2d7bb670b2b31e9bc441bb1bd75eca31b5b061f963cc1f9630c1aff3238f57",
        ".data-00000-of-00001": "041f3935e981a65cea739842d30c188d3a7d2adf4410955c8668eb3de4a5acab",
    },
    (
        "guitar", "classical", "slow", "techno", "strings", "drums", "electronic", "rock", "fast", "piano", "ambient",
        "beat", "violin", "vocal", "synth", "female", "indian", "opera", "male", "singing", "vocals", "no vocals",
        "harpsichord", "loud", "quiet", "flute", "woman", "male vocal", "no vocal", "pop", "soft", "sitar", "solo", "man",
        "classic", "choir", "voice", "new age", "dance", "male voice", "female vocal", "beats", "harp", "cello", "no voice",
        "weird", "country", "metal", "female voice", "choral",
    ),
)  # fmt: skip
"""The tagger of MagnaTagATune: tags of players of a game, who heard 30 s of the music."""


def find_weights(tagger: Tagger = MSD) -> Path | None:
    """Return the folder of a tagger in the installed package, or None if the package is not installed."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        return None
    folder = Path(found.origin).parent / tagger.folder
    return folder if folder.is_dir() else None


def read_variables(tagger: Tagger, name: str, folder: Path | None = None) -> dict[str, NDArray[np.float32]]:
    """Read the variables of a tagger from the installed package, or from a folder with its two files.

    Args:
        tagger: which one.
        name: of the encoder or model that needs it, for messages.
        folder: of its files; None: the installed package.

    Raises:
        WeightsAbsentError: the package is not installed, or the folder lacks a file.
        DataError: a file is cut short or altered.
    """
    folder = folder or find_weights(tagger)
    if folder is None or not all((folder / file).is_file() for file in tagger.files):
        raise WeightsAbsentError(name, f"Install them with: {INSTALL}", where=str(folder or ""))
    contents = {file: (folder / file).read_bytes() for file in tagger.files}
    for file, sha256 in tagger.files.items():
        found = hashlib.sha256(contents[file]).hexdigest()
        if found != sha256:
            raise DataError(
                f"{folder / file} is not the file of musicnn: sha256 {found}, expected {sha256}.",
                hint=f"Reinstall it with: {INSTALL.replace('install', 'install --force-reinstall', 1)}",
            )
    variables = _tf_bundle.read_bundle(contents[".index"], contents[".data-00000-of-00001"])
    return {key: value for key, value in variables.items() if "Adam" not in key}


def log_odds(variables: dict[str, NDArray[np.float32]], hidden: NDArray[np.floating]) -> NDArray[np.float32]:
    """Compute the log-odds [N, 50] of a tagger's tags from its standardised hidden layer [N, 200].

    The last layer is linear: the mean of the hidden layer over windows leads to the mean of the log-odds.
    """
    scaled = hidden * variables["batch_normalization_10/gamma"] + variables["batch_normalization_10/beta"]
    found: NDArray[np.float32] = (scaled @ variables["dense_1/kernel"] + variables["dense_1/bias"]).astype(np.float32)
    return found
