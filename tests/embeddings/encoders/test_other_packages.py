"""Audio encoders of other packages: really installed ones, working and broken in each way there is."""

import itertools
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.embeddings.prepare.conftest import Folder
from tests.installed import install, run

GROUP = "unisono.encoders"
GOOD = '''
"""peak: the loudest sample of a window."""
from unisono.embeddings.encoders.audio import EncoderSpec

SPEC = EncoderSpec(
    name="peak", title="Peak [level]", rate_hz=8000, window_s=1.0, hop_s=1.0, dim=2, weights_license="none needed"
)

class Peak:
    spec = SPEC

    def embed(self, windows):
        import torch
        return torch.stack([windows.amax(1), windows.amin(1)], dim=1)

def build(device="cpu", weights=None):
    return Peak()
'''
SPEC_OF = (
    "from unisono.embeddings.encoders.audio import EncoderSpec\nSPEC = EncoderSpec(name={!r}, title='t', rate_hz=8000,"
)
SPEC_OF += "window_s=1.0, hop_s=1.0, dim=2, weights_license='l')\n"
BROKEN = {
    "absent": ("import not_installed_at_all", "No module named 'not_installed_at_all'"),
    "torn": ("SPEC = (", "SyntaxError"),
    "empty": ("", "expected a module with SPEC, an EncoderSpec, found None"),
    "renamed": (SPEC_OF.format("other"), "its SPEC has another name, 'other'"),
    "unbuilt": (SPEC_OF.format("unbuilt"), "it has no function build(device, weights)"),
    "dsp": (SPEC_OF.format("dsp") + "build = print", "unisono has an encoder of this name"),
}
"""Encoder -> the source of its module, and what the message says."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Packages with a good encoder, one that fails while it is built, and the broken ones."""
    root = tmp_path_factory.mktemp("packages")
    failing = SPEC_OF.format("failing") + "def build(device, weights): raise ZeroDivisionError('by zero')"
    packages = {
        "loudness": ({"loudness.py": GOOD}, {GROUP: {"peak": "loudness"}}),
        "fails_later": ({"fails_later.py": failing}, {GROUP: {"failing": "fails_later"}}),
    }
    for name, (source, _) in BROKEN.items():
        packages[f"has_{name}"] = ({f"has_{name}.py": source}, {GROUP: {name: f"has_{name}"}})
    install(root / "site", packages)
    return root / "site"


def test_the_good_one_is_listed_and_the_others_with_their_reasons(site: Path) -> None:
    done = run(site, "-m", "unisono", "encoders", "list")
    assert done.returncode == 0, done.stderr
    words = " ".join(done.stdout.split())
    assert "peak Peak [level] 2 8 kHz none needed needs none" in words
    assert "dsp Log-mel, MFCC" in words, "our own encoder is still there"
    for name, (_, reason) in BROKEN.items():
        assert f"Not usable: '{name}' of the package has-{name} ({GROUP}) cannot be used: " in words
        assert reason in words
    assert "Traceback" not in done.stdout + done.stderr


def test_the_good_one_embeds(site: Path, tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    for number in range(3):
        folder.add(f"t{number}", 2.0 + number)
    folder.write()
    output = tmp_path / "out"
    line = ("prepare", "--dataset-file", str(folder.file), "--output-dir", str(output), "--encoders", "peak", "dsp")
    done = run(site, "-m", "unisono", *line)
    assert done.returncode == 0, done.stderr
    code = f"from unisono.embeddings.file import open_embeddings as o; f = o({str(output)!r}); print(f['peak'].shape)"
    assert run(site, "-c", code).stdout == "(3, 2)\n"


@pytest.mark.parametrize("name", [name for name in BROKEN if name != "dsp"])
def test_a_broken_one_is_an_error_in_words(site: Path, name: str, tmp_path: Path) -> None:
    done = run(site, "-m", "unisono", "prepare", "--encoders", name, "--output-dir", str(tmp_path))
    assert done.returncode == 2
    words = " ".join(done.stderr.split())
    assert f"'{name}' of the package has-{name} ({GROUP}) cannot be used" in words
    assert BROKEN[name][1] in words
    assert "Traceback" not in words and "fault of unisono" not in words


def test_one_that_fails_while_it_is_built_names_its_package(site: Path) -> None:
    code = "from unisono.embeddings.encoders import audio\naudio.build('dsp')\naudio.build('failing')"
    done = run(site, "-c", code)
    assert "UnisonoError: The encoder failing of the package fails-later cannot be built" in done.stderr
    assert "ZeroDivisionError: by zero" in done.stderr


def test_names_are_listed_without_importing_the_packages(site: Path) -> None:
    code = (
        "import sys; from unisono.embeddings.encoders import audio; print(audio.names()); "
        "sys.exit('loudness' in sys.modules)"
    )
    done = run(site, "-c", code)
    assert done.returncode == 0, done.stderr
    assert "'peak'" in done.stdout and "'absent'" in done.stdout and done.stdout.count("'dsp'") == 1


def test_a_misspelt_name_has_the_nearest_one(site: Path) -> None:
    done = run(site, "-m", "unisono", "encoders", "fetch", "peek")
    assert done.returncode == 2
    assert "There is no encoder 'peek'. Did you mean 'peak'?" in done.stderr


def test_the_example_of_the_docs_is_an_encoder(tmp_path: Path) -> None:
    lines = (REPOSITORY / "docs" / "encoders.md").read_text(encoding="utf-8").splitlines()
    begin = next(number for number, line in enumerate(lines) if "in `my_package/my_encoder.py`" in line)
    code = [line[4:] for line in itertools.takewhile(lambda line: line[:4].isspace() or not line, lines[begin + 1 :])]
    modules = {"my_package/__init__.py": "", "my_package/my_encoder.py": "\n".join(code)}
    install(tmp_path / "site", {"my_package": (modules, {GROUP: {"my_encoder": "my_package.my_encoder"}})})
    shown = (
        "import torch; from unisono.embeddings.encoders import audio; "
        "print(audio.unusable(), audio.build('my_encoder').embed(torch.ones(3, 80_000)).tolist())"
    )
    done = run(tmp_path / "site", "-c", shown)
    assert done.stdout == "{} [[1.0, 1.0], [1.0, 1.0], [1.0, 1.0]]\n", done.stderr
