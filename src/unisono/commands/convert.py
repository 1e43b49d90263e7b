"""`unisono convert`: tracks from one format to another."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cyclopts import Parameter

from unisono.base.words import counted
from unisono.commands import console
from unisono.commands.options import Count
from unisono.tracks.croissant import About


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ConvertOptions:
    """Options of `unisono convert`."""

    to: Literal["webdataset", "huggingface"] | None = None
    """What kind of folder to write; a file's ending says what it is."""
    with_audio: bool = False
    """Carry the audio along: into the Parquet files of `huggingface`, or out of a folder into `<name>_audio` next to the
    output. WebDataset shards always hold it."""
    shard_size: Count = 500
    """Megabytes that one file of a folder holds at most."""
    strict: bool = False
    """Fail if any track had to be left out because its audio is missing."""
    croissant: bool = False
    """Describe the output in Croissant (JSON-LD) as well: `croissant.json` in the folder, `<name>.croissant.json` next to a
    file. Takes --url, --creator and --published."""
    name: str = ""
    """Croissant: name of the dataset. Default: the output's."""
    description: str = ""
    """Croissant: what it is. Default: its counts and sources."""
    url: str = ""
    """Croissant: the page of the dataset."""
    creator: str = ""
    """Croissant: who made it."""
    published: str = ""
    """Croissant: the day it was published, as YYYY-MM-DD."""


def convert(source: Path, target: Path, *, options: ConvertOptions = ConvertOptions()) -> None:
    """Bring a unified file into the formats of other tools, and back.

    Parameters
    ----------
    source
        Unified file (.json, .jsonl, .parquet), .csv, or a folder that this command wrote.
    target
        File, known by its ending, or with --to a new folder.
    """
    from unisono.tracks.convert import convert as convert_tracks

    about = None
    if options.croissant:
        about = About(
            name=options.name,
            description=options.description,
            url=options.url,
            creator=options.creator,
            published=options.published,
        )
    done = convert_tracks(
        source,
        target,
        to=options.to,
        with_audio=options.with_audio,
        shard_size=options.shard_size,
        strict=options.strict,
        about=about,
    )
    for reason, count in done.tally.reasons().most_common():
        console.log.warning("%s left out: %s", f"{count:,}", reason)
    if done.report:
        console.log.warning("They are listed in %s", done.report)
    verb = "is" if done.tracks == 1 else "are"
    console.say(f"{counted(done.tracks, 'track')} {verb} in {done.output}.")
    if done.audio_folder:
        console.say(f"Their audio is in {done.audio_folder}.")
