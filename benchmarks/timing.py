"""The times of functions that take turns, so that other work on the machine affects all of them equally."""

import time
from collections.abc import Callable
from statistics import median

Work = Callable[[], object]
Clock = Callable[[], float]


def seconds(work: Work, clock: Clock = time.perf_counter) -> float:
    """Return how long some work takes."""
    began = clock()
    work()
    return clock() - began


def in_turn(
    times: int, *works: Work, clock: Clock = time.process_time, of: Callable[[list[float]], float] = median
) -> list[float]:
    """Return the median (or what `of` says) of the seconds of each work; the first round, which warms up, is left out."""
    rounds = [[seconds(work, clock) for work in works] for _ in range(times + 1)][1:]
    return [of(list(taken)) for taken in zip(*rounds, strict=True)]
