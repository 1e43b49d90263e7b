"""The command lines in the files of `deploy/` can be typed, and containers are told all that the page needs."""

import json
import re

import pytest

from tests.conftest import REPOSITORY
from unisono.cli import app

DEPLOY = REPOSITORY / "deploy"


def command_lines() -> list[list[str]]:
    """Return the words behind `unisono` of each command."""
    found = [
        line.split()[1:]
        for path in DEPLOY.glob("*.service")
        for line in re.findall(r"^ExecStart=\S+/(unisono .*)$", path.read_text(), re.M)
    ]
    found += [
        [*re.split(r",\s*", line)] for line in re.findall(r"command: \[(.*)\]", (DEPLOY / "compose.yaml").read_text())
    ]
    found += [json.loads(line) for line in re.findall(r"^CMD (\[.*\])$", (DEPLOY / "Dockerfile").read_text(), re.M)]
    return found


@pytest.mark.parametrize("words", command_lines(), ids=" ".join)
def test_each_can_be_typed(words: list[str]) -> None:
    app.parse_args(words, exit_on_error=False, print_error=False)


def test_there_are_some_of_each_kind() -> None:
    assert len(command_lines()) == 5


def test_what_the_image_copies_is_there_and_not_ignored() -> None:
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", (DEPLOY / "Dockerfile").read_text(), re.M)
    allowed = (DEPLOY / "Dockerfile.dockerignore").read_text()
    for name in " ".join(copied).split():
        assert (REPOSITORY / name).exists() and f"!{name}\n" in allowed
