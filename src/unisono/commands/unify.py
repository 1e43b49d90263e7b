"""`unisono unify`: releases on disk in, one unified file out."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from unisono.base.words import counted
from unisono.commands import console
from unisono.commands.caption_options import CaptionOptions
from unisono.commands.dataset_options import dataset_options, with_dataset_options
from unisono.commands.options import Continue, Count, Seconds
from unisono.commands.unify_table import show
from unisono.curation.unify_report import UnifyFailedError, UnifyReport


@with_dataset_options("options")
@dataclass(frozen=True, kw_only=True)
class UnifyOptions(CaptionOptions):
    """Options of `unisono unify`."""

    datasets: tuple[str, ...] = ()
    """Datasets to read; by default every one found under `<data-root>/raw`. Your own music: `folder:<path>`, or a recipe
    (`*.toml`) that maps a table of captions. A Hugging Face dataset: `hf:<folder>` or `hf:owner/name`."""
    output: Path | None = None
    """Unified file to write: .json, .jsonl or .parquet. Default: `<data-root>/unified_dataset.json`."""
    min_duration: Seconds | None = None
    """Leave out shorter tracks, in seconds."""
    max_duration: Seconds | None = None
    """Leave out longer tracks, in seconds."""
    max_samples: Count | None = None
    """Keep at most this number of tracks in total."""
    samples_per_dataset: Count | None = None
    """Keep at most this number of tracks of each dataset."""
    stratify_by: Literal["dataset", "duration"] | None = None
    """With --max-samples: take equal shares of the datasets, or of short (< 60 s), medium and long (>= 180 s) tracks."""
    licenses: tuple[str, ...] = ()
    """Keep only tracks under these licences, in any version: cc-by cc-by-sa ...; an unknown licence is left out."""
    commercial: bool = False
    """Keep only tracks whose licence allows commercial use."""
    derivatives: bool = False
    """Keep only tracks whose licence allows derivatives."""
    allow_unknown_license: bool = False
    """With one of the rules above: keep tracks whose licence is not known."""
    hold_out: tuple[str, ...] = ()
    """Datasets never to train on: they, and all that is joined to them (see --match), go to test."""
    match: tuple[Literal["ids", "sha256", "decoded", "audio", "artists", "text"], ...] = ()
    """What keeps tracks on one side of the splits. Always: ids, sha256, artists, and the same title by the same artist.
    `text` adds captions that share nine words in ten, `decoded` the same samples once decoded, `audio` those and the same
    sound; both decode all files."""
    keep_splits: Path | None = None
    """An earlier unified file: what is in its test or val split stays held out, with all that is joined to it."""
    sha256_lists: tuple[Path, ...] = ()
    """Published lists of `<sha256> NN/<Jamendo id>.mp3`. Default: those of the datasets under `<data-root>/raw`."""
    draw_val: bool = False
    """If the mix has no val split: draw one, a tenth of train, whole recordings."""
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
    workers: Count | None = None
    """Threads that measure durations. Default: the number of cores."""
    continue_: Continue = False
    """Continue an interrupted run."""
    overwrite: Annotated[bool, Parameter(negative="")] = False
    """Replace an earlier mix of the same name even if it was held out or sampled in another way."""


def unify(options: UnifyOptions = UnifyOptions()) -> None:
    """Make one unified file out of the releases on disk."""
    try:
        report = _unify(options)
    except UnifyFailedError as error:
        show(error.report)
        raise
    show(report)
    for sentence in report.moves():
        console.out.print(console.escape(f"{sentence}."))
    count = counted(report.tracks, "track")
    if report.report is None:
        said = f"Dry run: {count} would go to {report.output}; nothing was written."
    else:
        verb = "is" if report.tracks == 1 else "are"
        said = f"{count} {verb} in {report.output.absolute()}; what was left out: {report.report}"
    console.say(said)


def _unify(options: UnifyOptions) -> UnifyReport:
    from unisono.curation import unify as unifying  # numpy and libsndfile are slow to load

    return unifying.unify(
        options.datasets,
        output=options.output,
        data_root=options.data_root,
        min_duration=options.min_duration,
        max_duration=options.max_duration,
        max_samples=options.max_samples,
        samples_per_dataset=options.samples_per_dataset,
        stratify_by=options.stratify_by,
        licenses=options.licenses,
        commercial=options.commercial,
        derivatives=options.derivatives,
        allow_unknown_license=options.allow_unknown_license,
        hold_out=options.hold_out,
        match=options.match,
        keep_splits=options.keep_splits,
        sha256_lists=options.sha256_lists,
        draw_val=options.draw_val,
        assign_splits=options.assign_splits,
        seed=options.seed,
        check_audio=options.check_audio,
        captions=options.captions,
        caption_all=options.caption_all,
        llm=options.language_model,
        dataset_options=dataset_options("options", options),
        dry_run=options.dry_run,
        strict=options.strict,
        workers=options.workers,
        resume=options.continue_,
        overwrite=options.overwrite,
    )
