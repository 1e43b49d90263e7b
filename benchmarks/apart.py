"""Run a function in a process of its own, so that its CPU time and its peak of memory are its alone."""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def apart(function: Callable[P, T], *arguments: P.args, **more: P.kwargs) -> T:
    """Call a function in a process that is forked for it, with what this one has imported, and return what it returns."""
    with ProcessPoolExecutor(1, mp_context=get_context("fork")) as pool:
        return pool.submit(function, *arguments, **more).result()
