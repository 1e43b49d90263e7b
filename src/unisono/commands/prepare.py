"""`unisono prepare`: embed a unified file into `embeddings.h5`."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from unisono.base.errors import UsageError
from unisono.base.extras import extra
from unisono.base.table import Table
from unisono.commands import console
from unisono.commands.options import AtLeastTwo, Continue, Count, Seconds, StageOptions, record
from unisono.tracks.workspace import Workspace

if TYPE_CHECKING:
    from unisono.embeddings.prepare.report import PrepareReport


@dataclass(frozen=True, kw_only=True)
class PrepareOptions(StageOptions):
    """Options of `unisono prepare`."""

    dataset_file: Path | None = None
    """Unified file to read. Default: `<data-root>/unified_dataset.json`."""
    output_dir: Path | None = None
    """Folder for `embeddings.h5`. Default: `<data-root>/processed_embeddings`."""
    encoders: tuple[str, ...] = ("muq", "mert", "latent")
    """Audio encoders to embed with; see `unisono encoders list`."""
    layers: tuple[str, ...] = ()
    """Hidden states to keep of encoders that have several: mert=all, muq=mean (of all), muq=4,8,12. Default: the output."""
    sample_size: Count | None = None
    """Embed at most this many tracks, a seeded sample."""
    min_duration: Seconds | None = None
    """Leave out tracks shorter than this, in seconds."""
    max_duration: Seconds | None = None
    """Leave out tracks longer than this, in seconds."""
    batch_size: Count | None = None
    """Windows embedded at a time on a GPU, halved if memory does not suffice. Default: 32 or more, found by trying.
    On a CPU windows are embedded one by one on every core, which is no slower."""
    pooling: Literal["mean", "stats"] = "mean"
    """How the windows of an excerpt become one embedding: `stats` is mean, inter-quartile range and mean absolute change."""
    keep_windows: bool = False
    """Store the embedding of every window as well."""
    windows_per_track: AtLeastTwo | None = None
    """Store the embeddings of this many windows of each track as well, evenly spread; 3 to 5 are enough to search by the
    window that fits best (`unisono search --windows best`)."""
    split_by: Literal["upstream", "seed"] = "upstream"
    """Keep the splits that the file names and draw the rest by seed, or draw all by seed."""
    seed: int = 42
    """Seed of the sample and of the splits."""
    devices: tuple[str, ...] = ()
    """Where the encoders run: cpu, cuda:0, cuda:1, ... Default: every GPU of this machine, or else the CPU."""
    workers: Count | None = None
    """Threads that decode audio, and as many that embed it if the CPU does that. Default: the number of cores."""
    executor: str = "local"
    """What runs the work: local, which is this machine, or ray, a cluster (see docs/cluster.md)."""
    ray_address: str | None = None
    """The cluster of --executor ray, such as ray://head:10001. Default: an instance on this machine."""
    path_map: tuple[str, ...] = ()
    """Where audio lies for those who read it: /srv/nas=s3://bucket, or /srv/nas=/music. Default: where the file says."""
    strict: bool = False
    """Fail if any track could not be embedded."""
    prune: Annotated[bool, Parameter(negative="")] = False
    """Remove tracks from `embeddings.h5` that are not among those chosen now; without it they are an error."""
    shard: str | None = None
    """Embed one part of the tracks, such as 3/16, as a task of a batch system; `--assemble` puts the parts together."""
    assemble: Annotated[bool, Parameter(negative="")] = False
    """Embed nothing: write `embeddings.h5` of what the shards made, or name those that are missing."""
    cache_audio: Annotated[bool, Parameter(negative="")] = False
    """Keep the decoded audio too, at the rates of the encoders: 2 bytes a sample. `train --tune-audio --cached-audio` reads
    it instead of decoding the files at each step."""
    continue_: Continue = False
    """Continue an interrupted run; this is what happens anyway."""


def prepare(
    *,
    use_musicbench: Annotated[bool, Parameter(negative="")] = False,
    options: PrepareOptions = PrepareOptions(),
) -> None:
    """Embed the tracks of a unified file into `embeddings.h5`.

    Parameters
    ----------
    use_musicbench
        Make the unified file first, from `<data-root>/raw/musicbench` alone, next to `embeddings.h5`, unless it is there
        and the release has not changed; a val part is drawn from train. Output folder unless --output-dir says otherwise:
        `<data-root>/musicbench_embeddings`.
    """
    show(run(options, use_musicbench=use_musicbench))


def run(options: PrepareOptions, *, use_musicbench: bool = False) -> "PrepareReport":
    """Embed as the options ask for, and return the report."""
    with extra("embed", "unisono prepare"):
        from unisono.embeddings.prepare import run as stage
    if use_musicbench and options.dataset_file:
        raise UsageError("--use-musicbench makes a unified file of its own: it excludes --dataset-file.")
    workspace = Workspace(options.data_root)
    folder = workspace.embeddings_of("musicbench") if use_musicbench else workspace.embeddings
    return stage.prepare(
        None if use_musicbench else options.dataset_file or workspace.unified_file,
        datasets=("musicbench",) if use_musicbench else (),
        data_root=options.data_root,
        output_dir=options.output_dir or folder,
        encoders=options.encoders,
        layers=options.layers,
        sample_size=options.sample_size,
        min_duration=options.min_duration,
        max_duration=options.max_duration,
        batch_size=options.batch_size,
        pooling=options.pooling,
        keep_windows=options.keep_windows,
        windows_per_track=options.windows_per_track,
        split_by=options.split_by,
        seed=options.seed,
        devices=options.devices,
        workers=options.workers,
        executor=options.executor,
        ray_address=options.ray_address,
        path_map=options.path_map,
        strict=options.strict,
        prune=options.prune,
        shard=options.shard,
        assemble=options.assemble,
        cache_audio=options.cache_audio,
        recorded_options=record(options),
    )


def show(report: "PrepareReport") -> None:
    """Print the datasets, why tracks were left out, the encoders, and the splits."""
    rows = [
        (
            each.name,
            *(f"{count:,}" for count in (each.tracks, each.embedded, each.left_out)),
            f"{each.hours:,.1f}",
            f"{each.captions:,}",
        )
        for each in report.datasets
    ]
    console.show(Table("Prepared", ("dataset", "tracks", "embedded", "left out", "hours", "captions"), rows))
    for reason, count in report.tally.reasons().most_common():
        console.out.print(f"  {count:,} left out: {reason}", markup=False)
    for change in report.changes:
        console.out.print(f"  {change}")
    for encoder in report.encoders:
        terms = f"{encoder.license}{', not for commercial use' if encoder.noncommercial else ''}"
        console.out.print(
            f"  {encoder.name}: {encoder.shape_in_words} numbers a track, {encoder.pooling} pooling, weights {terms}",
            markup=False,
        )
    counts = ", ".join(f"{split.capitalize()}: {count:,} samples" for split, count in report.counts.items())
    console.out.print(f"Final splits: {counts}")
    if report.shard:
        console.out.print(f"Shard {report.shard} is embedded. When all are, run: unisono prepare --assemble")
    else:
        console.say(f"In {report.path.absolute()}")
