"""A wheel is built, installed in a fresh environment, and used from Python and from the command line."""

import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.making import make_track
from unisono.tracks.files import write_tracks

SOURCE = REPOSITORY / "src"
HEAVY = ("torch", "numpy", "h5py", "pyarrow", "requests", "soundfile", "transformers", "huggingface_hub")
COMMAND_LINE = ("cyclopts", "rich")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the `bin` folder of an environment with the wheel, which sees the packages that the tests run with."""
    root = tmp_path_factory.mktemp("environment")
    venv.create(root)
    python = root / "bin" / "python"
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(command, check=True, capture_output=True)
    (packages,) = root.glob("lib/python*/site-packages")
    # A path file's own path files are not followed: the editable unisono of the tests stays out of sight.
    (packages / "tests.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python.parent


def run(program: Path, *words: str, cwd: Path) -> str:
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(cwd), "COLUMNS": "120"}
    done = subprocess.run([program, *words], cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_holds_the_package_and_nothing_else(wheel: Path):
    files = {path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*") if path.is_file()}
    files = {name for name in files if "__pycache__" not in name}
    data = {Path(name).suffix for name in files} - {".py"}
    assert {".html", ".jinja", ".toml", ".txt", ".typed"} <= data
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {name for name in names if ".dist-info/" not in name} == files
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_it_is_used_from_python(environment: Path, tmp_path: Path):
    code = "import unisono, sys; print(unisono.__file__, unisono.__version__, sep='\\n')"
    file, version = run(environment / "python", "-c", code, cwd=tmp_path).split()
    assert Path(file).is_relative_to(environment.parent) and version[0].isdigit()
    code = """
import unisono as u
for name in u.__all__:
    getattr(u, name)
assert "musiccaps" in [dataset.name for dataset in u.list_datasets()]
track = u.Track(id="a", audio_path="/a.wav", captions=(u.Caption("calm piano", "human"),), duration=3)
u.write_tracks([track], "a.parquet")
(read,) = u.read_tracks("a.parquet")
print(read == track)
"""
    assert run(environment / "python", "-c", code, cwd=tmp_path).split() == ["True"]


def test_it_is_used_from_the_command_line(environment: Path, tmp_path: Path):
    shown = run(environment / "unisono", "--help", cwd=tmp_path)
    assert all(verb in shown for verb in ("download", "unify", "prepare", "train", "evaluate", "search"))
    assert "--data-root" in run(environment / "unisono", "unify", "--help", cwd=tmp_path)
    track = make_track(id="a", audio_path="/a.wav", caption="calm piano", duration=3, caption_origin="human")
    write_tracks(tmp_path / "a.json", [track])
    run(environment / "unisono", "convert", "a.json", "a.jsonl", cwd=tmp_path)
    assert "calm piano" in (tmp_path / "a.jsonl").read_text()


@pytest.mark.parametrize(
    ("code", "absent"),
    [("import unisono", (*HEAVY, *COMMAND_LINE)), ("import unisono.cli; unisono.cli.main(['--help'])", HEAVY)],
    ids=["import", "help"],
)
def test_it_loads_nothing_heavy(environment: Path, tmp_path: Path, code: str, absent: tuple[str, ...]):
    code = f"""
import sys
try:
    {code}
except SystemExit as ended:
    assert not ended.code, ended.code
loaded = [name for name in {absent} if name in sys.modules]
assert not loaded, loaded
"""
    run(environment / "python", "-c", code, cwd=tmp_path)
