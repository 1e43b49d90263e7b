"""Any sentence-transformers model, by its name on the hub or by the path of its folder."""

import json
import re
from pathlib import Path
from typing import Any

import torch

from unisono.base.errors import UsageError
from unisono.base.extras import extra
from unisono.base.files import expanded
from unisono.embeddings.encoders.text import TextEncoderSpec, _not_here
from unisono.embeddings.encoders.text._files import snapshot
from unisono.embeddings.encoders.text._transformer import TorchTextEncoder


class SentenceTransformersEncoder(TorchTextEncoder):
    """A model of the sentence-transformers library, with its own pooling and prompt."""

    def __init__(self, spec: TextEncoderSpec, model: Any) -> None:
        super().__init__(spec, model, model.tokenizer)

    @property
    def backbone(self) -> torch.nn.Module:
        """The transformer, to which adapters are added."""
        backbone: torch.nn.Module = self.model.transformers_model
        return backbone

    def padded(self, tokens: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """Bring token lists to one length: ids [n, T] and mask [n, T], padded on the side that the model expects."""
        padded = self.tokenizer.pad({"input_ids": tokens}, return_tensors="pt").to(self.device)
        return padded["input_ids"], padded["attention_mask"]

    def pooled(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Embed padded tokens [n, T] as [n, D] unit vectors."""
        found = self.model({"input_ids": input_ids, "attention_mask": attention_mask})["sentence_embedding"]
        return torch.nn.functional.normalize(found.float(), dim=-1)


def build(name: str, device: str, *, may_fetch: bool) -> SentenceTransformersEncoder:
    """Load a model of the hub, or from a folder, without running any code that comes with it.

    Raises:
        UsageError: there is no such folder or repository, it is not here and may not be fetched, it holds another kind of
            model, or it asks for code of its own.
        MissingExtraError: the sentence-transformers library is not installed.
    """
    with extra("train", f"The text encoder {name}"):
        from sentence_transformers import SentenceTransformer
    folder = _folder(name, may_fetch=may_fetch)
    check_modules(folder, name)
    try:
        model = SentenceTransformer(
            str(folder),
            device=device,
            trust_remote_code=False,
            local_files_only=True,
            model_kwargs={"use_safetensors": True},
        )
    except Exception as error:  # the libraries below raise many kinds
        raise UsageError(
            f"Cannot load {name} as a sentence-transformers model: {error}.",
            hint="Check the name, and that the model has safetensors files.",
        ) from error
    prompts = getattr(model, "prompts", None) or {}
    spec = TextEncoderSpec(
        name=name,
        title=name,
        dim=int(model.get_embedding_dimension() or 0),
        max_tokens=int(model.max_seq_length or 512),
        weights_license="unknown",
        source=name,
        revision=fingerprint(model),
        instruction=prompts.get("query", ""),
    )
    return SentenceTransformersEncoder(spec, model)


def fingerprint(model: torch.nn.Module) -> str:
    """Return a sha256 of a model's weights: the same weights have the same revision, wherever they came from."""
    import hashlib

    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return f"sha256:{digest.hexdigest()}"


def fetch(name: str) -> Path:
    """Fetch a repository of the hub into the hub's cache, unless it is there, and return its folder.

    Raises:
        UnisonoError: there is no such repository, or the hub cannot be reached.
        UsageError: the model asks for code of its own.
    """
    folder = snapshot(name, "main", "Check the name, and the connection to the hub.")
    check_modules(folder, name)
    return folder


def check_modules(folder: Path, name: str) -> None:
    """Refuse a model with a module that is not of the sentence-transformers library: it would be code from the folder.

    Raises:
        UsageError: it names the module.
    """
    path = folder / "modules.json"
    if not path.is_file():  # a plain transformer, to which the library adds its own pooling
        return
    try:
        kinds = [module["type"] for module in json.loads(path.read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError, LookupError) as error:
        raise UsageError(f"{path} is not the list of a model's modules: {error!r}.", hint="Fetch it again.") from error
    foreign = [kind for kind in kinds if not re.fullmatch(r"sentence_transformers(\.\w+)+", str(kind))]
    if foreign:
        raise UsageError(
            f"The text encoder {name} asks to run code of its own: {path} names the module {foreign[0]!r}.",
            hint="Use a model that has only modules of sentence_transformers.",
        )


def _folder(name: str, *, may_fetch: bool) -> Path:
    """Return the folder of a model: the one that is named, or that of a repository in the hub's cache."""
    folder = expanded(name)
    if folder.is_dir():
        return folder
    if name.startswith((".", "/", "~")):
        raise UsageError(
            f"There is no folder {name} with a text encoder.", hint="Bring it back, or name the folder where it is now."
        )
    if may_fetch:
        return fetch(name)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError, HfHubHTTPError) as error:
        raise _not_here(name, name) from error
