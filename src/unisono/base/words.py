"""Texts for people."""


def counted(count: int, thing: str, plural: str = "") -> str:
    """Write a count with what is counted: "1 track", "3,000 tracks"."""
    return f"{count:,} {thing if count == 1 else plural or f'{thing}s'}"


def plain_markdown(text: str) -> str:
    """Return a text that stays as it is in Markdown, on one line: special characters are escaped."""
    return "".join(f"\\{letter}" if letter in "\\`*_{}[]<>#|" else letter for letter in " ".join(text.split()))
