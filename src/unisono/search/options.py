"""What a user may ask of `unisono search`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from unisono.commands.options import StageOptions


@dataclass(frozen=True, kw_only=True)
class SearchOptions(StageOptions):
    """Options of `unisono search`."""

    checkpoint: Path
    """The model that reads the description."""
    data_dir: Path | None = None
    """Folder of `embeddings.h5`. Default: `<data-root>/processed_embeddings`."""
    device: str = "auto"
    """Where the model runs: auto, cpu, cuda, cuda:1, ..."""
    top: int = 10
    """How many tracks to show."""
    split: Literal["train", "val", "test"] | None = None
    """Search in one split only; by default in all."""
    where: tuple[str, ...] = ()
    """Only tracks with this value, e.g. `dataset=fma`, `tags=flute`, `license!=unknown`; all of several must hold."""
    max_per_artist: int | None = None
    """At most so many tracks of one artist."""
    playlist: Path | None = None
    """Write the tracks found as a playlist (.m3u8 or .m3u, UTF-8)."""
    json: bool = False
    """Print the result as JSON."""
    serve: bool = False
    """Open a page on this machine to type descriptions and listen to what they find; ends with Ctrl-C."""
    port: int = 8765
    """Port of that page."""

    @property
    def data_path(self) -> Path:
        """The folder of the embeddings."""
        return self.data_dir or self.data_root / "processed_embeddings"
