"""The towers of joint models against their formulas, written out here in numpy in float64 from the checkpoints' tensors."""

import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.embeddings.encoders.tiny import DIM, TEXT_DIM, VOCABULARY
from unisono.base.errors import DataError
from unisono.embeddings.encoders import audio, text
from unisono.embeddings.encoders.audio import WeightsAbsentError
from unisono.embeddings.encoders.audio.clamp3 import segments

TOWERS = ("clap", "muq_mulan", "clamp3")
FILES = {"clap": "pytorch_model.bin", "muq_mulan": "pytorch_model.bin", "clamp3": "clamp3.pth"}
SHORT = "a slow, solemn choir"
LONG = "a quiet solo harp, then drums and a loud brass band; " * 8
Exact = np.ndarray


def tensors_of(folder: Path, name: str) -> dict[str, Any]:
    content = torch.load(folder / FILES[name], weights_only=True)
    return content["model"] if name == "clamp3" else content


def exact(folder: Path, name: str) -> dict[str, Exact]:
    return {each: tensor.double().numpy() for each, tensor in tensors_of(folder, name).items()}


def ids(description: str, most: int | None = None) -> list[int]:
    letters = [VOCABULARY.get(letter, VOCABULARY["<unk>"]) for letter in description.lower()]
    return [0, *letters[: None if most is None else most - 2], 2]


def linear(t: dict[str, Exact], name: str, x: Exact) -> Exact:
    return x @ t[f"{name}.weight"].T + t.get(f"{name}.bias", np.zeros(()))


def norm(x: Exact, weight: Exact, bias: Exact | float = 0.0, eps: float = 1e-5) -> Exact:
    centred = x - x.mean(axis=-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + eps) * weight + bias


erf = np.vectorize(math.erf, otypes=[float])


def gelu(x: Exact) -> Exact:
    return x * (1 + erf(x / np.sqrt(2))) / 2


def softmax(x: Exact) -> Exact:
    weights = np.exp(x - x.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def unit(x: Exact) -> Exact:
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def bert(t: dict[str, Exact], name: str, x: Exact, heads: int, eps: float, first_place: int) -> Exact:
    """Return the states [T, D] of a BERT or RoBERTa of the token vectors [T, D]."""
    e = f"{name}.embeddings"
    places = t[f"{e}.position_embeddings.weight"][first_place : first_place + len(x)]
    x = x + places + t[f"{e}.token_type_embeddings.weight"][0]
    x = norm(x, t[f"{e}.LayerNorm.weight"], t[f"{e}.LayerNorm.bias"], eps)
    count = 1 + max(
        int(each.split(".layer.")[1].split(".")[0]) for each in t if each.startswith(f"{name}.encoder.layer.")
    )
    for number in range(count):
        layer = f"{name}.encoder.layer.{number}"
        q, k, v = (
            linear(t, f"{layer}.attention.self.{part}", x).reshape(len(x), heads, -1).swapaxes(0, 1)
            for part in ("query", "key", "value")
        )
        mixed = softmax(q @ k.swapaxes(1, 2) / np.sqrt(q.shape[-1])) @ v
        mixed = linear(t, f"{layer}.attention.output.dense", mixed.swapaxes(0, 1).reshape(len(x), -1))
        n = f"{layer}.attention.output.LayerNorm"
        x = norm(x + mixed, t[f"{n}.weight"], t[f"{n}.bias"], eps)
        inner = linear(t, f"{layer}.output.dense", gelu(linear(t, f"{layer}.intermediate.dense", x)))
        x = norm(x + inner, t[f"{layer}.output.LayerNorm.weight"], t[f"{layer}.output.LayerNorm.bias"], eps)
    return x


def clap_text(t: dict[str, Exact], description: str) -> Exact:
    words = t["text_model.embeddings.word_embeddings.weight"][ids(description, 77)]
    states = bert(t, "text_model", words, 2, 1e-12, 2)
    pooled = np.tanh(linear(t, "text_model.pooler.dense", states[0]))
    return unit(linear(t, "text_projection.linear2", np.maximum(linear(t, "text_projection.linear1", pooled), 0)))


def mulan_text(t: dict[str, Exact], description: str) -> Exact:
    words = t["mulan.text.model.embeddings.word_embeddings.weight"][ids(description, 512)]
    x = bert(t, "mulan.text.model", words, 1, 1e-5, 2)
    for number in range(2):
        a, f = f"mulan.text.transformer.layers.{number}.0", f"mulan.text.transformer.layers.{number}.1"
        normed = norm(x, t[f"{a}.norm.learned_gamma"])
        parts = [linear(t, f"{a}.to_q", normed), *np.split(linear(t, f"{a}.to_kv", normed), 2, axis=-1)]
        q, k, v = (part.reshape(len(x), 2, -1).swapaxes(0, 1) for part in parts)
        q, k = unit(q) * t[f"{a}.q_scale"], unit(k) * t[f"{a}.k_scale"]
        mixed = softmax(8 * q @ k.swapaxes(1, 2)) @ v
        x = x + linear(t, f"{a}.to_out.0", mixed.swapaxes(0, 1).reshape(len(x), -1))
        first, gate = np.split(linear(t, f"{f}.1", norm(x, t[f"{f}.0.learned_gamma"])), 2, axis=-1)
        x = x + linear(t, f"{f}.4", gelu(gate) * first)
    return unit(linear(t, "mulan.text_to_latents", x.mean(axis=0)))


def in_segments(rows: Exact, read: Callable[[Exact], Exact]) -> Exact:
    """Average what is read of segments of 128 rows, the last one being the last 128, as the authors' code does."""
    parts = [rows[begin : begin + 128] for begin in range(0, len(rows), 128)]
    parts[-1] = rows[-128:]
    weights = [128] * (len(rows) // 128) + ([len(rows) % 128] if len(rows) % 128 else [])
    return np.sum([read(part) * weight for part, weight in zip(parts, weights, strict=True)], axis=0) / len(rows)


def clamp_text(t: dict[str, Exact], description: str) -> Exact:
    def read(tokens: Exact) -> Exact:
        words = t["text_model.embeddings.word_embeddings.weight"][tokens]
        return linear(t, "text_proj", bert(t, "text_model", words, 1, 1e-5, 2).mean(axis=0))

    return unit(in_segments(np.array(ids(description)), read))


FORMULAS = {"clap": clap_text, "muq_mulan": mulan_text, "clamp3": clamp_text}


@pytest.mark.parametrize("name", TOWERS)
def test_texts_equal_the_formulas(weights_root: Path, name: str) -> None:
    """Also one that is longer than the model reads, and in one call with others: padding would show."""
    tower = text.build(name, weights=weights_root / name)
    t = exact(weights_root / name, name)
    texts = [SHORT, LONG, "", SHORT + "!"]
    found = tower.embed(texts)
    for row, description in zip(found, texts, strict=True):
        np.testing.assert_allclose(row, FORMULAS[name](t, description), atol=2e-4)
    assert np.abs(found[0] - found[3]).max() > 1e-3


def test_the_limits_are_those_of_the_models(weights_root: Path) -> None:
    lengths = {name: len(text.build(name, weights=weights_root / name).tokens(["x" * 5000])[0]) for name in TOWERS}  # type: ignore[attr-defined]
    assert lengths == {"clap": 77, "muq_mulan": 512, "clamp3": 5002}
    assert text.spec("clamp3").max_tokens == 128


def test_lines_are_separate_statements_each_once(weights_root: Path) -> None:
    tower = text.build("clamp3", weights=weights_root / "clamp3")
    found = tower.embed(["a harp\n\ndrums\na harp", "a harp\ndrums", "a harp drums"])
    np.testing.assert_array_equal(found[0], found[1])
    assert np.abs(found[1] - found[2]).max() > 1e-3


@pytest.mark.parametrize(("length", "expected"), [
    (5, [(0, 5, 5)]),
    (128, [(0, 128, 128)]),
    (130, [(0, 128, 128), (2, 130, 2)]),
    (256, [(0, 128, 128), (128, 256, 128)]),
])  # fmt: skip
def test_the_last_segment_is_the_last_128(length: int, expected: list[tuple[int, int, int]]) -> None:
    assert segments(length) == expected


@pytest.mark.parametrize("count", [1, 60, 126, 140])
def test_a_track_of_clamp3_equals_the_formula(weights_root: Path, count: int) -> None:
    t = exact(weights_root / "clamp3", "clamp3")
    rows = np.random.default_rng(count).normal(size=(count, TEXT_DIM))
    sequence = np.concatenate([np.zeros((1, TEXT_DIM)), rows, np.zeros((1, TEXT_DIM))])
    track = in_segments(
        sequence, lambda part: linear(t, "audio_proj", bert(t, "audio_model", part, 1, 1e-12, 0).mean(axis=0))
    )
    encoder: Any = audio.build("clamp3", weights=weights_root / "clamp3")
    whole, windows = encoder.join(torch.from_numpy(rows).float())
    np.testing.assert_allclose(whole.numpy(), track, atol=1e-4)
    assert windows.shape == rows.shape
    if count < 127:
        states = linear(t, "audio_proj", bert(t, "audio_model", sequence, 1, 1e-12, 0))
        np.testing.assert_allclose(windows.numpy(), states[1:-1], atol=1e-4)


def test_a_window_of_clamp3_is_the_mean_of_all_states_of_mert(weights_root: Path) -> None:
    from transformers import HubertConfig, HubertModel

    folder = weights_root / "clamp3"
    encoder: Any = audio.build("clamp3", weights=folder)
    config = HubertConfig.from_json_file(folder / "mert_config.json")
    model = HubertModel(config).eval()
    model.load_state_dict(torch.load(folder / "mert.bin", weights_only=True))
    for samples in (120_000, 30_000):
        windows = torch.randn(2, samples, generator=torch.Generator().manual_seed(2))
        with torch.no_grad():
            states = model(windows, output_hidden_states=True).hidden_states
        expected = torch.stack(states).mean(dim=(0, 2))
        torch.testing.assert_close(encoder.embed(windows), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["muq", "mert"])
def test_the_mean_of_layers_is_their_mean(weights_root: Path, name: str) -> None:
    windows = torch.randn(2, 36_000, generator=torch.Generator().manual_seed(3)) / 8
    every = audio.build(name, weights=weights_root / name, layers="all").embed(windows)
    encoder = audio.build(name, weights=weights_root / name, layers="mean")
    assert (encoder.spec.layers, encoder.spec.dim) == (1, DIM)
    torch.testing.assert_close(encoder.embed(windows), every.mean(dim=1))


def test_pe_audio_equals_transformers_own(weights_root: Path) -> None:
    import json

    from safetensors.torch import load_file
    from transformers import PeAudioConfig, PeAudioModel

    folder = weights_root / "pe_audio"
    model = PeAudioModel(PeAudioConfig(**json.loads((folder / "config.json").read_text())["audio_config"])).eval()
    tensors = load_file(folder / "model.safetensors")
    model.load_state_dict({name.removeprefix("audio_model."): tensor for name, tensor in tensors.items()})
    windows = torch.randn(2, 480_000, generator=torch.Generator().manual_seed(4)) / 8
    with torch.no_grad():
        expected = model.get_audio_embeds(windows[:, None])
    torch.testing.assert_close(audio.build("pe_audio", weights=folder).embed(windows), expected, rtol=1e-3, atol=1e-4)


def copied(weights_root: Path, name: str, tmp_path: Path) -> Path:
    return Path(shutil.copytree(weights_root / name, tmp_path / name))


PARTS = {
    ("clap", "text"): ("text_model.encoder.layer.0.output.dense.weight", "text_model.more"),
    ("clap", "audio"): ("audio_projection.linear1.weight", "audio_model.more"),
    ("muq_mulan", "text"): ("mulan.text.transformer.layers.1.0.q_scale", "mulan.text.more"),
    ("clamp3", "text"): ("text_proj.bias", "text_more"),
    ("clamp3", "audio"): ("audio_model.encoder.layer.0.output.dense.weight", "audio_more"),
}


@pytest.mark.parametrize(("name", "tower"), PARTS)
def test_tensors_that_are_missing_unknown_or_of_another_shape_are_refused(
    weights_root: Path, tmp_path: Path, name: str, tower: str
) -> None:
    folder = copied(weights_root, name, tmp_path)
    content = torch.load(folder / FILES[name], weights_only=True)
    tensors = content["model"] if name == "clamp3" else content
    lacking, unknown = PARTS[name, tower]
    build = text.build if tower == "text" else audio.build

    def refused(message: str) -> None:
        torch.save(content, folder / FILES[name])
        with pytest.raises(DataError, match=message):
            build(name, weights=folder)

    whole = tensors.pop(lacking)
    refused("lacks")
    tensors[lacking] = torch.cat([whole, whole])
    refused("expected")
    tensors[lacking] = whole
    tensors[unknown] = whole
    refused("which has no .*more")
    del tensors[unknown]
    torch.save(content, folder / FILES[name])
    assert build(name, weights=folder)


class Code:
    """Runs code when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return print, ("code was run",)


@pytest.mark.parametrize("name", TOWERS)
@pytest.mark.parametrize("kind", ["text", "audio"])
def test_bad_files_are_refused(weights_root: Path, tmp_path: Path, name: str, kind: str, capsys: Any) -> None:
    build = text.build if kind == "text" else audio.build
    folder = copied(weights_root, name, tmp_path)
    path = folder / FILES[name]
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"cut short|no PyTorch file"):
        build(name, weights=folder)
    torch.save({"model": Code()}, path)
    with pytest.raises(DataError, match="asks for code to be run"):
        build(name, weights=folder)
    assert "code was run" not in capsys.readouterr().out
    shutil.copy(weights_root / "mert" / "pytorch_model.bin", path)
    with pytest.raises(DataError, match=r"is not of|holds no|lacks|has no part"):
        build(name, weights=folder)


def test_a_clap_with_zero_biases_is_refused_by_its_text_tower(weights_root: Path, tmp_path: Path) -> None:
    folder = copied(weights_root, "clap_general", tmp_path)
    tensors = torch.load(folder / "pytorch_model.bin", weights_only=True)
    for name, tensor in tensors.items():
        if name.startswith("audio_projection") and name.endswith("bias"):
            tensor.zero_()
    torch.save(tensors, folder / "pytorch_model.bin")
    with pytest.raises(DataError, match="never trained: the biases of its audio projection are all exactly 0"):
        text.build("clap_general", weights=folder)


@pytest.mark.parametrize("name", TOWERS)
def test_a_folder_fetched_before_there_was_a_text_tower_still_hears(
    weights_root: Path, tmp_path: Path, name: str
) -> None:
    folder = copied(weights_root, name, tmp_path)
    (folder / "tokenizer.json").unlink()
    assert audio.build(name, weights=folder)
    with pytest.raises(WeightsAbsentError, match=r"tokenizer\.json") as caught:
        text.build(name, weights=folder)
    assert f"unisono encoders fetch {name}" in caught.value.hint and "MB" in caught.value.hint
    (folder / "tokenizer.json").write_text("{")
    with pytest.raises(DataError, match="not a readable tokenizer"):
        text.build(name, weights=folder)
