"""The examples run, on small data; the stored outputs of the notebooks are small and of nobody's machine."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests import loaded
from tests.conftest import REPOSITORY
from tests.releases import audio, fma, jamendo_max_caps, mtg_jamendo, song_describer
from tests.test_style import HOME

EXAMPLES = REPOSITORY / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))
MODEL = "data/three_datasets/checkpoints/dsp_best.pt"
ARGUMENTS = {
    "three_datasets": ("data", "dsp"),
    "clean_benchmark": ("data",),
    "compare_models": ("data/three_datasets/embeddings", "dsp", "1"),
    "my_music": ("Music", "slow jazz", MODEL),
}
"""Example -> what it is told; later ones read what the first one wrote."""
ON_SMALL_DATA = {
    'ROOT = "data/demo"': 'ROOT = "data"',
    'MUSIC = "~/Music"': 'MUSIC = "Music"',
    'MODEL = "tags"': f'MODEL = "{MODEL}"',
    'where=("duration=20..600",)': 'where=("duration=1..600",)',
}


def cells_of(notebook: Path, kind: str = "code") -> list[dict]:
    return [cell for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == kind]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("examples")
    for release in (fma, jamendo_max_caps, mtg_jamendo, song_describer):
        release.build(folder / "data/raw" / release.__name__.rpartition(".")[2])
    for number in range(8):
        audio.tone(folder / f"Music/{number}.wav", 4, 200 + 40 * number)
    return folder


def test_all_are_run() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.py")} == set(ARGUMENTS)
    assert len(NOTEBOOKS) == 2
    for path in EXAMPLES.glob("*.py"):
        assert len(path.read_text().splitlines()) <= 40


def test_the_pipelines_run(folder: Path) -> None:
    for name, words in ARGUMENTS.items():
        done = loaded.python(EXAMPLES / f"{name}.py", *words, cwd=folder)
        assert done.returncode == 0, f"{name}: {done.stderr}"
        assert done.stdout.count("\n") > 2, name
    assert (folder / "found.m3u8").read_text().count("\n") > 3
    for notebook in NOTEBOOKS:
        code = "\n".join("".join(cell["source"]) for cell in cells_of(notebook))
        for what, instead in ON_SMALL_DATA.items():
            code = code.replace(what, instead)
        done = loaded.python("-c", code, cwd=folder)
        assert done.returncode == 0, f"{notebook.name}: {done.stderr}"


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_is_stored_is_small_and_whole(notebook: Path) -> None:
    assert notebook.stat().st_size < 20_000 and not HOME.search(notebook.read_text(encoding="utf-8"))
    for cell in cells_of(notebook):
        assert cell["execution_count"], "a cell was not run"
        assert {each["output_type"] for each in cell["outputs"]} <= {"stream"}
    for cell in cells_of(notebook, "markdown"):
        for page in re.findall(r"\]\(\.\./(.*?)\)", "".join(cell["source"])):
            assert (REPOSITORY / page).is_file()


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_first_cell_says_which_extra_is_missing(notebook: Path) -> None:
    first = "".join(cells_of(notebook)[0]["source"])
    code = (
        "import sys\n"
        "class Missing:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name.split('.')[0] in ('h5py', 'torch'):\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Missing())\n" + first
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode and re.search(r"needs the package (h5py|torch)\..*pip install", done.stderr, re.S)
