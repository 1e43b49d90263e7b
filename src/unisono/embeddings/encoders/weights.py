"""Where the encoders' weights are stored and how they are recognised; `fetch.py` brings them there.

`unisono encoders fetch <name>` puts the files of an encoder into `<root>/<name>/`, with `fetched.json`: the repository, the
commit, sizes and hashes. `locate` finds them there, in the hub's own cache, or where the user says. Files without
`fetched.json` (put there by hand) are recognised by their sha256; if they are not the published ones, this hash is their
revision, so that embeddings always name what made them.
"""

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from unisono.base.errors import DataError
from unisono.base.files import cache_folder
from unisono.base.log import log
from unisono.embeddings.encoders.audio import EncoderSpec, WeightsAbsentError
from unisono.embeddings.encoders.audio import spec as audio_spec

RECORD = "fetched.json"
UNTRAINED = (
    "a0b4534a14f58e20944452dff00a22a06ce629d1",
    "sha256:5c289311f4a030d768af7ffbfdecd01b008aa64824211899a4e59f4f9d154fd1",
)
"""Revisions of `laion/larger_clap_music`, which earlier versions read for `clap`: a network that was never trained."""


@dataclass(frozen=True, kw_only=True)
class HubFile:
    """One file of a repository on the Hugging Face Hub."""

    name: str
    """Path in the repository."""
    size: int = 0
    """Bytes; 0 if not known here (then the size that the hub states is checked while fetching)."""
    sha256: str = ""
    """Empty if not known here."""
    saved_as: str = ""
    """Name on disk, if another."""
    repo: str = ""
    """Repository, if not the weights' own."""
    revision: str = ""
    """Revision in that repository."""
    for_text: bool = False
    """Whether the text tower alone needs it: folders that were fetched before there was one lack it."""

    @property
    def on_disk(self) -> str:
        """The file's name in the encoder's folder."""
        return self.saved_as or self.name

    def described(self, hub: "HubWeights") -> str:
        """Return the name on disk, and where the file comes from if that is another repository or name."""
        if not (self.repo or self.saved_as):
            return self.on_disk
        return f"{self.on_disk} ({self.name} of {self.repo or hub.repo}{f' @ {self.revision}' if self.repo else ''})"

    def within(self, hub: "HubWeights", *, saved_as: str) -> "HubFile":
        """Return this file of other weights as a part of those of another encoder, under another name."""
        return replace(self, repo=hub.repo, revision=hub.revision, saved_as=saved_as)


XLM_R_TOKENIZER = HubFile(
    name="tokenizer.json",
    repo="FacebookAI/xlm-roberta-base",
    revision="e73636d4f797dec63c3081bb6ed5c7b0bb3f2089",
    for_text=True,
)
"""What the text towers on XLM-RoBERTa read text with."""


@dataclass(frozen=True, kw_only=True)
class HubWeights:
    """Published weights: a repository of the hub at a revision, and the files needed from it."""

    repo: str
    revision: str
    """A commit; or "main" if no commit is known here: then the commit found while fetching is recorded."""
    weights: HubFile
    """The file with the tensors."""
    others: tuple[HubFile, ...] = ()
    """Its configuration files."""

    @property
    def files(self) -> tuple[HubFile, ...]:
        """All files, the tensors last."""
        return (*self.others, self.weights)


@dataclass(frozen=True, kw_only=True)
class WeightsOnDisk:
    """Weights on this machine."""

    weights: Path
    """The file with the tensors."""
    revision: str
    """Commit of the published weights, or `sha256:...` of weights that are not the published ones."""
    published: bool

    def described(self, spec: EncoderSpec, *, dim: int, layers: int = 1) -> EncoderSpec:
        """Return the spec of an encoder that was built from these weights."""
        source = spec.source if self.published else f"a file not known to be {spec.source} as published"
        return replace(spec, source=source, revision=self.revision, dim=dim, layers=layers)

    def json(self, name: str) -> dict[str, Any]:
        """Read a configuration file in the folder of the tensors.

        Raises:
            DataError: it is not there, or is not a JSON object.
        """
        path = self.weights.with_name(name)
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise DataError(
                f"There is no {name} in the folder of {self.weights}; the model cannot be built without it."
            ) from None
        except (OSError, ValueError) as error:
            raise DataError(f"{path} is not a readable JSON file: {error}.") from error
        if not isinstance(content, dict):
            raise DataError(f"{path}: expected a JSON object, found {type(content).__name__}.")
        return content


def refuse_untrained(name: str, revision: str, where: str) -> None:
    """Refuse embeddings, or a model, made with weights known to be of no use; `where` holds the record of them.

    Raises:
        DataError: the weights were never trained.
    """
    if revision in UNTRAINED:
        raise DataError(
            f"{where}: its {name} embeddings were made with laion/larger_clap_music, which is a network that was never "
            "trained (the biases of its projections are all zero, and it finds music no better than chance).",
            hint=f"Prepare the music again with the weights that {name} has now: unisono encoders fetch {name}",
        )


def root() -> Path:
    """Return the folder of all fetched weights: `$UNISONO_WEIGHTS`, or `unisono/weights` in the user's cache folder."""
    return cache_folder("weights", "UNISONO_WEIGHTS")


def locate(name: str, hub: HubWeights, given: Path | None = None) -> WeightsOnDisk:
    """Find the weights of an encoder and check them.

    Args:
        name: the encoder's name.
        hub: what is published.
        given: folder or file that the user named; None: where `fetch` puts them, or else the hub's cache.

    Raises:
        WeightsAbsentError: a file is missing; the message says how to get it.
        DataError: a file is cut short or was altered since it was fetched.
    """
    folder = given if given is not None else root() / name
    weights = folder if folder.is_file() else _tensors_in(folder, hub)
    if weights is not None:
        return _recognise(name, hub, weights)
    cached = _in_hub_cache(hub) if given is None else None
    if cached is not None:
        check(cached, replace(hub.weights, sha256=""))
        return WeightsOnDisk(weights=cached, revision=cached.parent.name, published=True)
    raise absent(name, hub, folder)


def absent(name: str, hub: HubWeights, folder: Path) -> WeightsAbsentError:
    """Return the error for weights that are not in a folder: how to get them, and how much that is."""
    spec = audio_spec(name)
    size = f" ({spec.size / 1e6:,.0f} MB)" if spec.size else ""
    return WeightsAbsentError(
        name,
        f"Get them with: unisono encoders fetch {name}{size}"
        f"\nWithout a network: put {', '.join(file.described(hub) for file in hub.files)} of {hub.repo} (revision "
        f"{hub.revision}) into a folder and use: unisono encoders fetch {name} --from-dir FOLDER",
        where=str(folder),
    )


def is_here(name: str, hub: HubWeights) -> bool:
    """Return whether the weights of an encoder are on this machine, without reading them."""
    return (_tensors_in(root() / name, hub) or _in_hub_cache(hub)) is not None


def load_tensors(path: Path) -> dict[str, Any]:
    """Read a file of tensors (safetensors, or PyTorch's own format without running any code in it) into memory.

    Raises:
        DataError: it is cut short, of another format, or asks for code to be run.
    """
    import pickle

    import torch
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            tensors: dict[str, Any] = load_file(path)
            return tensors
        with torch.serialization.safe_globals(_harmless()):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise DataError(f"{path} asks for code to be run, or is no PyTorch file; it was not loaded.") from error
    except Exception as error:  # the readers stumble over broken files in many ways
        reason = str(error).split("\n", maxsplit=1)[0]
        raise DataError(
            f"{path} is cut short or is not a file of tensors: {reason}.", hint="Fetch it again, or copy it again."
        ) from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected a dictionary of tensors, found {type(content).__name__}.")
    return content


def _harmless() -> list[Any]:
    """List the types in PyTorch files that are safe to build besides tensors: numpy's numbers (losses, step counts)."""
    import _codecs

    import numpy as np

    scalar = np.float64(0).__reduce__()[0]
    kinds = [type(np.dtype(kind)) for kind in (np.float64, np.float32, np.int64, np.int32, np.bool_)]
    old_name = (scalar, "numpy.core.multiarray.scalar")  # as written with numpy 1
    return [scalar, old_name, np.dtype, *kinds, _codecs.encode]


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check(path: Path, file: HubFile) -> None:
    """Compare a file with what is known of the published one.

    Raises:
        DataError: size or hash differ.
    """
    size = path.stat().st_size
    if file.size and size != file.size:
        raise DataError(
            f"{path} has {size:,} bytes, but the published {file.name} has {file.size:,}: "
            f"{'it is cut short, or' if size < file.size else 'it is'} of another model.",
            hint="Copy or fetch it again.",
        )
    if file.sha256 and (found := sha256_of(path)) != file.sha256:
        raise DataError(
            f"{path} is not the published {file.name}: its sha256 is {found}, expected {file.sha256}.",
            hint="Copy or fetch it again.",
        )


def _tensors_in(folder: Path, hub: HubWeights) -> Path | None:
    """Return the file of tensors in a folder, if the configuration files are there as well."""
    if not all((folder / file.on_disk).is_file() for file in hub.others if not file.for_text):
        return None
    names = (hub.weights.on_disk, "model.safetensors", "pytorch_model.bin")
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _in_hub_cache(hub: HubWeights) -> Path | None:
    """Return the file of tensors in the hub's own cache, if all files of the revision are there under their own names."""
    needed = [file for file in hub.files if not file.for_text]
    if any(file.repo or file.saved_as for file in needed):
        return None
    paths = [in_hub_cache(hub.repo, file.name, hub.revision) for file in needed]
    return paths[-1] if all(paths) else None


def in_hub_cache(repo: str, file: str, revision: str) -> Path | None:
    """Return the path of a file in the hub's own cache; None if it is not there."""
    try:
        from huggingface_hub import try_to_load_from_cache
    except ImportError:
        return None
    path = try_to_load_from_cache(repo, file, revision=revision)
    return Path(path) if isinstance(path, str) else None


def check_record(folder: Path, name: str) -> dict[str, Any] | None:
    """Return the record of a fetched folder, if there is one, after comparing its files with it.

    Raises:
        DataError: a file does not have the size that it was fetched with.
    """
    path = folder / RECORD
    if not path.is_file():
        return None
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        sizes = {file_name: int(measure["size"]) for file_name, measure in record["files"].items()}
        if not isinstance(record["revision"], str):
            raise TypeError("the revision is not a text")
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path} is damaged: {error!r}.", hint=f"Fetch it again with: unisono encoders fetch {name}"
        ) from error
    for file_name, fetched in sizes.items():
        file = folder / file_name
        size = file.stat().st_size if file.is_file() else 0
        if size != fetched:
            raise DataError(
                f"{file} has {size:,} bytes, but {fetched:,} were fetched: it was cut short or altered.",
                hint=f"Fetch it again with: unisono encoders fetch {name}",
            )
    return record


def _recognise(name: str, hub: HubWeights, weights: Path) -> WeightsOnDisk:
    record = check_record(weights.parent, name)
    if record is not None:
        revision = record["revision"]
        return WeightsOnDisk(weights=weights, revision=revision, published=not revision.startswith("sha256:"))
    sha256 = sha256_of(weights)
    if hub.weights.sha256 and sha256 == hub.weights.sha256:
        return WeightsOnDisk(weights=weights, revision=hub.revision, published=True)
    log.warning(
        "%s: %s is not known to be the published weights; embeddings will name it as sha256:%s.",
        name,
        weights,
        sha256[:16],
    )
    return WeightsOnDisk(weights=weights, revision=f"sha256:{sha256}", published=False)
