"""A library of short files, searched by a model whose encoder needs no weights."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from unisono import cli
from unisono.embeddings.encoders import audio
from unisono.embeddings.prepare.settings import encoder_record
from unisono.library.library import Library
from unisono.library.sources import _connection
from unisono.library.sources._connection import ConnectionLimits

RATE_HZ = 16_000


class DspModel:
    """Compares music by the encoder dsp; a description is a direction that its letters name."""

    label = "dsp"
    explain = None
    is_padded = False

    def __init__(self, *, compares_tracks: bool = False) -> None:
        self.compares_tracks = compares_tracks
        self.audio_encoder = encoder_record(audio.spec("dsp"), "mean", "")

    def project_audio(self, embeddings, of=None):
        values = embeddings.astype(np.float32)
        if self.compares_tracks and len(values):
            values = values - values.mean(axis=0)
        return values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-6)

    def embed_text(self, texts, *, cached=False):
        texts = [texts] if isinstance(texts, str) else texts
        rows = np.array(
            [np.random.default_rng(list(text.encode())).standard_normal(self.audio_encoder.dim) for text in texts]
        )
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def sing(path: Path, seed: int, seconds: float = 1.5) -> Path:
    """Write a file whose sound depends on the seed."""
    noise = np.random.default_rng(seed)
    time_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    sound = sum(np.sin(2 * np.pi * hertz * time_s) for hertz in noise.uniform(100, 2000, 3)) * 0.1
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, (sound + 0.01 * noise.standard_normal(len(sound))).astype(np.float32), RATE_HZ)
    return path


@pytest.fixture(autouse=True)
def light_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let libraries be embedded by an encoder that needs no weights."""
    monkeypatch.setattr(Library, "load_model", lambda self, device="cpu": DspModel())


@pytest.fixture
def music(tmp_path: Path) -> Path:
    """Six tracks in two albums."""
    for number in range(6):
        sing(tmp_path / f"music/album {number // 3}/{number}.flac", number)
    return tmp_path / "music"


@pytest.fixture
def library(tmp_path: Path, music: Path):
    """The library that follows them, not synced yet."""
    with Library.open(tmp_path / "libraries", create=True) as library:
        library.add(music)
        yield library


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for no server as long as a person would."""
    quick = ConnectionLimits(connect=2, stall=2, tries=3, first_pause=0.01, longest_pause=0.02, longest_wait=2)
    monkeypatch.setattr(_connection, "ConnectionLimits", lambda: quick)


@pytest.fixture(autouse=True)
def no_login_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Log in nowhere with what the environment of the tests holds."""
    monkeypatch.delenv("UNISONO_SERVER_PASSWORD", raising=False)
    monkeypatch.delenv("UNISONO_SERVER_KEY", raising=False)


@pytest.fixture
def typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Type a command line; return its exit code, and what it printed on both streams."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("unisono.retrieval.models.load_model", lambda name, device="cpu": DspModel())

    def run(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            cli.main(list(words))
        shown = capsys.readouterr()
        return int(ended.value.code or 0), shown.out, shown.err

    return run
