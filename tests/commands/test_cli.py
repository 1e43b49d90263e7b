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


def test_a_fault_of_the_program_is_one_line_unless_debugging() -> None:
    code = (
        "import sys, unisono.commands.unify, unisono.cli\n"
        "def run(options): raise ZeroDivisionError('odd')\n"
        "unisono.commands.unify.run = run\n"
        "unisono.cli.main(sys.argv[1:])"
    )
    done = run("-c", code, "unify")
    assert done.returncode == 1
    assert "ZeroDivisionError: odd" in done.stderr
    assert "--debug" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Traceback" in run("-c", code, "unify", "--debug").stderr
