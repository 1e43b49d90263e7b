"""Tiny text transformers with random weights, written as the hub's folders are."""

from pathlib import Path

import torch

from tests.retrieval.train.synthetic import WORDS

VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "and", "query", ":", *WORDS]


def write_tokenizer(folder: Path, *, end_only: bool) -> None:
    """Write a tokenizer of whole words; `end_only` adds an end token alone, otherwise a begin token as well."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordLevel({word: place for place, word in enumerate(VOCABULARY)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A [SEP]" if end_only else "[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        eos_token="[SEP]",
        model_max_length=64,
    ).save_pretrained(folder)


def write_bert(folder: Path) -> Path:
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
    )
    BertModel(config).save_pretrained(folder)
    write_tokenizer(folder, end_only=False)
    return folder


def write_qwen3(folder: Path) -> Path:
    from transformers import Qwen3Config, Qwen3Model

    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=len(VOCABULARY),
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=12,
        intermediate_size=32,
        max_position_embeddings=64,
    )
    Qwen3Model(config).save_pretrained(folder)
    write_tokenizer(folder, end_only=True)
    return folder
