"""Where the encoders' weights live, how they get there, and how they are recognised.

`unisono encoders fetch <name>` puts the files of an encoder into `<root>/<name>/`, with `fetched.json` beside them: where
they came from, the commit, sizes and hashes. `locate` finds them there, or in the hub's own cache, or where the user says.
Files without `fetched.json` (put there by hand) are recognised by their sha256; if they are not the published ones, that
hash becomes their revision, so that embeddings always name what made them.
"""

import hashlib
import json
import os
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from unisono import console
from unisono.encoders.audio import WeightsAbsentError
from unisono.errors import DataError, UnisonoError
from unisono.files import explained, whole_file, write_whole

RECORD = "fetched.json"


@dataclass(frozen=True, kw_only=True)
class HubFile:
    """One file of a repository on the Hugging Face Hub."""

    name: str
    """Path in the repository."""
    size: int = 0
    """Bytes; 0 where not known here (then the hub's own figure is checked while fetching)."""
    sha256: str = ""
    """Empty where not known here."""
    saved_as: str = ""
    """Name on disk, if another."""
    repo: str = ""
    """Repository, if not the weights' own."""
    revision: str = ""
    """Revision in that repository."""

    @property
    def on_disk(self) -> str:
        """The file's name in the encoder's folder."""
        return self.saved_as or self.name


@dataclass(frozen=True, kw_only=True)
class HubWeights:
    """Published weights: a repository of the hub at a revision, and what is wanted of it."""

    repo: str
    revision: str
    """A commit, or "main" where no commit is known here: then the commit found while fetching is recorded."""
    weights: HubFile
    """The file with the tensors."""
    others: tuple[HubFile, ...] = ()
    """Configurations that belong to it."""

    @property
    def files(self) -> tuple[HubFile, ...]:
        """All files, the tensors last."""
        return (*self.others, self.weights)


@dataclass(frozen=True, kw_only=True)
class Found:
    """Weights on this machine."""

    weights: Path
    """The file with the tensors."""
    revision: str
    """Commit of the published weights, or `sha256:...` of weights that are not the published ones."""
    published: bool

    def json(self, name: str) -> dict[str, Any]:
        """Read a configuration that lies beside the tensors.

        Raises:
            DataError: it is not there, or is no JSON object.
        """
        path = self.weights.with_name(name)
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise DataError(
                f"There is no {name} beside {self.weights}; the model cannot be built without it."
            ) from None
        except (OSError, ValueError) as error:
            raise DataError(f"{path} is not a readable JSON file: {error}.") from error
        if not isinstance(content, dict):
            raise DataError(f"{path}: expected a JSON object, found {type(content).__name__}.")
        return content


def root() -> Path:
    """Give the folder of all fetched weights: `$UNISONO_WEIGHTS`, or `unisono/weights` in the user's cache folder."""
    from platformdirs import user_cache_path

    chosen = os.environ.get("UNISONO_WEIGHTS")
    return Path(chosen).expanduser() if chosen else user_cache_path("unisono") / "weights"


def locate(name: str, hub: HubWeights, given: Path | None = None) -> Found:
    """Find the weights of an encoder and make sure that they are what they should be.

    Args:
        name: the encoder's name.
        hub: what is published.
        given: folder or file that the user named; None looks where `fetch` puts them, then in the hub's cache.

    Raises:
        WeightsAbsentError: a file is missing; the message says how to get it.
        DataError: a file is cut short or was altered since it was fetched.
    """
    folder = given if given is not None else root() / name
    weights = folder if folder.is_file() else _tensors_in(folder, hub)
    if weights is None and given is None:
        weights = _in_hub_cache(hub)
    if weights is None:
        raise WeightsAbsentError(
            name,
            f"Get them with: unisono encoders fetch {name}"
            f"\nWithout a network: put {', '.join(file.on_disk for file in hub.files)} of {hub.repo} (revision "
            f"{hub.revision}) into a folder and use: unisono encoders fetch {name} --from-dir FOLDER",
            where=str(folder),
        )
    return _recognise(name, hub, weights)


def is_here(name: str, hub: HubWeights) -> bool:
    """Say whether the weights of an encoder are on this machine, without reading them."""
    return (_tensors_in(root() / name, hub) or _in_hub_cache(hub)) is not None


def fetch(name: str, hub: HubWeights, from_dir: Path | None = None) -> Found:
    """Bring an encoder's weights to this machine, from the hub or from a folder, and verify them.

    What is there already and whole is not fetched again; an interrupted download is taken up where it stopped.

    Raises:
        UnisonoError: no network, no space, no such revision; or a file is not what was published.
    """
    folder = root() / name
    if from_dir is None and _is_fetched(folder, hub):
        console.log.info("%s: already in %s, nothing to do.", name, folder)
        return locate(name, hub)
    with explained(folder / RECORD):
        revision = _download(name, hub, folder) if from_dir is None else _copy(hub, from_dir, folder)
    record = {
        "repo": hub.repo,
        "revision": revision,
        "files": {file.on_disk: asdict(_measure(folder / file.on_disk)) for file in hub.files},
    }
    write_whole(folder / RECORD, json.dumps(record, indent=1) + "\n")
    return locate(name, hub)


def load_tensors(path: Path) -> dict[str, Any]:
    """Read a file of tensors (safetensors, or PyTorch's own format without running what it carries) into memory.

    Raises:
        DataError: it is cut short, of another format, or asks for code to be run.
    """
    import pickle

    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            tensors: dict[str, Any] = load_file(path)
            return tensors
        with torch.serialization.safe_globals(_harmless()):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise DataError(f"{path} asks for code to be run, or is no PyTorch file; it was not loaded.") from error
    except (SafetensorError, RuntimeError, EOFError, ValueError, OSError) as error:
        reason = str(error).split("\n", maxsplit=1)[0]
        raise DataError(
            f"{path} is cut short or is no file of tensors: {reason}.", hint="Fetch it again, or copy it again."
        ) from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected a dictionary of tensors, found {type(content).__name__}.")
    return content


def _harmless() -> list[Any]:
    """List what PyTorch files hold besides tensors and is safe to build: numpy's numbers (losses, step counts)."""
    import _codecs

    import numpy as np

    scalar = np.float64(0).__reduce__()[0]
    kinds = [type(np.dtype(kind)) for kind in (np.float64, np.float32, np.int64, np.int32, np.bool_)]
    old_name = (scalar, "numpy.core.multiarray.scalar")  # as written with numpy 1
    return [scalar, old_name, np.dtype, *kinds, _codecs.encode]


@dataclass(frozen=True)
class _Measure:
    size: int
    sha256: str


def _measure(path: Path) -> _Measure:
    with path.open("rb") as file:
        return _Measure(path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())


def _tensors_in(folder: Path, hub: HubWeights) -> Path | None:
    """Give the file of tensors in a folder, if the configurations are there as well."""
    if not all((folder / file.on_disk).is_file() for file in hub.others):
        return None
    names = (hub.weights.on_disk, "model.safetensors", "pytorch_model.bin")
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _in_hub_cache(hub: HubWeights) -> Path | None:
    """Give the file of tensors in the hub's own cache, if all files of the revision are there under their own names."""
    if any(file.repo or file.saved_as for file in hub.files):
        return None
    try:
        from huggingface_hub import try_to_load_from_cache
    except ImportError:
        return None
    paths = [try_to_load_from_cache(hub.repo, file.name, revision=hub.revision) for file in hub.files]
    return Path(paths[-1]) if all(isinstance(path, str) for path in paths) and isinstance(paths[-1], str) else None


def _recognise(name: str, hub: HubWeights, weights: Path) -> Found:
    record_path = weights.with_name(RECORD)
    if record_path.is_file():
        record = json.loads(record_path.read_text(encoding="utf-8"))
        for file_name, measure in record["files"].items():
            size = weights.with_name(file_name).stat().st_size if weights.with_name(file_name).is_file() else 0
            if size != measure["size"]:
                raise DataError(
                    f"{weights.with_name(file_name)} has {size:,} bytes, but {measure['size']:,} were fetched: "
                    "it was cut short or altered.",
                    hint=f"Fetch it again with: unisono encoders fetch {name}",
                )
        revision = record["revision"]
        return Found(weights=weights, revision=revision, published=not revision.startswith("sha256:"))
    if weights.parent.parent.name == "snapshots":  # the hub's cache, checked by the hub's client
        _check(weights, hub.weights, measure_hash=False)
        return Found(weights=weights, revision=weights.parent.name, published=True)
    sha256 = _measure(weights).sha256
    if hub.weights.sha256 and sha256 == hub.weights.sha256:
        return Found(weights=weights, revision=hub.revision, published=True)
    console.log.warning(
        "%s: %s is not known to be the published weights; embeddings will name it as sha256:%s.",
        name,
        weights,
        sha256[:16],
    )
    return Found(weights=weights, revision=f"sha256:{sha256}", published=False)


def _is_fetched(folder: Path, hub: HubWeights) -> bool:
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return (
        record["repo"] == hub.repo
        and (hub.revision in ("main", record["revision"]))
        and all(
            (folder / name).is_file() and (folder / name).stat().st_size == measure["size"]
            for name, measure in record["files"].items()
        )
    )


def _check(path: Path, file: HubFile, *, measure_hash: bool = True) -> None:
    """Hold a file against what is known of it.

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
    if measure_hash and file.sha256 and (found := _measure(path).sha256) != file.sha256:
        raise DataError(
            f"{path} is not the published {file.name}: its sha256 is {found}, expected {file.sha256}.",
            hint="Copy or fetch it again.",
        )


def _copy(hub: HubWeights, source: Path, folder: Path) -> str:
    """Copy the files from a folder of the user's, verified; give the revision."""
    missing = [file for file in hub.files if not (source / file.on_disk).is_file()]
    if missing:
        names = [f"{file.on_disk} ({file.name} of {file.repo})" if file.saved_as else file.on_disk for file in missing]
        raise UnisonoError(
            f"{source} lacks {', '.join(names)} of {hub.repo}.",
            hint=f"Get them where there is a network: hf download {hub.repo} --revision {hub.revision} --local-dir {source}",
        )
    for file in hub.files:
        found = source / file.on_disk
        _check(found, file)
        if file is hub.weights and not file.sha256:
            load_tensors(found)  # its hash is not known: at least it is whole
    (folder / RECORD).unlink(missing_ok=True)  # it is written last: it says that all of it is whole
    for file in hub.files:
        with whole_file(folder / file.on_disk) as partial:
            shutil.copyfile(source / file.on_disk, partial)
    return hub.revision if hub.weights.sha256 else f"sha256:{_measure(folder / hub.weights.on_disk).sha256}"


def _download(name: str, hub: HubWeights, folder: Path) -> str:
    """Download the files into a folder, verified; give the commit."""
    try:
        from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError
    except ImportError:
        raise UnisonoError(
            "Fetching from the Hugging Face Hub needs huggingface_hub.",
            hint="Install it with: pip install 'unisono[embed]'",
        ) from None
    parts = folder / ".parts"  # where the hub's client keeps what it can go on from
    try:
        fetched = [(file, *_download_file(name, hub, file, parts)) for file in hub.files]
    except (RepositoryNotFoundError, RevisionNotFoundError) as error:
        raise UnisonoError(f"The hub has no {hub.repo} at revision {hub.revision}.") from error
    except UnisonoError:
        raise
    except Exception as error:  # the hub's client passes on the errors of several libraries
        reason = str(error).split("\n", maxsplit=1)[0] or type(error).__name__
        raise UnisonoError(
            f"Cannot fetch {hub.repo} from the Hugging Face Hub: {reason}.",
            hint="What was downloaded is kept; run the same command again to go on. On a machine without a network: "
            f"elsewhere run `hf download {hub.repo} --revision {hub.revision} --local-dir FOLDER`, bring the folder "
            f"here and run: unisono encoders fetch {name} --from-dir FOLDER",
        ) from error
    (folder / RECORD).unlink(missing_ok=True)  # it is written last: it says that all of it is whole
    for file, path, _ in fetched:
        path.replace(folder / file.on_disk)
    shutil.rmtree(parts)
    return fetched[-1][2]


def _download_file(name: str, hub: HubWeights, file: HubFile, parts: Path) -> tuple[Path, str]:
    """Download one file, or go on with it, and verify it; give where it is and the commit it is of."""
    from huggingface_hub import HfApi, hf_hub_download

    repo, revision = file.repo or hub.repo, file.revision or hub.revision
    info = HfApi().model_info(repo, revision=revision, files_metadata=True)
    published = next((sibling for sibling in info.siblings or [] if sibling.rfilename == file.name), None)
    if published is None or info.sha is None:
        raise UnisonoError(f"{repo} at revision {revision} has no file {file.name}.")
    parts.mkdir(parents=True, exist_ok=True)
    _check_space(name, parts, published.size or file.size)
    console.log.info("%s: %s of %s at %s", name, file.name, repo, info.sha)
    path = Path(hf_hub_download(repo, file.name, revision=info.sha, local_dir=parts / repo.replace("/", "--")))
    stated_sha256 = published.lfs.sha256 if published.lfs else ""
    try:
        _check(path, replace(file, size=file.size or published.size or 0, sha256=file.sha256 or stated_sha256))
    except DataError:
        path.unlink()
        raise
    return path, info.sha


def _check_space(name: str, folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if size > free:
        raise UnisonoError(
            f"{name} needs {size / 1e9:.1f} GB in {folder}, where {free / 1e9:.1f} GB are free.",
            hint="Free some space, or choose another place with the environment variable UNISONO_WEIGHTS.",
        )
