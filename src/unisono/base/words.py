"""Counts in words."""


def counted(count: int, thing: str, plural: str = "") -> str:
    """Write a count with what is counted: "1 track", "3,000 tracks"."""
    return f"{count:,} {thing if count == 1 else plural or f'{thing}s'}"
