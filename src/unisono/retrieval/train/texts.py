"""Where the text embeddings of a training come from: its encoder, fetched, frozen or tuned."""

from collections.abc import Sequence

import torch

from unisono.base.errors import UsageError
from unisono.base.seeded import rank_key
from unisono.embeddings.encoders import text as text_encoders
from unisono.embeddings.encoders import text_store
from unisono.embeddings.encoders.text import TextEncoderSpec
from unisono.embeddings.encoders.text._files import is_here
from unisono.embeddings.encoders.text_tokens import TokenTable, embed_tokens
from unisono.retrieval.checkpoint import Checkpoint
from unisono.retrieval.heads import ProjectionHeads
from unisono.retrieval.lora import TunedTexts, add_adapters, load_adapters
from unisono.retrieval.train.config import TrainingConfig
from unisono.retrieval.train.start import joint_models
from unisono.retrieval.train.step import StoredTexts, TextSource


def fetch_text_encoder(name: str) -> None:
    """Fetch a text encoder that has never been used here, or fail, before any work is done."""
    if "/" not in name and not is_here(name) and not text_store.folder_of(text_encoders.spec(name)).exists():
        text_encoders.build(name)


def text_source(
    config: TrainingConfig, device: torch.device, captions: Sequence[str], found: Checkpoint | None
) -> tuple[TextEncoderSpec, TextSource]:
    """Return the spec of the text encoder and the embeddings of the captions: stored ones, unless it is tuned."""
    is_registered = "/" not in config.text_encoder and config.text_encoder not in joint_models()
    if not config.lora and is_registered:
        spec = text_encoders.spec(config.text_encoder)
        table = text_store.embed(captions, spec, lambda: text_encoders.build(config.text_encoder, str(device)))
        return spec, StoredTexts(table, device)
    built = text_encoders.build(config.text_encoder, str(device))
    if not config.lora:
        return built.spec, StoredTexts(text_store.embed(captions, built.spec, lambda: built), device)
    torch.manual_seed(rank_key(config.seed, "adapters"))
    if found is None:
        add_adapters(built, config.lora_rank, config.lora_dropout)
    else:
        load_adapters(built, found.adapter, config.lora_rank, config.lora_dropout)
    return built.spec, TunedTexts(built, captions)


def token_table(
    config: TrainingConfig, device: torch.device, captions: Sequence[str], heads: ProjectionHeads
) -> TokenTable | None:
    """Return the vectors of the tokens of the captions, if they are trained on."""
    if not config.maxsim:
        return None
    if not heads.architecture.token_head:
        raise UsageError(
            f"{config.model} was not trained with maxsim; a training that starts from it cannot be either.",
            hint="Train a new model without model (--model).",
            parameter="maxsim",
        )
    return embed_tokens(captions, text_encoders.build(config.text_encoder, str(device)))
