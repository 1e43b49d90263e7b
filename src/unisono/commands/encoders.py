"""`unisono encoders list` and `unisono encoders fetch`."""

from pathlib import Path
from types import ModuleType

from rich.table import Table

from unisono.base.errors import UsageError
from unisono.commands import console
from unisono.commands.encoders_options import FetchOptions
from unisono.embeddings.encoders import audio, text, weights
from unisono.embeddings.encoders import fetch as fetching
from unisono.embeddings.encoders.text._files import is_here
from unisono.embeddings.encoders.weights import Found


def list_encoders() -> None:
    """Print what the encoders are, what their weights allow, and whether those are on this machine."""
    table = _table("name", "what", "dim", "rate", "licence", "size", "here")
    for name in audio.names():
        spec = audio.spec(name)
        table.add_row(
            f"[bold]{name}[/]",
            spec.title,
            str(spec.dim),
            f"{spec.rate_hz / 1000:g} kHz",
            spec.weights_license,
            f"{spec.size / 1e6:,.0f} MB" if spec.size else "",
            _state(audio.module(name)),
        )
    console.out.print("Audio encoders (unisono prepare --encoders ...)", style="bold")
    console.out.print(table)
    table = _table("name", "what", "dim", "licence", "here")
    for name in text.names():
        known = text.spec(name)
        here = "yes" if is_here(name) else "no"
        table.add_row(f"[bold]{name}[/]", known.title, str(known.dim), known.weights_license, here)
    console.out.print("\nText encoders (unisono train; fetched when first used, or beforehand)", style="bold")
    console.out.print(table)
    console.out.print(
        f"\nFetched weights are kept in {weights.root()}; UNISONO_WEIGHTS chooses another place.", soft_wrap=True
    )


def fetch(names: tuple[str, ...], options: FetchOptions) -> None:
    """Bring the weights of encoders to this machine.

    Raises:
        UsageError: no name is given, or one that is no encoder's.
        UnisonoError: no network, no space; or a file is not what was published.
    """
    known = [*audio.names(), *text.names()]
    if not names:
        raise UsageError("Name the encoders to fetch.", hint="Known: " + ", ".join(known))
    for name in names:  # before the first is fetched
        if name not in known:
            raise UsageError(f"There is no encoder {name!r}.", hint="Known: " + ", ".join(known))
    for name in names:
        source = options.from_dir
        if source is not None and (source / name).is_dir():
            source = source / name
        found = _fetch_text(name, source) if name in text.names() else _fetch_audio(name, source)
        state = "nothing to fetch." if found is None else f"{found.weights} is {_what_is_known(found)}"
        console.out.print(f"{name}: {state}", soft_wrap=True)


def _fetch_audio(name: str, source: Path | None) -> Found | None:
    hub = getattr(audio.module(name), "WEIGHTS", None)
    if hub is None:
        audio.build(name)  # fails, saying what to install, if its weights are not here
        return None
    return fetching.fetch(name, hub, source)


def _fetch_text(name: str, source: Path | None) -> Found | None:
    packaged = getattr(text.module(name), "packaged", None)
    if packaged is not None and packaged():
        return None
    return fetching.fetch_text(name, source)


def _what_is_known(found: Found) -> str:
    if found.published:
        return "the published file."
    return "whole. Whether it is the published one is not known here."


def _table(*columns: str) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0))
    for column in columns:
        is_wordy = column == "what"
        table.add_column(column, no_wrap=not is_wordy, overflow="fold", min_width=18 if is_wordy else None)
    return table


def _state(module: ModuleType) -> str:
    """Say whether an encoder's weights are on this machine."""
    hub = getattr(module, "WEIGHTS", None)
    if hub is not None:
        return "yes" if weights.is_here(module.SPEC.name, hub) else "no"
    in_package = getattr(module, "find_weights", None)
    if in_package is not None:
        return "yes" if in_package() else "no"
    return "needs none"


def fetch_encoders(*names: str, options: FetchOptions = FetchOptions()) -> None:  # noqa: B008
    """Fetch the weights of encoders from their publishers' repositories on the Hugging Face Hub, verified."""
    fetch(names, options)
