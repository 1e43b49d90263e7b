"""Freed memory stays with the process, so that the next blocks of the same size cost no page faults."""

import platform
import subprocess
import sys

import pytest

SCRIPT = """
import resource
import numpy as np
from unisono.base import memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        [np.ones(9 << 20, dtype=np.uint8) for _ in range(4)]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults()
before = faults()
memory.keep_freed()
faults()
print(before, faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_blocks_of_the_same_size_cost_no_page_faults() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    without, kept = map(int, done.stdout.split())
    assert kept < without / 4, (without, kept)  # few, if pages are large
