"""Tiny random weights of the encoders, in the files and formats that their publishers use.

They embed nothing sensible, but take the same path as real ones: files on disk, configuration read, tensors checked and
loaded. Besides the tests, they let the whole of `prepare` be tried without a download:

    python tests/embeddings/encoders/tiny.py /tmp/tiny
    UNISONO_WEIGHTS=/tmp/tiny unisono prepare --encoders muq mert latent
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from safetensors.torch import save_file

Tensors = dict[str, torch.Tensor]

DIM = 32
DEPTH = 3
CHANNELS = 8
LATENT_CHANNELS = 4
TEXT_DIM = 64
"""Of the towers on XLM-RoBERTa: one head."""
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789'-.,!? "
VOCABULARY = {token: place for place, token in enumerate(["<s>", "<pad>", "</s>", "<unk>", *LETTERS])}


def write_muq(folder: Path, seed: int = 0) -> None:
    """Write a MuQ: `config.json`, and `model.safetensors` with the heads of its pre-training."""
    _write_json(folder / "config.json", muq_config())
    save_file({f"model.{name}": tensor for name, tensor in muq_tensors(seed).items()}, folder / "model.safetensors")


def write_muq_mulan(folder: Path, seed: int = 1) -> None:
    """Write a MuQ-MuLan: `config.json`, MuQ's as `muq_config.json`, a tokenizer, and `pytorch_model.bin`."""
    generator = torch.Generator().manual_seed(seed)
    _write_json(folder / "muq_config.json", muq_config())
    _write_json(
        folder / "config.json",
        {
            "mulan": {"sr": 24000, "clip_secs": 10, "dim_latent": 12},
            "audio_model": {"name": "OpenMuQ/MuQ-large-msd-iter", "model_dim": DIM, "use_layer_idx": -1},
            "text_model": {"name": "xlm-roberta-base", "model_dim": None, "use_layer_idx": -1},
            "audio_transformer": {"dim": 24, "tf_depth": 0, "heads": 8, "dim_head": 64, "ff_mult": 4},
            "text_transformer": {"dim": TEXT_DIM, "tf_depth": 2, "max_seq_len": 1024, "heads": 2, "dim_head": 8},
        },
    )
    tensors = {f"mulan.audio.model.model.{name}": tensor for name, tensor in muq_tensors(seed).items()}
    shapes = {
        "mulan.audio.aggregator.weight": (1, 25, 1),
        "mulan.audio.proj.weight": (24, DIM),
        "mulan.audio.proj.bias": (24,),
        "mulan.audio_to_latents.weight": (12, 24),
        "mulan.audio_to_latents.bias": (12,),
    }
    tensors |= {name: _random(generator, shape) for name, shape in shapes.items()}
    tensors |= {f"mulan.text.{name}": tensor for name, tensor in mulan_text_tensors(generator).items()}
    for name in ("weight", "bias"):
        tensors[f"mulan.text_to_latents.{name}"] = tensors.pop(f"mulan.text.text_to_latents.{name}")
    torch.save(tensors, folder / "pytorch_model.bin")
    write_tokenizer(folder)
    _spread_texts("muq_mulan", folder, tensors, "mulan.text_to_latents.bias")
    torch.save(tensors, folder / "pytorch_model.bin")


def mulan_text_tensors(generator: torch.Generator) -> Tensors:
    """Return the tensors of MuQ-MuLan's text tower by their names in the checkpoint, without `mulan.text.`."""
    tensors = {f"model.{name}": tensor for name, tensor in xlm_roberta_tensors(6).items()}
    inner = int(TEXT_DIM * 4 * 2 / 3)
    for layer in ("transformer.layers.0", "transformer.layers.1"):
        tensors |= {
            f"{layer}.0.norm.learned_gamma": 1 + _random(generator, (TEXT_DIM,)) / 8,
            f"{layer}.0.to_q.weight": _random(generator, (16, TEXT_DIM)) / 8,
            f"{layer}.0.to_kv.weight": _random(generator, (32, TEXT_DIM)) / 8,
            f"{layer}.0.q_scale": 1 + _random(generator, (8,)) / 8,
            f"{layer}.0.k_scale": 1 + _random(generator, (8,)) / 8,
            f"{layer}.0.to_out.0.weight": _random(generator, (TEXT_DIM, 16)) / 4,
            f"{layer}.1.0.learned_gamma": 1 + _random(generator, (TEXT_DIM,)) / 8,
            f"{layer}.1.1.weight": _random(generator, (2 * inner, TEXT_DIM)) / 8,
            f"{layer}.1.4.weight": _random(generator, (TEXT_DIM, inner)) / 13,
        }
    return tensors | {
        "text_to_latents.weight": _random(generator, (12, TEXT_DIM)) / 8,
        "text_to_latents.bias": _random(generator, (12,)) / 8,
    }


def xlm_roberta_tensors(seed: int) -> Tensors:
    """Return the tensors of an XLM-RoBERTa, its pooler included."""
    from transformers import XLMRobertaConfig, XLMRobertaModel

    config = XLMRobertaConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=TEXT_DIM,
        num_hidden_layers=2,
        num_attention_heads=1,
        intermediate_size=48,
        max_position_embeddings=514,
        type_vocab_size=1,
        layer_norm_eps=1e-5,
    )
    tensors = _with_random_values(XLMRobertaModel(config), seed)
    tensors["embeddings.word_embeddings.weight"] *= 8  # what a text says outweighs where it says it
    return tensors


def _spread_texts(name: str, folder: Path, tensors: Tensors, bias: str) -> None:
    """Take what all texts have in common from the last bias of a text tower, as training would."""
    from unisono.embeddings.encoders import text
    from unisono.embeddings.encoders.self_test import TEXTS

    tower: Any = text.build(name, weights=folder)
    tensors[bias] -= torch.from_numpy(tower._vectors(tower.tokens(list(TEXTS))).mean(axis=0))


def write_tokenizer(folder: Path) -> None:
    """Write a `tokenizer.json` that reads single characters, with the special tokens of RoBERTa."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

    tokenizer = Tokenizer(models.WordLevel(VOCABULARY, unk_token="<unk>"))
    tokenizer.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>"])
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    tokenizer.enable_padding(pad_id=1, pad_token="<pad>", length=16)  # as some files have it; it must not matter
    tokenizer.save(str(folder / "tokenizer.json"))


def write_clamp3(folder: Path, seed: int = 7) -> None:
    """Write a CLaMP 3: `clamp3.pth`, MERT as `mert.bin` with `mert_config.json`, and a tokenizer."""
    from transformers import BertConfig, BertModel

    write_mert(folder, seed, large=False, dim=TEXT_DIM)
    (folder / "config.json").rename(folder / "mert_config.json")
    (folder / "pytorch_model.bin").rename(folder / "mert.bin")
    config = BertConfig(
        vocab_size=1, hidden_size=TEXT_DIM, num_hidden_layers=2, num_attention_heads=1, intermediate_size=48,
        max_position_embeddings=128,
    )  # fmt: skip
    generator = torch.Generator().manual_seed(seed)
    tensors = {f"audio_model.{name}": tensor for name, tensor in _with_random_values(BertModel(config), seed).items()}
    tensors |= {f"text_model.{name}": tensor for name, tensor in xlm_roberta_tensors(seed).items()}
    for tower in ("audio", "text", "symbolic"):
        tensors[f"{tower}_proj.weight"] = _random(generator, (TEXT_DIM, TEXT_DIM)) / 8
        tensors[f"{tower}_proj.bias"] = _random(generator, (TEXT_DIM,)) / 8
    content = {"epoch": 3, "min_eval_loss": 0.5, "model": tensors}
    torch.save(content, folder / "clamp3.pth")
    write_tokenizer(folder)
    _spread_texts("clamp3", folder, tensors, "text_proj.bias")
    torch.save(content, folder / "clamp3.pth")


def write_musicfm(folder: Path, seed: int = 8) -> None:
    """Write a MusicFM: `fma_stats.json`, and `pretrained_fma.pt` with the heads of its pre-training."""
    _write_json(folder / "fma_stats.json", {"melspec_2048_mean": 6.768444971712967, "melspec_2048_std": 18.4179})
    content = {f"model.{name}": tensor for name, tensor in muq_tensors(seed).items()}
    torch.save({"state_dict": content, "epoch": 9}, folder / "pretrained_fma.pt")


def write_pe_audio(folder: Path, seed: int = 9) -> None:
    """Write a PE-AV, as far as it hears: `config.json` and `model.safetensors`."""
    from transformers import PeAudioConfig, PeAudioModel

    sizes: dict[str, Any] = {
        "audio_config": {
            "dac_config": {
                "model_type": "dac",
                "encoder_hidden_size": 2,
                "downsampling_ratios": [2, 8, 10, 12],
                "hidden_size": 16,
                "codebook_dim": 8,
            },
            "hidden_size": DIM,
            "intermediate_size": DIM,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "head_dim": 16,
        },
        "text_config": {
            "model_type": "modernbert",
            "hidden_size": 24,
            "intermediate_size": 24,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "vocab_size": 16,
            "pad_token_id": 0,
        },
    }
    _write_json(folder / "config.json", {"model_type": "pe_audio_video", "audio_config": sizes})
    tensors = _with_random_values(PeAudioModel(PeAudioConfig(**sizes)), seed)
    save_file({f"audio_model.{name}": tensor for name, tensor in tensors.items()}, folder / "model.safetensors")


def write_mert(folder: Path, seed: int = 2, *, large: bool = True, dim: int = DIM) -> None:
    """Write a MERT of the kind of the 330M (normalised before its layers) or of the 95M (after them)."""
    from transformers import HubertConfig, HubertModel

    sizes: dict[str, Any] = {
        "hidden_size": dim,
        "intermediate_size": 2 * dim,
        "num_attention_heads": 4,
        "num_hidden_layers": DEPTH,
        "conv_dim": [CHANNELS] * 7,
        "conv_kernel": [10, 3, 3, 3, 3, 2, 2],
        "conv_stride": [5, 2, 2, 2, 2, 2, 2],
        "conv_bias": False,
        "do_stable_layer_norm": large,
        "feat_extract_norm": "group",
        "feat_proj_layer_norm": True,
        "num_conv_pos_embeddings": 128,
        "num_conv_pos_embedding_groups": 16,
        "mask_time_prob": 0.0,
        "layerdrop": 0.0,
    }
    _write_json(
        folder / "config.json",
        {
            "architectures": ["MERTModel"],
            "auto_map": {"AutoConfig": "configuration_MERT.MERTConfig", "AutoModel": "modeling_MERT.MERTModel"},
            "model_type": "mert_model",
            "attention_relax": 32.0 if large else -1.0,
            "deepnorm": False,
            "feature_extractor_cqt": False,
            "feature_extractor_cqt_bins": 336,
            "sample_rate": 24000,
            **sizes,
        },
    )
    tensors = _with_random_values(HubertModel(HubertConfig(**sizes)), seed)
    torch.save(_with_old_names(tensors), folder / "pytorch_model.bin")


def write_mert_95m(folder: Path, seed: int = 3) -> None:
    """Write a MERT of the kind of the 95M."""
    write_mert(folder, seed, large=False)


def write_latent(folder: Path, seed: int = 4) -> None:
    """Write a Music2Latent, narrower than the published one: `music2latent.pt` with decoder and training state."""
    encoder = tiny_music2latent()
    tensors = {f"encoder.{name}": tensor for name, tensor in _with_random_values(encoder, seed).items()}
    decoder = {"decoder.conv_inp.weight": torch.zeros(2, 2, 1)}
    content = {"gen_state_dict": tensors | decoder, "it": 12, "loss": np.float64(0.5), "best": np.float32(0.25)}
    torch.save(content, folder / "music2latent.pt")


def write_clap(folder: Path, seed: int = 5) -> None:
    """Write a CLAP: `config.json`, `preprocessor_config.json`, and `pytorch_model.bin` with both towers."""
    from transformers import ClapConfig, ClapModel

    sizes: dict[str, Any] = {
        "projection_dim": 12,
        "audio_config": {
            "depths": [1, 1],
            "hidden_size": 2 * CHANNELS,
            "model_type": "clap_audio_model",
            "num_attention_heads": [2, 4],
            "patch_embeds_hidden_size": CHANNELS,
        },
        "text_config": {
            "model_type": "clap_text_model",
            "hidden_size": DIM,
            "intermediate_size": DIM,
            "num_attention_heads": 2,
            "num_hidden_layers": 2,
            "vocab_size": len(VOCABULARY),
            "max_position_embeddings": 514,
            "pad_token_id": 1,
        },
    }
    _write_json(folder / "config.json", {"architectures": ["ClapModel"], "model_type": "clap", **sizes})
    _write_json(
        folder / "preprocessor_config.json",
        {
            "feature_extractor_type": "ClapFeatureExtractor",
            "chunk_length_s": 10,
            "feature_size": 64,
            "fft_window_size": 1024,
            "frequency_max": 14000,
            "frequency_min": 50,
            "hop_length": 480,
            "max_length_s": 10,
            "nb_max_samples": 480000,
            "padding": "repeatpad",
            "sampling_rate": 48000,
            "truncation": "rand_trunc",
        },
    )
    tensors = _with_random_values(ClapModel(ClapConfig(**sizes)), seed)
    tensors["text_model.embeddings.word_embeddings.weight"] *= 8
    torch.save(tensors, folder / "pytorch_model.bin")
    write_tokenizer(folder)
    _spread_texts("clap", folder, tensors, "text_projection.linear2.bias")
    torch.save(tensors, folder / "pytorch_model.bin")


def tiny_music2latent() -> torch.nn.Module:
    """Build the package's own encoder with fewer channels, which are constants of its module."""
    from music2latent import models

    with mock.patch.multiple(models, base_channels=LATENT_CHANNELS, bottleneck_base_channels=16):
        return models.Encoder()


WRITERS: dict[str, Callable[[Path], None]] = {
    "muq": write_muq,
    "muq_mulan": write_muq_mulan,
    "mert": write_mert,
    "mert_95m": write_mert_95m,
    "latent": write_latent,
    "clap": write_clap,
    "clap_general": write_clap,
    "clap_unfused": write_clap,
    "clamp3": write_clamp3,
    "musicfm": write_musicfm,
    "pe_audio": write_pe_audio,
}


def write_all(root: Path) -> None:
    """Write tiny weights of all encoders, each into a folder of its name."""
    for name, write in WRITERS.items():
        (root / name).mkdir(parents=True, exist_ok=True)
        write(root / name)


def muq_config() -> dict[str, Any]:
    """Return a `config.json` like MuQ's, with small sizes."""
    return {
        "label_rate": 25,
        "num_codebooks": 1,
        "codebook_dim": 16,
        "codebook_size": 64,
        "features": ["melspec_2048"],
        "hop_length": 240,
        "n_mels": 128,
        "conv_dim": CHANNELS,
        "encoder_dim": DIM,
        "encoder_depth": DEPTH,
        "is_flash": False,
        "stat": {"melspec_2048_cnt": 14282760192, "melspec_2048_mean": 6.768444971712967, "melspec_2048_std": 18.4179},
        "w2v2_config": {
            "architectures": ["Wav2Vec2ConformerForCTC"],
            "activation_dropout": 0.1,
            "attention_dropout": 0.1,
            "conformer_conv_dropout": 0.1,
            "hidden_dropout": 0.1,
            "layerdrop": 0.1,
            "do_stable_layer_norm": True,
            "torch_dtype": "float32",
            "transformers_version": "4.19.0.dev0",
            "model_type": "wav2vec2-conformer",
            "hidden_size": DIM,
            "intermediate_size": 2 * DIM,
            "num_attention_heads": 4,
            "num_hidden_layers": 24,
            "hidden_act": "swish",
            "position_embeddings_type": "rotary",
            "rotary_embedding_base": 10000,
            "conv_depthwise_kernel_size": 31,
            "num_conv_pos_embeddings": 128,
            "num_conv_pos_embedding_groups": 16,
            "layer_norm_eps": 1e-05,
        },
    }


def muq_tensors(seed: int) -> Tensors:
    """Return the tensors of a MuQ by their names in its checkpoints, without the leading `model.`."""
    from transformers import Wav2Vec2ConformerConfig
    from transformers.models.wav2vec2_conformer.modeling_wav2vec2_conformer import Wav2Vec2ConformerEncoder

    generator = torch.Generator().manual_seed(seed)
    tensors = {
        "cls_token": _random(generator, (DIM,)),
        "linear.weight": _random(generator, (64, DIM)),
        "rvq.quantizers.0.codebook.weight": _random(generator, (16, 4)),
        "conv.linear.weight": _random(generator, (DIM, CHANNELS * 32)) / 16,
        "conv.linear.bias": _random(generator, (DIM,)),
    }
    for block, channels_in in enumerate((1, CHANNELS)):
        for convolution, channels in ((1, channels_in), (2, CHANNELS), (3, channels_in)):
            name = f"conv.conv.{block}.conv{convolution}"
            tensors[f"{name}.weight"] = _random(generator, (CHANNELS, channels, 3, 3)) / 2
            tensors[f"{name}.bias"] = _random(generator, (CHANNELS,))
            name = f"conv.conv.{block}.bn{convolution}"
            tensors[f"{name}.weight"] = 1 + _random(generator, (CHANNELS,)) / 4
            tensors[f"{name}.bias"] = _random(generator, (CHANNELS,))
            tensors[f"{name}.running_mean"] = _random(generator, (CHANNELS,))
            tensors[f"{name}.running_var"] = 1 + _random(generator, (CHANNELS,)).abs()
            tensors[f"{name}.num_batches_tracked"] = torch.tensor(7)
    config = Wav2Vec2ConformerConfig(**{**muq_config()["w2v2_config"], "num_hidden_layers": DEPTH})
    conformer = _with_old_names(_with_random_values(Wav2Vec2ConformerEncoder(config), seed))
    return tensors | {f"conformer.{name}": tensor for name, tensor in conformer.items()}


def _with_random_values(model: torch.nn.Module, seed: int) -> Tensors:
    """Return a model's tensors with random values, including those that are initialised with zeros or ones."""
    generator = torch.Generator().manual_seed(seed)
    tensors = model.state_dict()
    for name, tensor in tensors.items():
        if not tensor.is_floating_point() or "inv_freq" in name or "relative_position" in name:
            continue
        noise = _random(generator, tuple(tensor.shape))
        if "var" in name or "original0" in name or name.endswith("gain.scale"):
            tensors[name] = 1 + noise.abs()
        elif tensor.dim() > 1:
            tensors[name] = noise / tensor[0].numel() ** 0.5
        else:
            tensors[name] = float("norm" in name and name.endswith("weight")) + noise / 8
    return tensors


def _with_old_names(tensors: Tensors) -> Tensors:
    """Name the parts of weight-normed convolutions as the published checkpoints do."""
    new = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
    renamed = {}
    for name, tensor in tensors.items():
        for present, old in new.items():
            name = name.replace(present, old)
        renamed[name] = tensor
    return renamed


def _random(generator: torch.Generator, shape: tuple[int, ...]) -> torch.Tensor:
    return torch.randn(shape, generator=generator)


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    write_all(Path(sys.argv[1]))
