"""The documentation is built without warnings and without a network; commands and public names are those of the program."""

import html
import os
import re
from pathlib import Path

import pytest
import yaml

import unisono
from tests import loaded
from tests.conftest import REPOSITORY
from unisono.cli import GROUPS, VERBS, app


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(REPOSITORY / "src")}
    nowhere = {f"{name}_proxy": "http://127.0.0.1:9" for name in ("http", "https", "all")}
    # Not --quiet: it would hide the warnings from --strict, too.
    done = loaded.python("-m", "mkdocs", "build", "--strict", "-d", folder, cwd=REPOSITORY, env=environment | nowhere)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def text_of(page: Path) -> str:
    return html.unescape(re.sub(r"<[^>]+>", "", page.read_text(encoding="utf-8")))


def test_every_option_of_every_command_is_described(site: Path) -> None:
    for verb in VERBS:
        page = text_of(site / f"commands/{verb}.html")
        names = {name for each in app[verb].assemble_argument_collection() for name in each.names}
        options = {name for name in names if re.match("--(?!empty-)", name)}
        assert options and not [name for name in options if name not in page], verb
    for group, (_, verbs) in GROUPS.items():
        page = text_of(site / f"commands/{group}.html")
        assert all(f"unisono {group} {verb}" in page for verb in verbs)


def test_every_public_name_is_described(site: Path) -> None:
    page = (site / "api/names.html").read_text(encoding="utf-8")
    for name in unisono.__all__:
        assert f'id="unisono.{unisono._HOMES[name]}.{name}"' in page


def test_every_page_can_be_found_in_the_navigation(site: Path) -> None:
    shown = (site / "search.html").read_text(encoding="utf-8")
    pages = [each.relative_to(site).as_posix() for each in site.rglob("*.html")]
    assert len(pages) > 50
    assert not [page for page in pages if f'href="{page}"' not in shown and page not in ("404.html", "search.html")]


def test_pages_load_nothing_from_elsewhere(site: Path) -> None:
    address = r"(?:https?:)?//"
    loads = re.compile(rf"<(?:script|img|link|iframe|source)\b[^>]*?(?:src|href)=\"?{address}[^\s>]+|url\({address}")
    found = [
        (path.name, what)
        for path in site.rglob("*")
        if path.suffix in (".html", ".css")
        for what in loads.findall(path.read_text(encoding="utf-8"))
    ]
    assert found == []


@pytest.mark.parametrize("name", ["README", "CONTRIBUTING", "CHANGELOG", "CODE_OF_CONDUCT", "SECURITY"])
def test_what_the_pages_next_to_readme_name_is_there(name: str) -> None:
    text = (REPOSITORY / f"{name}.md").read_text(encoding="utf-8")
    named = re.findall(r"(?:\]\(|src=\"|srcset=\")((?!https?:)[^)#\"]+)", text)
    named += re.findall(r"`((?:src|tests)/[\w/.]*?)(?:NAME\.py)?`", text)
    assert not [path for path in named if not (REPOSITORY / path).exists()]


def test_the_citation_has_what_its_format_asks_for() -> None:
    found = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors", "license"} <= set(found) and found["license"] == "Apache-2.0"
