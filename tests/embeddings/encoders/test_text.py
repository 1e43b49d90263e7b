import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.embeddings.encoders.tiny_text import write_bert, write_qwen3
from tests.retrieval.train.synthetic import WordEncoder
from unisono.base.errors import DataError, UnisonoError, UsageError
from unisono.embeddings.encoders import text, text_store
from unisono.embeddings.encoders.text import e5, minilm, qwen3
from unisono.embeddings.encoders.text._transformer import find
from unisono.embeddings.encoders.text_tokens import embed_tokens

CAPTIONS = [
    "slow solemn choir",
    "a bright piano piece with drums",
    "piano",
    "日本の音楽 🎵",
    "x " * 600,
    "slow solemn choir",
]


@pytest.fixture(scope="module")
def encoder() -> text.TextEncoder:
    if minilm.packaged() is None:
        pytest.skip("the package with MiniLM's weights is not installed")
    return text.build("minilm")


def test_minilm_gives_the_same_alone_and_among_others(encoder: text.TextEncoder):
    together = encoder.embed(CAPTIONS)
    assert together.shape == (6, 384) and together.dtype == np.float32
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)
    for row, caption in enumerate(CAPTIONS):
        assert np.array_equal(encoder.embed([caption])[0], together[row])
    assert np.array_equal(encoder.embed(CAPTIONS[::-1])[::-1], together)
    assert encoder.embed([]).shape == (0, 384)


def test_minilm_is_what_sentence_transformers_computes(encoder: text.TextEncoder):
    from sentence_transformers import SentenceTransformer

    reference = SentenceTransformer(str(minilm.packaged()), device="cpu").encode(CAPTIONS, normalize_embeddings=True)
    assert np.abs(encoder.embed(CAPTIONS) - reference).max() < 1e-6
    any_model = text.build(str(minilm.packaged()))
    assert any_model.spec.dim == 384 and any_model.spec.max_tokens == 256
    assert np.abs(any_model.embed(CAPTIONS) - reference).max() < 1e-6


def test_weights_that_are_not_the_official_ones_are_refused(tmp_path: Path):
    (tmp_path / "model.safetensors").write_bytes(b"something else")
    with pytest.raises(UnisonoError, match="not the official file"):
        text.build("minilm", weights=tmp_path)
    with pytest.raises(UnisonoError, match="no MiniLM weights"):
        text.build("minilm", weights=tmp_path / "none")


def test_unknown_names_are_explained():
    with pytest.raises(UsageError, match="no text encoder 'bert'") as caught:
        text.spec("bert")
    assert "minilm" in caught.value.hint
    with pytest.raises(UsageError, match=r"no text encoder 'minilmm'\. Did you mean 'minilm'"):
        text.spec("minilmm")
    with pytest.raises(UsageError, match="no folder"):
        text.build("./nowhere/at/all")


def spec_of(instruction: str) -> text.TextEncoderSpec:
    return text.TextEncoderSpec(
        name="tiny",
        title="tiny",
        dim=24,
        max_tokens=12,
        weights_license="none",
        source="tests",
        revision="1",
        instruction=instruction,
    )


SOUNDS = ["piano", "piano and violin", "dark and slow choir and flute and drums and harp and organ", "slow"]


@pytest.mark.parametrize("family", ["e5", "qwen3"])
def test_pooling_padding_and_instruction(tmp_path: Path, family: str):
    module, write, pooling = {"e5": (e5, write_bert, "mean"), "qwen3": (qwen3, write_qwen3, "last")}[family]
    write(tmp_path)
    encoder = module.build(spec_of("query: "), "cpu", tmp_path)
    together = encoder.embed(SOUNDS)
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)
    for row, caption in enumerate(SOUNDS):
        assert np.array_equal(encoder.embed([caption])[0], together[row])
        ids = torch.tensor([encoder.tokenizer("query: " + caption, truncation=True, max_length=12)["input_ids"]])
        assert ids[0, -1] == 3 and len(ids[0]) <= 12
        states = encoder.model(input_ids=ids).last_hidden_state[0]
        pooled = states.mean(dim=0) if pooling == "mean" else states[-1]
        assert np.allclose(together[row], torch.nn.functional.normalize(pooled, dim=0).detach().numpy(), atol=1e-6)
    padded = encoder(encoder.tokens(SOUNDS)).detach().numpy()  # lengths mixed, as in tuning
    assert np.allclose(padded, together, atol=1e-5)
    plain = module.build(spec_of(""), "cpu", tmp_path).embed(SOUNDS)
    assert not np.allclose(plain, together, atol=1e-3)


def test_known_encoders():
    assert {"minilm", "e5-small", "e5-base", "e5-large", "qwen3-0.6b", "qwen3-4b"} <= set(text.names())
    assert text.spec("qwen3-4b").dim == 2560 and text.spec("e5-base").instruction == "query: "
    assert text.spec("qwen3-0.6b").instruction.startswith("Instruct: ")


def test_weights_put_where_weights_are_kept_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("UNISONO_WEIGHTS", str(tmp_path))
    (tmp_path / "e5-small").mkdir()
    with pytest.raises(UnisonoError, match=r"no config\.json in .*e5-small"):
        text.build("e5-small")
    write_bert(tmp_path / "e5-small")
    assert find(text.spec("e5-small"), None) == tmp_path / "e5-small"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("UNISONO_CAPTIONS", str(tmp_path))
    return text_store.folder_of(WordEncoder.spec)


def test_damaged_rows_are_found_and_embedded_again(folder: Path):
    captions = [f"piano {number}" for number in range(40)]
    expected = embed(captions, WordEncoder())
    path = folder / "embeddings.f32"
    whole = path.read_bytes()
    chosen = random.Random(0)
    for _ in range(30):
        damaged = bytearray(whole)
        damaged[chosen.randrange(len(damaged))] ^= chosen.randrange(1, 256)
        path.write_bytes(damaged)
        for other in ("embeddings.sum", "captions.md5"):
            rest = (folder / other).read_bytes()
            (folder / other).write_bytes(rest[: 40 * {"embeddings.sum": 8, "captions.md5": 16}[other]])
        encoder = Counting()
        assert np.array_equal(embed(captions, encoder), expected)
        assert len(encoder.asked) == 1
        again = Counting()
        assert np.array_equal(embed(captions[::-1], again), expected[::-1])
        assert again.asked == [], "the row that was appended counts"


@pytest.mark.parametrize("name", ["embeddings.sum", "captions.md5"])
def test_damage_of_the_other_files_of_the_store_does_not_matter(folder: Path, name: str):
    captions = [f"piano {number}" for number in range(40)]
    expected = embed(captions, WordEncoder())
    whole = (folder / name).read_bytes()
    (folder / name).write_bytes(whole[:5] + bytes([whole[5] ^ 1]) + whole[6:])
    assert np.array_equal(embed(captions, WordEncoder()), expected)


def test_a_store_without_sums_is_used(folder: Path):
    captions = ["piano", "slow choir"]
    expected = embed(captions, WordEncoder())
    (folder / "embeddings.sum").unlink()
    encoder = Counting()
    assert np.array_equal(embed(captions, encoder), expected)
    assert encoder.asked == [] and (folder / "embeddings.sum").stat().st_size == 16


@pytest.mark.parametrize(
    "kind", ["evil_mod.Evil", "sentence_transformers_evil.X", "sentence_transformers", "os.system", None]
)
def test_a_model_with_modules_of_its_own_is_refused(tmp_path: Path, kind: str | None):
    write_bert(tmp_path)
    (tmp_path / "evil_mod.py").write_text("raise AssertionError('code of the model was run')")
    modules = [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}]
    (tmp_path / "modules.json").write_text(json.dumps([*modules, {"idx": 1, "name": "1", "path": "", "type": kind}]))
    for may_fetch in (True, False):
        with pytest.raises(UsageError, match=r"asks to run code of its own: .*modules\.json"):
            text.build(str(tmp_path), may_fetch=may_fetch)


@pytest.mark.parametrize("content", ["{", "[1]", '{"a": 1}', "[{}]"])
def test_a_broken_list_of_modules_is_named(tmp_path: Path, content: str):
    write_bert(tmp_path)
    (tmp_path / "modules.json").write_text(content)
    with pytest.raises(UsageError, match=r"modules\.json is not the list"):
        text.build(str(tmp_path))


@pytest.mark.parametrize("name", ["someone/a-model", "e5-base", "qwen3-0.6b"])
def test_what_a_checkpoint_names_is_not_fetched_unasked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str):
    monkeypatch.setenv("UNISONO_WEIGHTS", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))

    def refuse(*_, **__):
        raise AssertionError("the network was used")

    monkeypatch.setattr("socket.create_connection", refuse)
    monkeypatch.setattr("socket.socket.connect", refuse)
    with pytest.raises(UsageError, match=f"{name} is not on this machine, and nobody asked to fetch it") as caught:
        text.build(name, may_fetch=False)
    assert f"unisono encoders fetch {name}" in caught.value.hint


class Counting(WordEncoder):
    def __init__(self) -> None:
        self.asked: list[str] = []

    def embed(self, captions):
        self.asked += captions
        return super().embed(captions)


def embed(captions: list[str], encoder: WordEncoder) -> np.ndarray:
    table = text_store.embed(captions, encoder.spec, lambda: encoder)
    return table.rows(np.arange(len(captions)))


def test_a_caption_is_embedded_once_for_all_time(folder: Path):
    encoder = Counting()
    expected = WordEncoder().embed(["a b", "c", "a b", "d"])
    assert np.array_equal(embed(["a b", "c", "a b", "d"], encoder), expected)
    assert sorted(encoder.asked) == ["a b", "c", "d"]
    assert np.array_equal(embed(["d", "e", "c"], encoder)[[0, 2]], expected[[3, 1]])
    assert encoder.asked[3:] == ["e"]
    table = text_store.embed(["a b"], encoder.spec, lambda: pytest.fail("all is stored"))
    assert table.matrix.shape == (1, 24)


def test_large_tables_are_mapped(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(text_store, "IN_MEMORY", 100)
    table = text_store.embed(["a", "b", "a"], WordEncoder.spec, WordEncoder)
    assert isinstance(table.matrix, np.memmap)
    assert np.array_equal(table.rows(np.array([2, 0, 1])), WordEncoder().embed(["a", "a", "b"]))


@pytest.mark.parametrize("torn", ["embeddings.f32", "captions.md5"])
@pytest.mark.parametrize("lost", [1, 5, 24])
def test_a_torn_write_loses_that_row_only(folder: Path, torn: str, lost: int):
    captions = [f"word{number}" for number in range(5)]
    embed(captions, Counting())
    path = folder / torn
    path.write_bytes(path.read_bytes()[:-lost])
    encoder = Counting()
    assert np.array_equal(embed(captions, encoder), WordEncoder().embed(captions))
    assert 1 <= len(encoder.asked) <= 2


def test_another_revision_has_a_store_of_its_own(folder: Path):
    from dataclasses import replace

    assert text_store.folder_of(replace(WordEncoder.spec, revision="other")) != folder
    assert text_store.folder_of(replace(WordEncoder.spec, instruction="Query: ")) != folder


def test_a_store_that_cannot_be_written_names_its_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("UNISONO_CAPTIONS", str(tmp_path / "file"))
    with pytest.raises(UnisonoError, match="Cannot write") as error:
        embed(["a"], WordEncoder())
    assert "UNISONO_CAPTIONS" in error.value.hint


def test_a_cache_that_cannot_be_written_stops_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    (tmp_path / "file").touch()
    monkeypatch.delenv("UNISONO_CAPTIONS", raising=False)
    monkeypatch.setattr(text_store, "cache_folder", lambda name, variable: tmp_path / "file" / name)
    text_store._passing_root.cache_clear()
    words = WordEncoder()
    for _ in range(2):
        table = text_store.embed(["a", "b"], words.spec, lambda: words)
        np.testing.assert_array_equal(table.rows(np.arange(2)), words.embed(["a", "b"]))
    assert len(caplog.records) == 1 and "not kept" in caplog.text


def test_an_embedding_that_is_not_finite_is_refused(folder: Path):
    class Broken(WordEncoder):
        def embed(self, captions):
            return super().embed(captions) * np.where([[caption == "b"] for caption in captions], np.nan, 1)

    with pytest.raises(DataError, match="no finite embedding of the caption 'b'"):
        embed(["a", "b"], Broken())


def test_a_plain_encoder_is_not_tunable_in_words():
    with pytest.raises(UsageError) as caught:
        text.tunable(WordEncoder())
    assert "can embed captions, but it cannot be tuned: it has no backbone, tokens, forward" in caught.value.message
    assert "minilm" in caught.value.hint
    with pytest.raises(UsageError, match="cannot be exported"):
        text.exportable(WordEncoder())

    class Imitating(WordEncoder):
        backbone = tokenizer = tokens = padded = pooled = forward = None

    with pytest.raises(UsageError, match=r"cannot be tuned: it is not a torch\.nn\.Module"):
        text.tunable(Imitating())


@pytest.mark.parametrize("family", ["e5", "qwen3", "sentence-transformers"])
def test_our_transformers_are_tunable(tmp_path: Path, family: str):
    (write_qwen3 if family == "qwen3" else write_bert)(tmp_path)
    if family == "sentence-transformers":
        encoder = text.build(str(tmp_path))
    else:
        encoder = {"e5": e5, "qwen3": qwen3}[family].build(spec_of("query: "), "cpu", tmp_path)
    tunable = text.exportable(text.tunable(encoder))
    assert tunable is encoder
    vectors = tunable.forward(tunable.tokens(SOUNDS)).detach().numpy()
    assert np.allclose(vectors, encoder.embed(SOUNDS), atol=1e-5)
    assert np.allclose(tunable.pooled(*tunable.padded(tunable.tokens(SOUNDS))).detach().numpy(), vectors)
    assert isinstance(tunable.backbone, torch.nn.Module) and tunable.tokenizer is not None


def test_the_vectors_of_tokens_are_what_the_vector_of_the_caption_is_the_mean_of(tmp_path: Path):
    write_bert(tmp_path)
    encoder: Any = e5.build(spec_of(""), "cpu", tmp_path)
    together = encoder.embed_tokens(SOUNDS)
    for sound, rows in zip(SOUNDS, together, strict=True):
        ids = encoder.tokens([sound])[0]
        assert len(rows) == len([id for id in ids if id not in encoder.tokenizer.all_special_ids])
        assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
        assert np.array_equal(encoder.embed_tokens([sound])[0], rows)
        states = encoder.model(input_ids=torch.tensor([ids])).last_hidden_state[0].detach().numpy()
        plain = states[[id not in encoder.tokenizer.all_special_ids for id in ids]]
        assert np.allclose(plain / np.linalg.norm(plain, axis=1, keepdims=True), rows, atol=1e-5)
    table = embed_tokens([SOUNDS[1], SOUNDS[0], SOUNDS[1]], encoder)
    padded, there = table.rows(np.array([2, 1]), table.longest(np.arange(3)))
    for row, mask, place in zip(padded, there, (1, 0), strict=True):
        assert np.array_equal(row[mask], together[place].astype(np.float16)) and not row[~mask].any()


def test_a_plain_encoder_on_lora_is_an_error_in_words():
    from unisono.retrieval.lora import add_adapters

    with pytest.raises(UsageError, match="cannot be tuned"):
        add_adapters(WordEncoder(), 4, 0.0)


@pytest.mark.parametrize("name", text.names())
def test_the_spec_says_what_a_user_must_know(name: str):
    spec = text.spec(name)
    assert spec.name == name and spec.title and spec.weights_license and spec.source and spec.revision
    assert spec.dim > 0 and spec.max_tokens > 0
