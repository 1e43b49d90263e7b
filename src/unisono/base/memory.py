"""How the C library treats the memory that this process frees."""

LARGEST_KEPT = (32 << 20) - (64 << 10)
"""Bytes; glibc accepts no more than 32 MiB, its own header included."""


def keep_freed() -> None:
    """Let glibc keep the large blocks that layers free for the next batch, instead of returning them to the kernel.

    It does so with blocks of up to the size of the largest that was ever freed. Other C libraries are not changed by this.
    """
    bytearray(LARGEST_KEPT)
