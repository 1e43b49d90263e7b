"""`kill -9` at any moment: whatever it hits, the same command ends with the same tree."""

import random
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.loaded import python
from tests.sources.download.archives import tree
from tests.sources.download.local import LocalRelease
from tests.sources.download.server import serving

KILLS = 10


@pytest.mark.parametrize("name", ["song_describer", "fma"])
def test_killed_at_random_moments(tmp_path: Path, name: str) -> None:
    seed = random.randrange(1000)
    with serving() as server:
        release = LocalRelease(name, server)
        killer = ["-m", "tests.sources.download.killed", release.manifest(), tmp_path / "data", KILLS, seed]
        done = python(*killer, cwd=REPOSITORY)
    assert done.returncode == 0, f"seed {seed}: {done.stderr}"
    kills, finished = map(int, done.stdout.split())
    assert kills == KILLS
    for number in range(finished):
        left = tree(tmp_path / f"data-{number}" / "raw" / name)
        assert left == release.tree, f"seed {seed}"
        assert (tmp_path / f"data-{number}" / "raw" / name / ".download" / "done.jsonl").exists()
