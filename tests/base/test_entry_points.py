"""What other packages add, with packages that are really installed."""

from pathlib import Path

from tests.installed import install, run

GROUP = "unisono.tests"
SHOW = f"""
import sys
from unisono.base import entry_points
print(entry_points.names({GROUP!r}), "good" in sys.modules)
for name, found in entry_points.load({GROUP!r}).items():
    print(name, "|", found)
"""


def test_what_packages_add_is_loaded_and_the_broken_are_named(tmp_path: Path) -> None:
    site = tmp_path / "site"
    packages = {
        "good": ({"good.py": "THING = 'a thing'"}, {GROUP: {"fine": "good:THING", "absent": "good:NOTHING"}}),
        "bad": ({"bad.py": "import not_installed_at_all"}, {GROUP: {"broken": "bad"}}),
        "leaving": ({"leaving.py": "raise SystemExit(3)"}, {GROUP: {"exit": "leaving"}}),
    }
    install(site, packages)
    done = run(site, "-c", SHOW)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "['absent', 'broken', 'exit', 'fine'] False",
        f"absent | 'absent' of the package good ({GROUP}) cannot be used: "
        "AttributeError: module 'good' has no attribute 'NOTHING'.",
        f"broken | 'broken' of the package bad ({GROUP}) cannot be used: "
        "ModuleNotFoundError: No module named 'not_installed_at_all'.",
        f"exit | 'exit' of the package leaving ({GROUP}) cannot be used: SystemExit: 3.",
        "fine | a thing",
    ]


def test_two_packages_of_one_name_are_an_error(tmp_path: Path) -> None:
    site = tmp_path / "site"
    install(site, {name: ({f"{name}.py": "THING = 1"}, {GROUP: {"same": f"{name}:THING"}}) for name in ("one", "two")})
    done = run(site, "-c", SHOW)
    assert "same | 'same' of the package one" in done.stdout
    assert "the package two adds the same name" in done.stdout
