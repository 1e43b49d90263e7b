"""Edits by rule and hubness: what they do to captions and audio, and that a planted weakness is found."""

from dataclasses import replace

import numpy as np
import pytest
import soundfile

from tests.retrieval.evaluate.test_benchmark import world  # noqa: F401 - a fixture
from tests.synthetic import make
from unisono.audio.decode import Excerpt
from unisono.captions import wording
from unisono.commands.evaluate import EvaluateOptions, run
from unisono.embeddings.file import open_embeddings
from unisono.retrieval.evaluate.hubness import csls_penalty, measure_hubs
from unisono.retrieval.evaluate.result import read_result
from unisono.retrieval.evaluate.robustness import Evaluated, claimed_languages, measure_robustness, sound
from unisono.retrieval.metrics import Relevance, ranks
from unisono.retrieval.model import load_model
from unisono.retrieval.pairing import pair_rows


def test_audio_edits_are_as_strong_as_they_say(tmp_path):
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(10 * sound.RATE_HZ) / sound.RATE_HZ)
    soundfile.write(tmp_path / "tone.wav", tone, sound.RATE_HZ)
    excerpt = Excerpt(str(tmp_path / "tone.wav"), 0.0, 10.0)
    edited = {}
    for name in sound.EDITS:
        path = tmp_path / "edited"
        assert sound.write_edited(excerpt, name, path)
        edited[name] = soundfile.read(path)[0]
        if name.startswith("mp3"):
            assert path.stat().st_size * 8 / 10 == pytest.approx(64_000, rel=0.03)
    plain, softer, _, noisy, later = edited.values()
    power = np.sqrt(np.mean(plain**2))
    assert 20 * np.log10(np.sqrt(np.mean(softer**2)) / power) == pytest.approx(-12, abs=0.1)
    both = noisy / (noisy @ plain / (plain @ plain))
    assert 20 * np.log10(np.sqrt(np.mean((both - plain) ** 2)) / power) == pytest.approx(-3, abs=0.2)
    assert len(plain) - len(later) == pytest.approx(0.7 * sound.RATE_HZ, abs=1)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return make(tmp_path_factory.mktemp("world"))


def test_a_model_that_is_blind_to_an_edit_is_found_out(small):
    model = load_model(small.checkpoint)
    with open_embeddings(small.data_dir) as file:
        rows = file.read("test", ["dsp"])
        pairing, music = pair_rows(rows), model.project_rows(file, rows)
        of = Evaluated(
            model, rows, pairing, file.encoders["dsp"], model.embed_text(pairing.texts), music, model.embed_text, 0
        )
    seeing = {each.name: each for each in measure_robustness(of).opposites}
    back = {wording.other_mood(text): text for text in pairing.texts}
    blind = replace(of, embed=lambda texts: model.embed_text([back.get(text, text) for text in texts]))
    found = {each.name: each for each in measure_robustness(blind).opposites}
    assert found["mood"].estimate.value == 0 and seeing["mood"].estimate.value > 0.9
    assert found["instrument"].estimate == seeing["instrument"].estimate
    assert found["mood"].queries == 36 and found["mood"].example[0] == pairing.texts[0]


def test_edited_captions_are_embedded_once(small):
    model = load_model(small.checkpoint)
    asked: list[str] = []
    with open_embeddings(small.data_dir) as file:
        rows = file.read("test", ["dsp"])
        pairing, music = pair_rows(rows), model.project_rows(file, rows)

    def embed(texts):
        asked.extend(texts)
        return model.embed_text(texts)

    measure_robustness(Evaluated(model, rows, pairing, None, model.embed_text(pairing.texts), music, embed, 0))
    assert len(asked) == len(set(asked)) > 100


def test_hubs_are_counted_and_csls_is_its_formula():
    rng = np.random.default_rng(0)
    music, queries = rng.normal(size=(200, 8)), rng.normal(size=(300, 8))
    queries[:, 0] += 1.5
    music[:2] = np.eye(8)[0] * 3 + 0.1 * rng.normal(size=(2, 8))  # near to everything
    found, penalty = measure_hubs(queries, music), csls_penalty(music, queries)
    corrected = measure_hubs(queries, music, penalty)
    assert found.hubs == 2 and found.share > 0.06 > 0.05 > corrected.share
    assert corrected.never_found < found.never_found
    unit = [each / np.linalg.norm(each, axis=1, keepdims=True) for each in (queries, music)]
    cosine = unit[0] @ unit[1].T
    csls = (
        2 * cosine
        - np.sort(cosine, axis=1)[:, -10:].mean(axis=1, keepdims=True)
        - np.sort(cosine, axis=0)[-10:].mean(axis=0)
    )
    own = np.arange(300) % 200
    relevance = Relevance.from_pairs(np.arange(300), own, 300, 200)
    expected = (csls >= csls[np.arange(300), own][:, None]).sum(axis=1)
    assert ranks(queries, music, relevance, penalty=penalty).tolist() == expected.tolist()


def test_the_command_edits_real_audio_and_writes_it_all(world, tmp_path, capsys):  # noqa: F811
    done = run(
        EvaluateOptions(
            checkpoint=world.checkpoint,
            data_root=tmp_path,
            dataset_file=world.data_dir / "bench.json",
            robustness=True,
            hubness="csls",
            output=tmp_path / "r.json",
            report=tmp_path / "r.html",
        )
    )
    assert [each.name for each in done.robustness.audio] == list(sound.EDITS)[1:]
    assert {each.queries for each in done.robustness.audio} == {10}
    assert "all, corrected for hubs (CSLS)" in done.retrieval["text_to_music"]
    assert read_result(tmp_path / "r.json") == done
    shown = capsys.readouterr().out
    assert "mp3 at 64 kbit/s" in shown and "corrected by CSLS" in shown and "claims English only" in shown
    assert "white noise, 3 dB below the music" in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_languages_are_measured_only_if_the_text_tower_claims_them(small):
    model = load_model(small.checkpoint)
    assert claimed_languages(model) == {}
    spec = replace(model.text_encoder.spec, name="e5-small")
    claiming = type("Claiming", (), {"label": "", "text_encoder": type("Text", (), {"spec": spec})})()
    assert set(claimed_languages(claiming)) == {"German", "French", "Spanish"}
