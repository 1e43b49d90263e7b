"""The paths that media servers tell: some are real, some are made up from tags, some are those inside a container."""

import os
from collections.abc import Sequence

from unisono.base.path_map import PathMap
from unisono.base.seeded import rank_key
from unisono.library.sources import SourceTrack

SAMPLE = 20
REAL_SHARE = 0.8
"""This part of the sample must be on this machine, at its path and of its size."""


def are_here(tracks: Sequence[SourceTrack], path_map: PathMap) -> bool:
    """Whether the paths of a server's tracks lead to their files on this machine, told from a sample."""
    sample = sorted(tracks, key=lambda track: rank_key(0, track.key))[:SAMPLE]
    return bool(sample) and sum(is_here(path_map(track.path), track.size) for track in sample) >= REAL_SHARE * len(
        sample
    )


def is_mapped(path: str, path_map: PathMap) -> bool:
    """Whether a path lies in one of the folders of this machine that a map leads to, also behind links."""
    folders = [os.path.realpath(folder) for folder in path_map.targets]
    real = os.path.realpath(path)
    return any(os.path.commonpath([folder, real]) == folder for folder in folders)


def is_here(path: str, size: int) -> bool:
    """Whether an absolute path leads to a file of a known size."""
    try:
        return path.startswith("/") and size > 0 and os.stat(path).st_size == size  # noqa: PTH116
    except (OSError, ValueError):
        return False
