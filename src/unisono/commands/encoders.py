"""`unisono encoders list` and `unisono encoders fetch`."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cyclopts import Parameter
from rich.table import Table

from unisono.base.errors import UsageError
from unisono.commands import console

if TYPE_CHECKING:
    from unisono.embeddings.encoders.weights import WeightsOnDisk

HERE = {True: "yes", False: "no", None: "needs none"}


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class FetchOptions:
    """Options of `unisono encoders fetch`."""

    from_dir: Path | None = None
    """Folder that holds the files (or a folder for each encoder, of its name): copy and verify them, without a network."""


def list_encoders() -> None:
    """Show the encoders, the licences of their weights, and whether the weights are on this machine."""
    from unisono.embeddings.encoders import audio, text, weights
    from unisono.embeddings.encoders.fetch import is_here

    table = _table("name", "what", "dim", "rate", "licence", "size", "here")
    for name in audio.usable():
        spec = audio.spec(name)
        table.add_row(
            f"[bold]{name}[/]",
            console.escape(spec.title),
            str(spec.dim),
            f"{spec.rate_hz / 1000:g} kHz",
            spec.weights_license,
            f"{spec.size / 1e6:,.0f} MB" if spec.size else "",
            HERE[is_here(name)],
        )
    console.out.print("Audio encoders (unisono prepare --encoders ...)", style="bold")
    console.out.print(table)
    for error in audio.unusable().values():
        console.out.print(f"Not usable: {error.message} {error.hint}.", soft_wrap=True, markup=False)
    table = _table("name", "what", "dim", "licence", "here")
    for name in text.names():
        known = text.spec(name)
        table.add_row(f"[bold]{name}[/]", known.title, str(known.dim), known.weights_license, HERE[is_here(name)])
    console.out.print("\nText encoders (unisono train; fetched when first used, or beforehand)", style="bold")
    console.out.print(table)
    console.out.print(
        f"\nFetched weights are kept in {weights.root()}; UNISONO_WEIGHTS chooses another place.", soft_wrap=True
    )


def fetch_encoders(*names: str, options: FetchOptions = FetchOptions()) -> None:
    """Fetch the weights of encoders from their publishers' repositories on the Hugging Face Hub, verified."""
    from unisono.embeddings.encoders import audio, text
    from unisono.embeddings.encoders.fetch import check_name, fetch_encoder

    if not names:
        raise UsageError("Name the encoders to fetch.", hint="Known: " + ", ".join([*audio.names(), *text.names()]))
    for name in names:  # before the first is fetched
        check_name(name)
    for name in names:
        found = fetch_encoder(name, options.from_dir)
        state = "nothing to fetch." if found is None else f"{found.weights} is {_known(found)}"
        console.out.print(f"{name}: {state}", soft_wrap=True)


def _known(found: "WeightsOnDisk") -> str:
    if found.published:
        return "the published file."
    return "whole. Whether it is the published one is not known here."


def _table(*columns: str) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0))
    for column in columns:
        is_wordy = column == "what"
        table.add_column(column, no_wrap=not is_wordy, overflow="fold", min_width=18 if is_wordy else None)
    return table
