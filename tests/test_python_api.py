"""docs/python-api.md, followed to the letter, and what the public names promise."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import unisono
from tests import loaded
from tests.conftest import REPOSITORY
from tests.releases import audio, fma
from tests.sources.own.test_folder import id3
from unisono.base.errors import UnisonoError

END = "--- end of a block ---"
PAGE = REPOSITORY / "docs" / "python-api.md"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("api")
    fma.build(folder / "data" / "raw" / "fma")
    for number in range(20):
        path = folder / "music" / f"{number}.mp3"
        audio.tone(path, 1.5, 200 + 40 * number)
        tags = {"TIT2": f"Piece {number}", "TPE1": f"Player {number}", "TCON": ("Jazz", "Rock", "Folk")[number % 3]}
        path.write_bytes(id3(tags) + path.read_bytes())
    return folder


def test_the_page_runs_from_top_to_bottom_and_prints_what_it_says(workspace: Path) -> None:
    """Run the blocks of code as one script; a block of text behind one is what that block prints."""
    page = PAGE.read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```\n(?:\n```text\n(.*?)```)?", page, re.DOTALL)
    assert len(blocks) > 6 and sum(bool(text) for _, text in blocks) > 4
    script = workspace / "page.py"
    script.write_text(f"print({END!r})\n".join(code for code, _ in blocks), encoding="utf-8")
    done = loaded.python(script, cwd=workspace)
    assert done.returncode == 0, done.stderr
    printed = done.stdout.split(f"{END}\n")
    assert [text for _, text in blocks] == printed


def test_the_modules_and_names_of_all_pages_exist() -> None:
    """As the source says, without importing the packages that they need."""
    named: list[tuple[Path, list[str]]] = []
    for page in [REPOSITORY / "README.md", *PAGE.parent.glob("*.md")]:
        text = page.read_text(encoding="utf-8")
        for module, names in re.findall(r"^ *from (unisono[\w.]*) import ([\w, ]+)", text, re.M):
            named += [(page, [*module.split("."), name.strip()]) for name in names.split(",")]
        for code in re.findall(r"`[^`\n]*`|^    .*", text, re.M):
            named += [(page, name.split(".")) for name in re.findall(r"(?<![\w/.])unisono(?:\.[a-z_]\w*){2,}\w*", code)]
    assert len(named) > 30
    lost = []
    for page, (package, *parts) in named:
        place = REPOSITORY / "src" / package
        while parts and (place / parts[0]).is_dir():
            place /= parts.pop(0)
        if parts and place.joinpath(parts[0]).with_suffix(".py").is_file():
            place = place / f"{parts.pop(0)}.py"
        else:
            place /= "__init__.py"
        if parts and not re.search(
            rf"^(?:def|class) {parts[0]}\b|^{parts[0]}\b|import .*\b{parts[0]}\b", place.read_text(), re.M
        ):
            lost.append((page.name, place.name, parts))
    assert lost == []


def test_every_public_name_is_there_and_documented() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for name in unisono.__all__:
        assert getattr(unisono, name) is not None
        assert f"`{name}`" in page
        assert getattr(unisono, name).__doc__
    assert set(unisono.__all__) <= set(dir(unisono))
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = unisono.nothing


def test_the_public_names_do_not_need_the_command_line(workspace: Path) -> None:
    code = (
        "import sys\n"
        "class Refuse:\n"
        "    def find_spec(self, name, *_):\n"
        "        assert name.split('.')[0] not in ('cyclopts', 'rich'), name\n"
        "sys.meta_path.insert(0, Refuse())\n"
        "import unisono\n"
        "assert not {'numpy', 'msgspec', 'torch', 'h5py'} & set(sys.modules)\n"
        "for name in unisono.__all__: getattr(unisono, name)\n"
        "assert unisono.unify(['fma'], output='x.json').tracks\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=workspace, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "" and done.stderr == "", "a library is silent"


def test_a_missing_extra_is_an_error_in_words() -> None:
    code = (
        "import sys\n"
        "class Missing:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name.split('.')[0] in ('h5py', 'torch'):\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Missing())\n"
        "import unisono as u\n"
        "for name in ('train', 'open_embeddings', 'load_model', 'evaluate', 'prepare'):\n"
        "    try: getattr(u, name)\n"
        "    except u.UnisonoError as error: print(name, error.message, error.hint)\n"
        "    else: print(name, 'was there')\n"
        "assert u.unify and u.read_tracks and u.list_datasets()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for name in ("train", "open_embeddings", "load_model", "evaluate", "prepare"):
        assert re.search(
            rf"^{name} .*needs the package (h5py|torch)\. Install it with: pip install", done.stdout, re.MULTILINE
        )


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (lambda u, path: u.read_tracks(3), "path"),
        (lambda u, path: u.read_tracks(path / "none.json"), "There is no file"),
        (lambda u, path: u.write_tracks("a.json", []), "tracks first and then the path"),
        (lambda u, path: u.write_tracks(["a"], path / "a.json"), "Expected tracks, found 'a' as item 1"),
        (lambda u, path: u.unify("fma"), "datasets must be a sequence"),
        (lambda u, path: u.unify(["fma"], seeds=3), "has no parameter 'seeds'. Did you mean 'seed'?"),
        (lambda u, path: u.unify(["fma"], max_samples=0), "max_samples must be at least 1"),
        (lambda u, path: u.dataset("song_descriptor"), "Did you mean 'song_describer'?"),
        (lambda u, path: u.open_embeddings(path), "There is no"),
        (lambda u, path: u.load_model(path / "none.pt"), "There is no checkpoint"),
        (
            lambda u, path: u.prepare(path / "none.json", output_dir=path, encoders=["musicn"]),
            "Did you mean 'musicnn'?",
        ),
        (lambda u, path: u.train(path, audio_encoder="dsp", epochs=-1), "epochs must be at least 1"),
        (lambda u, path: u.evaluate("model.pt", path), "model must be"),
        (lambda u, path: u.Track(id="x", audio_path="/a", duration=-1), "duration must be a number of seconds from 0"),
    ],
)
def test_misuse_is_an_error_in_words(mistake, message: str, tmp_path: Path) -> None:
    with pytest.raises(UnisonoError) as raised:
        mistake(unisono, tmp_path)
    assert message in raised.value.message
