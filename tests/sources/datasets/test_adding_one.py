"""docs/add-a-dataset.md, followed to the letter: a file in the folder, or an entry point of another package, is enough."""

import os
import re
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.installed import SOURCE, install
from tests.loaded import python
from unisono.sources import registry as datasets
from unisono.sources.datasets import _table

GROUP = "unisono.datasets"
IN_THE_FOLDER = """
import unisono.sources.registry, tests.releases
unisono.sources.datasets.__path__.append({modules!r})
tests.releases.__path__.append({builders!r})
"""
IN_A_PACKAGE = """
import tests.releases
tests.releases.__path__.append({builders!r})
"""


@pytest.fixture(scope="module", params=["folder", "package"])
def added(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Write the page's two files and return an environment in which they are found."""
    folder = tmp_path_factory.mktemp("added")
    module, builder = page()
    assert len(module.splitlines()) < 60
    for name, content in (("modules", module), ("builders", builder)):
        (folder / name).mkdir()
        (folder / name / "chirps.py").write_text(content)
    plugin = IN_THE_FOLDER if request.param == "folder" else IN_A_PACKAGE
    places = {"modules": str(folder / "modules"), "builders": str(folder / "builders")}
    (folder / "with_chirps.py").write_text(plugin.format(**places))
    if request.param == "package":
        install(folder / "site", {"birds": ({"birds.py": module}, {GROUP: {"chirps": "birds"}})})
    return environment(folder / "site", folder)


def page() -> tuple[str, str]:
    """Return the page's module and its builder."""
    text = (REPOSITORY / "docs" / "add-a-dataset.md").read_text(encoding="utf-8")
    module, builder = re.findall(r"```python\n(# .*?)```", text, re.DOTALL)
    return module, builder


def environment(*folders: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, [SOURCE, *folders, REPOSITORY])), "COLUMNS": "200"}


def run(code: str, environment: dict[str, str], cwd: Path = REPOSITORY, *, rc: int = 0) -> str:
    done = python(*code.split("|"), env=environment, cwd=cwd)
    assert done.returncode == rc, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_it_takes_part_in_the_contract_test(added: dict[str, str]) -> None:
    quietly = "-q|-W|ignore::pytest.PytestAssertRewriteWarning|-p|with_chirps|-p|no:cacheprovider"
    output = run(f"-m|pytest|{quietly}|tests/sources/datasets/test_contract.py|-k|chirps", added)
    assert "12 passed" in output


def test_it_is_listed_and_in_the_table(added: dict[str, str]) -> None:
    assert "`chirps`" in run(
        "-c|import with_chirps; from unisono.sources.datasets import _table; print(_table.markdown())", added
    )
    assert "chirps" in run("-c|import with_chirps; from unisono.cli import main; main(['download', '--list'])", added)


def test_it_can_be_unified_with_its_own_option(added: dict[str, str], tmp_path: Path) -> None:
    script = (
        "import with_chirps; from pathlib import Path; from tests.releases import chirps; from unisono.cli import main; "
        "chirps.build(Path('data/raw/chirps')); main(['unify', '--datasets', 'chirps', *{arguments}])"
    )
    run(f"-c|{script.format(arguments=[])}", added, cwd=tmp_path)
    text = (tmp_path / "data" / "unified_dataset.json").read_text()
    assert text.count('"dataset":"chirps"') == 2 and "CC-BY-4.0" in text
    run(f"-c|{script.format(arguments=['--only-low'])}", added, cwd=tmp_path)
    assert (tmp_path / "data" / "unified_dataset.json").read_text().count('"dataset":"chirps"') == 1
    report = (tmp_path / "data" / "unified_dataset.report.json").read_text()
    assert '"only_low": true' in report


def test_a_package_that_is_broken_breaks_its_dataset_only(tmp_path: Path) -> None:
    site = tmp_path / "site"
    packages = {
        "broken": ({"broken.py": "import not_installed_at_all"}, {GROUP: {"quacks": "broken"}}),
        "other": ({"other.py": "DATASET = 3"}, {GROUP: {"other": "other"}}),
        "birds": ({"birds.py": page()[0]}, {GROUP: {"tweets": "birds"}}),
    }
    install(site, packages)
    there = environment(site)
    said = run("-m|unisono|download|quacks|--data-root|data", there, tmp_path, rc=2)
    assert "'quacks' of the package broken" in said and "No module named 'not_installed_at_all'" in said
    said = run("-m|unisono|download|other", there, tmp_path, rc=2)
    assert "'other' of the package other" in said and "it names neither a Dataset nor a module with a DATASET" in said
    said = run("-m|unisono|download|tweets", there, tmp_path, rc=2)
    assert "'tweets' of the package birds" in said and "its dataset is called 'chirps'" in said
    said = run("-m|unisono|download|--list", there, tmp_path)
    assert "song_describer" in said and "'quacks' of the package broken" in said
    assert "song_describer" in run("-m|unisono|download|--all|--dry-run", there, tmp_path)
    assert "valid-only" in run("-m|unisono|unify|--help", there, tmp_path)


def test_an_unknown_name_is_answered_with_the_nearest_one(tmp_path: Path) -> None:
    said = run("-m|unisono|download|song_descriper", environment(), tmp_path, rc=2)
    assert "no dataset 'song_descriper'. Did you mean 'song_describer'?" in " ".join(said.split())


def test_the_table_in_the_docs_is_up_to_date() -> None:
    text = (REPOSITORY / "docs" / "datasets.md").read_text(encoding="utf-8")
    assert _table.markdown() in text, "rewrite the table with: python -m unisono.sources.datasets._table"
    assert all(f"`{name}`" in text for name in datasets.names())
