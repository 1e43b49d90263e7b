"""What the house's style asks for and no linter checks: sizes, names, the first words of docstrings."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

SOURCE = REPOSITORY / "src" / "unisono"
WRITTEN = ("src", "demo", "benchmarks", "tests", "docs")
"""Folders whose text is ours."""
NOT_OURS = REPOSITORY / "tests" / "real"
MODULE_LINES, FUNCTION_LINES = 500, 60
SAME_CLASS_NAME: set[str] = set()
"""Names that two public classes may share."""
Function = ast.FunctionDef | ast.AsyncFunctionDef
HOME = re.compile(r"(?<![\w.:/])/(?:work|root|workspace|mnt|home/(?!me\b|user\b|you\b)\w+|Users/(?!me\b|you\b)\w+)/")
"""Where a path of somebody's machine begins."""
SECOND_SENTENCE = re.compile(
    r"(?<!\b[A-Z])(?<!\be\.g)(?<!\bi\.e)(?<!\bal)(?<!\bvs)(?<!\.)[.!?][\"”’')*_`]* [\"“‘'(\[*_]*[\w`]"
)
"""Where a second sentence of a line begins."""


def modules(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (REPOSITORY / folder).rglob("*.py"))


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def definitions(path: Path) -> Iterator[Function | ast.ClassDef]:
    for node in ast.walk(parsed(path)):
        if isinstance(node, Function | ast.ClassDef):
            yield node


def first_statement(node: Function) -> ast.stmt:
    """Return the first statement behind the docstring: a public function may have many arguments, and describe each."""
    return node.body[1] if ast.get_docstring(node) and len(node.body) > 1 else node.body[0]


def place(path: Path, node: ast.stmt | None = None) -> str:
    line = f":{node.lineno}" if node else ""
    return f"{path.relative_to(REPOSITORY)}{line}"


def test_no_module_is_too_long():
    lengths = {place(path): len(path.read_text(encoding="utf-8").splitlines()) for path in modules("src")}
    assert len(lengths) > 50
    assert {name: length for name, length in lengths.items() if length > MODULE_LINES} == {}


def test_no_function_is_too_long():
    lengths = {
        f"{place(path, node)} {node.name}": (node.end_lineno or 0) - first_statement(node).lineno + 1
        for path in modules("src")
        for node in definitions(path)
        if isinstance(node, Function)
    }
    assert len(lengths) > 500
    assert {name: length for name, length in lengths.items() if length > FUNCTION_LINES} == {}


def test_docstrings_say_return_not_give():
    found = [
        place(path)
        for path in modules("src", "demo", "benchmarks", "tests")
        if re.search(r'"""(Gives?|Giving)\b', path.read_text(encoding="utf-8")) and path != Path(__file__)
    ]
    assert found == []


def test_no_two_public_classes_share_a_name():
    places = defaultdict(list)
    for path in modules("src"):
        for node in parsed(path).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(place(path, node))
    assert len(places) > 50
    shared = {name: its for name, its in places.items() if len(its) > 1 and name not in SAME_CLASS_NAME}
    assert shared == {}
    assert {name for name in SAME_CLASS_NAME if len(places[name]) < 2} == set(), "no longer shared"


def test_readme_names_the_ways_to_try_it():
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    assert "make demo" in readme and "make test" in readme


def test_each_sentence_of_a_page_is_a_line():
    pages = [*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").glob("*.md"), NOT_OURS / "README.md"]
    found = []
    for page in pages:
        if page.name == "reference.md":  # written by a command
            continue
        text = re.sub(
            r"^```.*?^```", lambda code: "\n" * code[0].count("\n"), page.read_text("utf-8"), flags=re.M | re.S
        )
        for number, line in enumerate(text.splitlines(), 1):
            words = re.sub(r"^ *\d+\. |`[^`]*`|\]\([^)]*\)", "`", line)
            if not line.startswith(("    ", "|")) and SECOND_SENTENCE.search(words):
                found.append(f"{place(page)}:{number} {line}")
    assert len(pages) > 30 and found == []


@pytest.mark.parametrize("folder", WRITTEN)
def test_no_path_of_somebodys_machine(folder: str):
    endings = (".py", ".md", ".toml", ".jinja", ".html", ".txt", ".json")
    paths = [path for path in (REPOSITORY / folder).rglob("*") if path.is_file() and path.suffix in endings]
    assert paths
    found = [
        f"{place(path)}:{number} {line.strip()}"
        for path in paths
        if NOT_OURS not in path.parents and path != Path(__file__)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if HOME.search(line)
    ]
    assert found == []


@pytest.mark.parametrize(
    ("line", "theirs"),
    [
        ("/work/main/x", True),
        ("see /root/.cache/x", True),
        ("/home/anna/Music", True),
        ("/home/me/Music", False),
        ("framework/x", False),
        ("https://a.org/work/x", False),
    ],
)
def test_such_a_path_is_recognised(line: str, theirs: bool):
    assert bool(HOME.search(line)) is theirs
