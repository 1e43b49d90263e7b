"""`unisono serve` as a process, from its start to Ctrl-C."""

import json
import os
import re
import signal

import pytest

from tests.loaded import start, unisono
from tests.search.service.world import ask
from tests.synthetic import make


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make(tmp_path_factory.mktemp("world"))


def test_it_serves_until_it_is_interrupted(world, tmp_path):
    token = "a token of more than twenty characters"
    process = start(
        "-m", "unisono", "serve", "--checkpoint", world.checkpoint, "--data-dir", world.data_dir,
        "--data-root", tmp_path, "--port", "0", "--host", "0.0.0.0", "--where", "split=test", "--path-prefix", "x/",
        "--cores", "1", "--max-memory", "8G", env={**os.environ, "UNISONO_TOKEN": token},
    )  # fmt: skip
    try:
        said = process.first_line()
        assert "Searching 24 tracks" in said and "a password is asked for" in said
        port = int(re.search(r":(\d+)/", said)[1])
        assert ask(port, "/x/api/v1/search?q=flute")[0].status == 401
        answer, content = ask(port, "/x/api/v1/search?q=flute", Authorization=f"Bearer {token}")
        assert answer.status == 200 and {hit["track"]["id"][:4] for hit in json.loads(content)["hits"]}
        assert token not in (tmp_path / "service.json").read_text()
    finally:
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(60)
    assert process.returncode == 0 and "Ended." in said


@pytest.mark.parametrize("words", [["--max-memory", "much"], ["--path-prefix", "a b"], ["--path-prefix", "../x"]])
def test_wrong_options_are_named(words):
    done = unisono("serve", *words)
    assert done.returncode == 2 and words[0] in done.stderr


def test_without_music_it_says_how_to_begin(tmp_path):
    done = unisono("serve", "--data-root", tmp_path)
    assert done.returncode == 2 and "unisono library add" in done.stderr


def test_a_token_is_shown_once_and_works(tmp_path):
    tokens = [unisono("serve", "--new-token", "--data-root", tmp_path).stdout.strip() for _ in range(2)]
    assert tokens[0] != tokens[1] and all(len(token) > 40 for token in tokens)
    assert not any(token in (tmp_path / "service.json").read_text() for token in tokens)
