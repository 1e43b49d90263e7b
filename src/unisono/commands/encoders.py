"""`unisono encoders list` and `unisono encoders fetch`."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from unisono.base.errors import UsageError
from unisono.base.table import Table
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


def list_encoders(*, json: Annotated[bool, Parameter(negative="")] = False) -> None:
    """Show the encoders, the licences of their weights, and whether the weights are on this machine.

    Parameters
    ----------
    json
        Print them as JSON.
    """
    from unisono.embeddings.encoders import audio, text, weights
    from unisono.embeddings.encoders.fetch import is_here

    audio_specs = {name: audio.spec(name) for name in audio.usable()}
    text_specs = {name: text.spec(name) for name in text.names()}
    if json:
        common = [
            (kind, *item) for kind, specs in (("audio", audio_specs), ("text", text_specs)) for item in specs.items()
        ]
        console.print_json(
            [
                {
                    "name": name,
                    "kind": kind,
                    "title": spec.title,
                    "dim": spec.dim,
                    "weights_license": spec.weights_license,
                    "here": is_here(name),
                }
                for kind, name, spec in common
            ]
        )
        return
    rows = [
        (
            name,
            spec.title,
            str(spec.dim),
            f"{spec.rate_hz / 1000:g} kHz",
            spec.weights_license,
            f"{spec.size / 1e6:,.0f} MB" if spec.size else "",
            HERE[is_here(name)],
        )
        for name, spec in audio_specs.items()
    ]
    headings = ("name", "what", "dim", "rate", "licence", "size", "here")
    console.show(Table("Audio encoders (unisono prepare --encoders ...)", headings, rows, words=(0, 1, 4, 6)))
    for error in audio.unusable().values():
        console.say(f"Not usable: {error.message} {error.hint}.")
    rows_of_text = [
        (name, spec.title, str(spec.dim), spec.weights_license, HERE[is_here(name)])
        for name, spec in text_specs.items()
    ]
    title = "Text encoders (unisono train; fetched when first used, or beforehand)"
    console.show(Table(title, ("name", "what", "dim", "licence", "here"), rows_of_text, words=(0, 1, 3, 4)))
    console.say(f"Fetched weights are kept in {weights.root()}; UNISONO_WEIGHTS chooses another place.")


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
