"""What a user may ask of `unisono convert`."""

from dataclasses import dataclass
from typing import Literal

from cyclopts import Parameter

FolderFormat = Literal["webdataset", "huggingface"]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ConvertOptions:
    """Options of `unisono convert`."""

    to: FolderFormat | None = None
    """What kind of folder to write; a file's ending says what it is."""
    with_audio: bool = False
    """Carry the audio along: into the Parquet files of `huggingface`, or out of a folder into `<name>_audio` beside the
    output. WebDataset shards always take it in."""
    shard_size: int = 500
    """Megabytes that one file of a folder holds at most."""
    strict: bool = False
    """Fail if any track had to be left out for want of its audio."""
    croissant: bool = False
    """Describe the output in Croissant (JSON-LD) as well: `croissant.json` in the folder, `<name>.croissant.json` beside a
    file. Takes --url, --creator and --published."""
    name: str = ""
    """Croissant: name of the data set. Default: the output's."""
    description: str = ""
    """Croissant: what it is. Default: its counts and where they come from."""
    url: str = ""
    """Croissant: the page of the data set."""
    creator: str = ""
    """Croissant: who made it."""
    published: str = ""
    """Croissant: the day it was published, as YYYY-MM-DD."""
