"""How many processor cores this process may use."""

import os


def available_cores() -> int:
    """Count the cores that this process may run on, which in containers and batch systems can be fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) or 1
    return os.cpu_count() or 1
