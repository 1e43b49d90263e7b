"""A local model: one with random weights, which writes nonsense, but writes it as any other would."""

from pathlib import Path

import pytest

from tests.making import make_track
from unisono.base.errors import UnisonoError
from unisono.captions.assign import CaptionPlan, assign
from unisono.captions.language_model import LanguageModel

WORDS = "dark guitar music glows and rolls on through the night with slow heavy chords . Genre Moods Rock"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from tokenizers import Tokenizer, models, pre_tokenizers

    path = tmp_path_factory.mktemp("model")
    vocabulary = {word: n for n, word in enumerate(["<unk>", "<eos>", *WORDS.split()])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", eos_token="<eos>"
    ).save_pretrained(path)
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=len(vocabulary), hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=1024, bos_token_id=None, eos_token_id=1, pad_token_id=1,
    )  # fmt: skip
    transformers.LlamaForCausalLM(config).save_pretrained(path)
    return path


def test_a_local_model_is_asked_and_judged_like_a_server(folder: Path, tmp_path: Path, monkeypatch) -> None:
    from unisono.captions import local_model

    monkeypatch.setattr(local_model, "MOST_TOKENS", 12)
    tracks = [
        make_track(id="a_1", audio_path="/a", caption="A Rock track", duration=1, genre="Rock", caption_origin="tags")
    ]
    first, again = (
        assign(
            tracks, {"a_1"}, CaptionPlan(ways=("llm",), model=LanguageModel(model=str(folder), cache=tmp_path / name))
        )
        for name in ("one.sqlite", "two.sqlite")
    )
    for outcome in (first, again):
        assert outcome.reports["llm"]["counts"]["asked"] >= 1
    assert again.tracks == first.tracks
    assert again.reports == first.reports
    assert first.tracks[0].texts


def test_a_model_that_is_not_there(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    plan = CaptionPlan(ways=("llm",), model=LanguageModel(model=str(tmp_path / "none")))
    with pytest.raises(UnisonoError, match="cannot be loaded"):
        assign([], set(), plan)
