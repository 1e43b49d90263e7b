"""With the core install, the verbs of models say which package they need and the command that installs it."""

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("torch", "h5py", "sentence_transformers", "transformers", "safetensors", "onnx", "onnxruntime", "onnxscript")
SCRIPT = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Blocked())
from unisono.cli import main
main({words!r})
"""


def run(words: list[str], folder: Path, blocked: tuple[str, ...] = HEAVY) -> subprocess.CompletedProcess[str]:
    script = SCRIPT.format(blocked=set(blocked), words=words)
    return subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("words", "extra"),
    [
        (["train", "--audio-encoder", "dsp"], "train"),
        (["evaluate", "--checkpoint", "x.pt"], "train"),
        (["search", "calm piano"], "train"),
        (["export", "--checkpoint", "x.pt"], "export"),
        (["check", "x.pt"], "embed"),
    ],
    ids=str,
)
def test_what_is_missing_is_said_before_any_work(words: list[str], extra: str, tmp_path: Path):
    done = run(words, tmp_path)
    assert done.returncode == 2, done.stderr
    assert "needs the package" in done.stderr and "Install it with: pip install" in done.stderr
    assert f"[{extra}]" in done.stderr
    assert "fault of unisono" not in done.stderr and "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "blocked", "extra"),
    [
        (["search", "--serve"], ("starlette", "uvicorn"), "serve"),
        (["search", "--serve"], ("uvicorn",), "serve"),
        (["export"], ("onnx",), "export"),
        (["export"], ("onnxscript",), "export"),
        (["evaluate", "--report", "r.html"], ("jinja2",), "report"),
        (["evaluate", "--report", "r.html"], ("matplotlib",), "report"),
    ],
    ids=str,
)
def test_packages_of_one_option_are_asked_for_before_the_model_is_read(
    words: list[str], blocked: tuple[str, ...], extra: str, tmp_path: Path
):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "dsp_best.pt").write_bytes(b"is not read")
    done = run(words, tmp_path, blocked)
    assert done.returncode == 2 and f"[{extra}]" in done.stderr, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoints"]


def test_compare_needs_nothing_more(tmp_path: Path):
    done = run(["compare", "a.json", "b.json"], tmp_path)
    assert done.returncode == 2 and "There is no a.json" in done.stderr, done.stderr
