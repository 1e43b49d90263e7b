import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

VERBS = ["download", "unify", "prepare", "train", "evaluate", "search"]
SCRIPTS = {
    "download_datasets.py": "download",
    "unify_datasets.py": "unify",
    "prepare_dataset.py": "prepare",
    "train.py": "train",
}


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *map(str, command)], capture_output=True, text=True, check=False, cwd=REPOSITORY
    )


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb: str) -> None:
    done = run("-m", "unisono", verb, "--help")
    assert done.returncode == 0, done.stderr
    assert f"unisono {verb}" in done.stdout


@pytest.mark.parametrize(("script", "verb"), SCRIPTS.items())
def test_the_scripts_are_the_verbs(script: str, verb: str) -> None:
    assert run(script, "--help").stdout == run("-m", "unisono", verb, "--help").stdout


def test_wrong_usage_exits_with_2() -> None:
    done = run("-m", "unisono", "unify", "--no-such-option")
    assert done.returncode == 2
    assert "--no-such-option" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_help_loads_no_stage() -> None:
    heavy = ["torch", "transformers", "h5py", "pyarrow", "soundfile", "numpy", "requests", "huggingface_hub"]
    code = f"import sys, unisono.cli; loaded = [m for m in {heavy} if m in sys.modules]; assert not loaded, loaded"
    done = run("-c", code)
    assert done.returncode == 0, done.stderr
