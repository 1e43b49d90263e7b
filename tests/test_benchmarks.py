"""Each benchmark runs as a user runs it, at a tiny size, and prints a ratio."""

import functools
import math
import re
import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY

TINY = {
    "download": "--megabytes 1 --small-files 4 --share 0.01 --rounds 1",
    "encoders": "--encoders mert_95m --layers 1 --window-s 1 --batch-sizes 2 --repeats 1",
    "folder": "--files 30 --repeat 1",
    "matching": "--records 1000",
    "metrics": "--queries 60 --sorted-queries 20 --candidates 80 --dim 8",
    "near_duplicates": "--tracks 80 --pieces 2 --encoded 2 --checked 20",
    "parse": "--share 0.001",
    "search": "--tracks 30 50 --dim 8",
    "train": "--captions 2000 --usual-steps 2 --dim 16 --batch-sizes 16",
    "unified_files": "--records 200",
    "unify": "--share 0.001 --repeat 1",
}
NO_BENCHMARK = {"generated"}
"""Modules that only serve the benchmarks."""


@functools.cache
def run(name: str, *words: str) -> str:
    """Run a benchmark from the repository's root and return what it prints."""
    command = [sys.executable, "-m", f"benchmarks.{name}", *words]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def ratios(shown: str) -> list[float]:
    """Find the ratios in what a benchmark printed, in sentences or in a column of a table."""
    found = re.findall(r"\bratio(?: to the \w+)? +(\S+?)[;,:]?(?=\s|$)", shown)
    lines = shown.splitlines()
    for at, line in enumerate(lines):
        if "   ratio   " in line:
            column = re.split(r"\s{2,}", line.strip()).index("ratio")
            found += [re.split(r"\s+", row.strip())[column] for row in lines[at + 1 :]]
    return [float(each) for each in found if re.fullmatch(r"\S*\d\S*", each)]


def test_all_are_run():
    names = {path.stem for path in (REPOSITORY / "benchmarks").glob("*.py")}
    assert names - NO_BENCHMARK == set(TINY)


@pytest.mark.parametrize("name", TINY)
def test_it_prints_a_ratio(name: str):
    found = ratios(run(name, *TINY[name].split()))
    assert found and all(math.isfinite(each) and each > 0 for each in found)


def test_ranks_agree_with_those_of_sorting():
    shown = run("metrics", *TINY["metrics"].split())
    assert "sum of the ranks of 20 queries" in shown and "DIFFER" not in shown


def test_the_usual_loop_reaches_the_same_loss():
    shown = run("train", *TINY["train"].split())
    assert float(shown.split("losses agree to ")[1]) < 1e-5
