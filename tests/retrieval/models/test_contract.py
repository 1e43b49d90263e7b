"""What holds for every model that needs no training, found by registry, and for trained ones, which keep the protocol."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.retrieval.models.tagged import write_tagged
from unisono.base.errors import UsageError
from unisono.retrieval import models
from unisono.retrieval.models import JointModel, load_model

TEXTS = ["slow solemn choir", "fast rock with a male singer", "a solo harp, no drums", "deep house"]
ODD = ["", "   ", "?!...", "x", "рояль и хор", "静かなピアノ", "no no no", "without", "a " * 2500, "\n\t", "drums 🥁"]


@pytest.fixture(scope="module", params=models.names())
def model(request: pytest.FixtureRequest, weights_root: Path) -> Iterator[JointModel]:
    """Each model: with tiny random weights, or with the real ones that come in packages."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNISONO_WEIGHTS", str(weights_root))
        if not models.get(request.param).is_here():
            assert not models.spec(request.param).size, "tests/embeddings/encoders/tiny.py has no tiny weights of it"
            pytest.skip(f"the weights of {request.param} are not here")
        yield load_model(request.param)


@pytest.mark.parametrize("name", models.names())
def test_the_spec_says_what_a_user_must_know(name: str) -> None:
    spec = models.spec(name)
    assert spec.name == name
    assert spec.title and spec.languages and spec.license and spec.encoders
    assert spec.size or spec.install
    assert spec.verified.startswith(("yes", "no"))
    assert spec.noncommercial == ("-NC" in spec.license)


def test_texts_become_unit_vectors_that_depend_on_nothing_else(model: JointModel) -> None:
    together = model.embed_text(TEXTS)
    assert together.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    assert np.array_equal(model.embed_text(TEXTS), together)
    for text, vector in zip(TEXTS, together, strict=True):
        np.testing.assert_allclose(model.embed_text(text)[0], vector, atol=1e-5)
        np.testing.assert_allclose(model.embed_text([*ODD, text])[-1], vector, atol=1e-5)
    assert model.embed_text([]).shape == (0, together.shape[1])


def test_odd_texts_stay_finite(model: JointModel) -> None:
    assert np.isfinite(model.embed_text(ODD)).all()


def test_music_becomes_unit_vectors_that_depend_on_nothing_else(model: JointModel) -> None:
    """Or, of a model that compares the tracks with each other, on the tracks that are given."""
    stored = np.random.default_rng(0).normal(size=(9, model.audio_encoder.dim)).astype(np.float16)
    music = model.project_audio(stored)
    assert music.dtype == np.float32 and music.shape == (9, model.embed_text("a").shape[1])
    np.testing.assert_allclose(np.linalg.norm(music, axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(model.project_audio(stored), music)
    np.testing.assert_allclose(model.project_audio(stored, np.arange(9)), music, atol=1e-6)
    twice = model.project_audio(np.repeat(stored, 2, axis=0), np.repeat(np.arange(9), 2))
    np.testing.assert_allclose(twice[::2], music, atol=1e-5)
    np.testing.assert_array_equal(twice[::2], twice[1::2])


@pytest.mark.parametrize(
    ("name", "message"),
    [("tag", r"no model 'tag'\. Did you mean 'tags'"), ("none.pt", "There is no checkpoint"), ("a/b", "no checkpoint")],
)
def test_an_unknown_name_is_refused(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_model(name)


def test_a_file_of_other_encoders_is_refused(model: JointModel, tmp_path: Path) -> None:
    write_tagged(tmp_path, encoder="dsp")
    with pytest.raises(UsageError, match=r"no embeddings that the model .* can read .*it holds: dsp"):
        model.collection(tmp_path)


def test_a_query_imports_neither_torch_nor_transformers(tmp_path: Path) -> None:
    if not models.get("tags").is_here():
        pytest.skip("the weights of tags are not here")
    write_tagged(tmp_path)
    code = (
        "import sys; from unisono.cli import app; "
        f"app(['search', 'slow choir', '--model', 'tags', '--data-dir', {str(tmp_path)!r}, '--json'], "
        "result_action='return_value'); "
        "sys.exit(', '.join({'torch', 'transformers', 'scipy', 'sklearn'} & set(sys.modules)) or 0)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert '"why"' in run.stdout
