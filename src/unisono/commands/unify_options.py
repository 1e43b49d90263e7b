"""What a user may ask of `unisono unify`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from unisono.captions.options import CaptionOptions
from unisono.commands.dataset_options import with_dataset_options
from unisono.commands.options import Continue


@with_dataset_options("options")
@dataclass(frozen=True, kw_only=True)
class UnifyOptions(CaptionOptions):
    """Options of `unisono unify`."""

    datasets: tuple[str, ...] = ()
    """Datasets to read; by default every one found under `<data-root>/raw`. Your own music: `folder:<path>`, or a recipe
    (`*.toml`) that maps a table of captions. A Hugging Face data set: `hf:<folder>` or `hf:owner/name`."""
    output: Path | None = None
    """Unified file to write: .json, .jsonl or .parquet. Default: `<data-root>/unified_dataset.json`."""
    min_duration: float | None = None
    """Leave out what is shorter, in seconds."""
    max_duration: float | None = None
    """Leave out what is longer, in seconds."""
    max_samples: int | None = None
    """At most so many tracks altogether."""
    samples_per_dataset: int | None = None
    """At most so many tracks of each dataset."""
    stratify_by: Literal["dataset", "duration"] | None = None
    """With --max-samples: take equal shares of the datasets, or of short (< 60 s), medium and long (>= 180 s) tracks."""
    licenses: tuple[str, ...] = ()
    """Keep only tracks under these licences, in any version: cc-by cc-by-sa ...; what is not known is refused."""
    commercial: bool = False
    """Keep only tracks whose licence allows commercial use."""
    derivatives: bool = False
    """Keep only tracks whose licence allows derivatives."""
    allow_unknown_license: bool = False
    """With one of the rules above: keep tracks whose licence is not known."""
    hold_out: tuple[str, ...] = ()
    """Datasets never to train on: they, and all that is joined to them (see --match), go to test."""
    match: tuple[Literal["ids", "sha256", "decoded", "audio", "artists", "text"], ...] = ()
    """What keeps tracks on one side of the splits, beside what always does: ids, sha256, artists, and the same title by the
    same artist. `text` adds captions that share nine words in ten, `decoded` the same samples once decoded, `audio` those
    and the same sound; both decode all files."""
    keep_splits: Path | None = None
    """An earlier unified file: what is in its test or val part stays held out, with all that is joined to it."""
    sha256_lists: tuple[Path, ...] = ()
    """Published lists of `<sha256> NN/<Jamendo id>.mp3`. Default: those of MTG-Jamendo under `<data-root>/raw`."""
    draw_val: bool = False
    """If the mix would have no val part, as MusicBench alone has none: draw one, a tenth of train, whole recordings."""
    assign_splits: bool = True
    """Write a split into every record: upstream's, or one that is drawn (80/10/10 in each dataset)."""
    seed: int = 42
    """Seed of the sampling, of the splits and of `varied` captions."""
    check_audio: bool = True
    """Keep only tracks whose audio is there, and measure its duration."""
    dry_run: bool = False
    """Print the summary, write nothing."""
    strict: bool = False
    """Fail if any track had to be left out for a fault of its own."""
    workers: int | None = None
    """Threads that measure durations. Default: the number of cores."""
    continue_: Continue = False
    """Go on where an interrupted run stopped."""

    @property
    def output_path(self) -> Path:
        """The file to write."""
        return self.output or self.data_root / "unified_dataset.json"
