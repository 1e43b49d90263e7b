"""Really installed packages: built as wheels by hand, installed with pip into a folder of the test's own."""

import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

from tests.loaded import python

SOURCE = Path(__file__).parents[1] / "src"


Modules = Mapping[str, str]
"""File name -> its source."""
EntryPoints = Mapping[str, Mapping[str, str]]
"""Group -> name -> "module" or "module:object"."""


def install(folder: Path, packages: Mapping[str, tuple[Modules, EntryPoints]]) -> None:
    """Install packages, by their names with underscores, into a folder, which `run` puts on the path."""
    folder.mkdir(parents=True, exist_ok=True)
    wheels = [write_wheel(folder.parent, name, *content) for name, content in packages.items()]
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", folder, *wheels],
        check=True,
        capture_output=True,
        env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
    )


def write_wheel(folder: Path, name: str, modules: Modules, entry_points: EntryPoints) -> Path:
    """Write the wheel of a package into a folder."""
    info = f"{name}-1.0.dist-info"
    groups = [
        "\n".join([f"[{group}]", *(f"{key} = {value}" for key, value in entries.items())])
        for group, entries in entry_points.items()
    ]
    files = {
        **modules,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": "\n\n".join(groups) + "\n",
    }
    record = "".join(f"{file},,\n" for file in [*files, f"{info}/RECORD"])
    wheel = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for file, content in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(file, content)
    return wheel


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python with the packages of a folder installed, and return what it printed."""
    return python(*arguments, env={**os.environ, "PYTHONPATH": f"{SOURCE}{os.pathsep}{folder}", "COLUMNS": "160"})
