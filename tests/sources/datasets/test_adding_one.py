"""docs/add-a-dataset.md, followed to the letter: the file's presence is enough."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from unisono.sources import registry as datasets
from unisono.sources.datasets import _table

PLUGIN = """
import unisono.sources.registry, tests.releases
unisono.sources.datasets.__path__.append({modules!r})
tests.releases.__path__.append({builders!r})
"""


@pytest.fixture(scope="module")
def added(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Write the page's two files into folders of their own and give an environment in which they are found."""
    folder = tmp_path_factory.mktemp("added")
    page = (REPOSITORY / "docs" / "add-a-dataset.md").read_text(encoding="utf-8")
    module, builder = re.findall(r"```python\n(# .*?)```", page, re.DOTALL)
    assert len(module.splitlines()) < 60
    for name, content in (("modules", module), ("builders", builder)):
        (folder / name).mkdir()
        (folder / name / "chirps.py").write_text(content)
    plugin = PLUGIN.format(modules=str(folder / "modules"), builders=str(folder / "builders"))
    (folder / "with_chirps.py").write_text(plugin)
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(REPOSITORY)])}


def run(code: str, environment: dict[str, str], cwd: Path = REPOSITORY) -> str:
    done = subprocess.run([sys.executable, *code.split("|")], env=environment, cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_it_takes_part_in_the_contract_test(added: dict[str, str]) -> None:
    output = run(
        "-m|pytest|-q|-p|with_chirps|-p|no:cacheprovider|tests/sources/datasets/test_contract.py|-k|chirps", added
    )
    assert "9 passed" in output


def test_it_is_listed_and_in_the_table(added: dict[str, str]) -> None:
    assert "`chirps`" in run(
        "-c|import with_chirps; from unisono.sources.datasets import _table; print(_table.markdown())", added
    )
    assert "chirps" in run(
        "-c|import with_chirps; from unisono.cli import main; main(['download', '--list'])", {**added, "COLUMNS": "200"}
    )


def test_it_can_be_unified(added: dict[str, str], tmp_path: Path) -> None:
    script = (
        "import with_chirps; from pathlib import Path; from tests.releases import chirps; from unisono.cli import main; "
        "chirps.build(Path('data/raw/chirps')); main(['unify', '--datasets', 'chirps'])"
    )
    run(f"-c|{script}", added, cwd=tmp_path)
    text = (tmp_path / "data" / "unified_dataset.json").read_text()
    assert text.count('"dataset":"chirps"') == 2 and "CC-BY-4.0" in text


def test_the_table_in_the_docs_is_up_to_date() -> None:
    page = (REPOSITORY / "docs" / "datasets.md").read_text(encoding="utf-8")
    assert _table.markdown() in page, "rewrite the table with: python -m unisono.sources.datasets._table"
    assert all(f"`{name}`" in page for name in datasets.names())
