import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.loaded import python, unisono
from tests.making import make_track
from tests.releases import song_describer
from unisono.cli import GROUPS, VERBS
from unisono.tracks.files import write_tracks

EVERY_VERB = [*VERBS, *(f"{group} {verb}" for group, (_, verbs) in GROUPS.items() for verb in verbs)]
HEAVY = ["torch", "transformers", "h5py", "pyarrow", "soundfile", "numpy", "requests", "huggingface_hub", "sqlite3"]
SCRIPTS = {
    "download_datasets.py": "download",
    "unify_datasets.py": "unify",
    "prepare_dataset.py": "prepare",
    "train.py": "train",
}


def run(*command: str | Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run Python from its start."""
    return subprocess.run(
        [sys.executable, *map(str, command)],
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        check=False,
        cwd=REPOSITORY,
    )


def test_every_verb_has_help_which_loads_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "import filelock\n"  # some versions of which load sqlite3
        f"heavy = set({HEAVY}) - set(sys.modules)\n"
        "from unisono.cli import main\n"
        f"for verb in {EVERY_VERB}:\n"
        "    try:\n        main([*verb.split(), '--help'])\n"
        "    except SystemExit as ended:\n        assert not ended.code, verb\n"
        "    loaded = heavy & set(sys.modules)\n"
        "    assert not loaded, (verb, loaded)"
    )
    done = run("-c", code)
    assert done.returncode == 0, done.stderr
    for verb in EVERY_VERB:
        assert f"unisono {verb}" in done.stdout


@pytest.mark.parametrize(("script", "verb"), SCRIPTS.items())
def test_the_scripts_are_the_verbs(script: str, verb: str) -> None:
    shown = python(script, "--help", cwd=REPOSITORY).stdout
    assert shown and shown == unisono(verb, "--help").stdout


def test_wrong_usage_exits_with_2() -> None:
    done = unisono("unify", "--no-such-option")
    assert done.returncode == 2
    assert "--no-such-option" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_help_loads_no_stage() -> None:
    code = f"import sys, unisono.cli; loaded = [m for m in {HEAVY} if m in sys.modules]; assert not loaded, loaded"
    done = run("-c", code)
    assert done.returncode == 0, done.stderr


def test_a_fault_of_the_program_is_one_line_unless_debugging() -> None:
    code = (
        "import sys, unisono.commands.unify, unisono.cli\n"
        "def run(options): raise ZeroDivisionError('odd')\n"
        "unisono.commands.unify._unify = run\n"
        "unisono.cli.main(sys.argv[1:])"
    )
    done = python("-c", code, "unify")
    assert done.returncode == 1
    assert "ZeroDivisionError: odd" in done.stderr
    assert "--debug" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Traceback" in python("-c", code, "unify", "--debug").stderr


@pytest.fixture(scope="module")
def unified(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cli") / "unified.json"
    tracks = [make_track(id=f"d_{n}", audio_path=f"/{n}.mp3", caption=f"Größe {n}", duration=1) for n in range(3000)]
    write_tracks(path, tracks)
    return path


def test_a_terminal_that_knows_ascii_only_gets_other_characters_replaced(unified: Path) -> None:
    done = run("-m", "unisono", "describe", str(unified), env={"PYTHONIOENCODING": "ascii", "COLUMNS": "80"})
    assert done.returncode == 0, done.stderr
    assert "3,000 tracks" in done.stdout and done.stdout.isascii()


@pytest.mark.parametrize(("where", "code"), [("> /dev/full", 1), (">&-", 0), ("| head -n 1; exit ${PIPESTATUS[0]}", 0)])
def test_results_that_nobody_reads_end_no_run(unified: Path, tmp_path: Path, where: str, code: int) -> None:
    command = f"{sys.executable} -m unisono convert {unified} {tmp_path / 'out.csv'} {where}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert ("No space left" in done.stderr) == bool(code)
    assert (tmp_path / "out.csv").stat().st_size > 100_000


def test_debugging_keeps_the_exit_code(tmp_path: Path) -> None:
    done = unisono("describe", tmp_path / "none.json", "--debug")
    assert done.returncode == 2
    assert "Traceback" in done.stderr and "There is no file" in done.stderr


def test_options_come_from_a_file_from_a_report_and_first_from_the_command_line(tmp_path: Path) -> None:
    song_describer.build(tmp_path / "data" / "raw" / "song_describer")
    (tmp_path / "run.toml").write_text(
        'seed = 3\n[unify]\nmax_samples = 1\ncheck-audio = false\ndatasets = ["song_describer"]\ncaptions = "varied"'
    )
    assert "1 track is in" in cli(tmp_path, "unify", "--config", "run.toml", "--output", "a.json").stdout
    assert "2 tracks are in" in cli(tmp_path, "unify", "--config", "run.toml", "--max-samples", "2").stdout
    said = cli(tmp_path, "--config", "a.report.json", "unify", "--output", "b.json").stdout
    assert "1 track is in" in said
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    options = json.loads((tmp_path / "b.report.json").read_text())["options"]
    assert options["seed"] == 3 and options["captions"] == ["varied"]  # which is the name of a verb as well


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.toml", None, "There is no file"),
        ("x.toml", "seed = [", "cannot be read"),
        ("x.toml", "colour = 1", "Unknown option"),
        ("x.toml", "workers = 0", "1"),
        ("x.json", "[]", "records no options"),
        ("x.json", "{", "cannot be read"),
        ("x.yaml", "seed: 1", "read from .toml"),
    ],
)
def test_a_file_of_options_that_cannot_be_used_is_explained(
    tmp_path: Path, name: str, content: str | None, message: str
) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    done = cli(tmp_path, "unify", "--config", name, code=None)
    assert done.returncode in (1, 2)
    assert message in " ".join((done.stdout + done.stderr).split())
    assert "Traceback" not in done.stderr


def test_the_data_folder_may_come_from_the_environment(tmp_path: Path) -> None:
    done = cli(tmp_path, "unify", code=2, UNISONO_DATA_ROOT=str(tmp_path / "elsewhere"))
    assert str(tmp_path / "elsewhere" / "raw") in done.stderr.replace("\n", "")


def test_quiet_shows_results_alone(unified: Path, tmp_path: Path) -> None:
    done = cli(tmp_path, "--quiet", "convert", str(unified), "out.csv")
    assert "3,000 tracks are in out.csv" in done.stdout
    assert done.stderr == ""


def cli(folder: Path, *words: str, code: int | None = 0, **environment: str) -> subprocess.CompletedProcess[str]:
    done = unisono(*words, cwd=folder, env={**os.environ, "COLUMNS": "200", **environment})
    assert code is None or done.returncode == code, done.stdout + done.stderr
    return done
