"""Unifying datasets: releases on disk in, one unified file with its report and log out."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import msgspec

from unisono.audio.probe import Journal
from unisono.base.arguments import AnyPath, Count, Seconds, as_path, checked
from unisono.base.errors import DataError
from unisono.base.files import remove_left_behind
from unisono.base.log import log, log_to
from unisono.base.tally import Tally
from unisono.base.words import counted
from unisono.captions.assign import CaptionPlan, assign
from unisono.captions.language_model import LanguageModel
from unisono.curation.complete import NO_CAPTION
from unisono.curation.licensing import LICENSE_UNKNOWN, LicenseRule
from unisono.curation.matching import Kind
from unisono.curation.read import DatasetTracks, iterate_dataset
from unisono.curation.releases import Options, Parsing, Release, find_releases, names_of
from unisono.curation.replacing import check_replacing
from unisono.curation.sampling import Stratification
from unisono.curation.selection import Selecting, Selection
from unisono.curation.splitting import SplitRule, with_splits
from unisono.curation.unify_report import UnifyFailedError, UnifyReport, summarise
from unisono.sources import registry
from unisono.tracks.files import Ids, file_kind, without_garbage_collection, write_tracks
from unisono.tracks.stored import StoredTracks
from unisono.tracks.track import Track
from unisono.tracks.workspace import DEFAULT_ROOT, Workspace

_HOW_TO_CAPTION = (
    "Captions are made of genre, mood and comment: tag the files, describe them in a table (docs/your-own-music.md), or "
    "make captions of titles and artists with --captions metadata."
)


@checked
def unify(
    datasets: Sequence[str] | None = None,
    *,
    output: AnyPath | None = None,
    data_root: AnyPath = DEFAULT_ROOT,
    min_duration: Seconds | None = None,
    max_duration: Seconds | None = None,
    max_samples: Count | None = None,
    samples_per_dataset: Count | None = None,
    stratify_by: Stratification | None = None,
    licenses: Sequence[str] = (),
    commercial: bool = False,
    derivatives: bool = False,
    allow_unknown_license: bool = False,
    hold_out: Sequence[str] = (),
    match: Sequence[Kind] = (),
    keep_splits: AnyPath | None = None,
    sha256_lists: Sequence[AnyPath] = (),
    draw_val: bool = False,
    assign_splits: bool = True,
    seed: int = 42,
    check_audio: bool = True,
    captions: Sequence[str] = ("template",),
    caption_all: bool = False,
    llm: LanguageModel | None = None,
    dataset_options: Options | None = None,
    dry_run: bool = False,
    strict: bool = False,
    workers: Count | None = None,
    resume: bool = False,
    overwrite: bool = False,
) -> UnifyReport:
    """Read releases of datasets, keep the tracks that can be used, and write one unified file.

    The same input and seed give the same bytes, whatever `workers` is.

    Args:
        datasets: names, or `folder:<path>`, `hf:<folder>`, `hf:owner/name`, or the path of a recipe (`.toml`); by default,
            all datasets found in `<data_root>/raw`.
        output: unified file to write (.json, .jsonl or .parquet); by default, `<data_root>/unified_dataset.json`.
        data_root: folder of the data; releases are in `<data_root>/raw/<dataset>/`.
        min_duration: keep tracks of at least this number of seconds.
        max_duration: keep tracks of at most this number of seconds.
        max_samples: keep at most this number of tracks in total.
        samples_per_dataset: keep at most this number of tracks of each dataset.
        stratify_by: with `max_samples`, draw equal shares of the datasets, or of short, medium and long tracks.
        licenses: keep only tracks under these licences, in any version.
        commercial: keep only tracks whose licence allows commercial use.
        derivatives: keep only tracks whose licence allows derivatives.
        allow_unknown_license: with a rule about licences, keep tracks whose licence is not known.
        hold_out: datasets that go to test, with all that is joined to them.
        match: what keeps tracks on one side of the splits, in addition to ids, hashes, artists and titles: `text` for
            captions that share nine words in ten, `decoded` for the same samples, `audio` for the same sound.
        keep_splits: an earlier unified file; what it held out stays held out.
        sha256_lists: published lists of hashes; by default, those of the datasets in the data folder.
        draw_val: if there is no val split, draw a tenth of train.
        assign_splits: assign every track a split, upstream's or one that is drawn.
        seed: of samples, splits and `varied` captions.
        check_audio: keep only tracks whose audio file is there, and measure its duration.
        captions: the ways to caption tracks that upstream does not describe; the first gives the caption.
        caption_all: add such captions to the tracks that upstream describes, too.
        llm: settings of the language model for the way `llm`.
        dataset_options: name of a dataset -> its own options.
        dry_run: write nothing.
        strict: raise if a track was dropped for a fault of its own.
        workers: threads that measure durations; by default, the number of cores.
        resume: continue an interrupted run.
        overwrite: replace an earlier mix at `output` even if it was held out or sampled in another way.

    Raises:
        UsageError: the arguments contradict each other, a release is not there, or `overwrite` is needed.
        DataError: a release is malformed.
        UnifyFailedError: no track is left, or `strict` found a fault.
        UnisonoError: the output cannot be written, or the language model cannot be asked.
    """
    options = _as_options(dict(locals()))
    workspace = Workspace.at(data_root)
    output = as_path(output) if output is not None else workspace.unified_file
    file_kind(output)
    check_replacing(output, output.with_suffix(".report.json"), options, overwrite=overwrite or dry_run)
    plan = CaptionPlan(ways=captions, of_all=caption_all, model=(llm or LanguageModel()).with_cache_in(workspace.root))
    selection = Selection(
        min_duration_s=min_duration,
        max_duration_s=max_duration,
        licenses=LicenseRule.of(
            licenses, commercial=commercial, derivatives=derivatives, allow_unknown=allow_unknown_license
        ),
        max_samples=max_samples,
        samples_per_dataset=samples_per_dataset,
        stratify_by=stratify_by,
        seed=seed,
    )
    splits = SplitRule(
        assign=assign_splits,
        hold_out=hold_out,
        match=match,
        keep_splits=None if keep_splits is None else as_path(keep_splits),
        draw_val=draw_val,
        sha256_lists=[as_path(path) for path in sha256_lists],
        seed=seed,
        data_root=workspace.root,
        check_audio=check_audio,
        workers=workers,
        remember=not dry_run,
    )
    unpack_to = None if dry_run else output.with_name(f"{output.stem}_audio")
    parsing = Parsing(
        workspace=workspace, options=dataset_options or {}, years="metadata" in captions, unpack_to=unpack_to
    )
    releases = find_releases(datasets, parsing, hold_out=hold_out)
    splits = replace(splits, hold_out=names_of(hold_out, releases))
    with without_garbage_collection(), ExitStack() as stack:
        journal = None if dry_run else stack.enter_context(_files_of_run(output, resume=resume))
        scratch = Path(tempfile.gettempdir()) if dry_run else output.parent
        selecting = selection.begin()
        read, tally, made, notes = _read(
            releases, plan, journal, scratch, selecting, check_audio=check_audio, workers=workers
        )
        split, moved = with_splits(selecting.apply(read, tally), releases, splits)
        tracks, ways = _with_captions(split, made, plan, seed=seed, ask_model=not dry_run)
        kept = summarise(tracks.entries() if isinstance(tracks, StoredTracks) else tracks, tally.came)
        tally.kept.update({name: kept[name].tracks for name in tally.came if kept[name].tracks})
        report = UnifyReport(
            output=output,
            report=None if dry_run else output.with_suffix(".report.json"),
            log=None if dry_run else output.with_suffix(".log"),
            tracks=len(tracks),
            datasets=kept,
            tally=tally,
            notes=notes,
            ways=ways,
            moved=moved,
        )
        _finish(tracks, report, options, strict=strict)
    return report


def _read(
    releases: Sequence[Release],
    plan: CaptionPlan,
    journal: Journal | None,
    folder: Path,
    selecting: Selecting,
    *,
    check_audio: bool,
    workers: int | None,
) -> tuple[StoredTracks, Tally, set[str], list[dict[str, str]]]:
    """Return all tracks, the tally, the ids whose caption was made, and notes about odd files."""
    tally, made, notes = Tally(), set[str](), list[dict[str, str]]()
    ids = Ids()

    def read() -> Iterator[Track]:
        for release in releases:
            found = DatasetTracks([], Tally(), made, notes)
            tracks = iterate_dataset(
                release,
                found,
                check_audio=check_audio,
                workers=workers,
                journal=journal,
                names_suffice="metadata" in plan.ways,
                note_made=not plan.is_default,
            )
            yield from tracks
            tally.came.update(found.tally.came)
            tally.came[release.dataset.name] += 0
            tally.dropped.extend(found.tally.dropped)

    tracks = StoredTracks(read(), folder, [ids.note, selecting.look])
    if twice := ids.first_twice(tracks.entries):
        first, _, track = twice
        other = tracks[first - 1]
        raise DataError(f"{other.audio_path} and {track.audio_path} have the same id {track.id!r}; ids must be unique.")
    return tracks, tally, made, notes


def _with_captions(
    tracks: StoredTracks, made: set[str], plan: CaptionPlan, *, seed: int, ask_model: bool
) -> tuple[Sequence[Track], dict[str, dict[str, Any]]]:
    """Return the captioned tracks, and the reports of the ways."""
    if plan.is_default:
        return tracks, {}
    if plan.asks and not ask_model:
        log.info("Dry run: the language model is not asked, so its captions are not counted.")
    assigned = assign(list(tracks), made, plan, seed=seed, ask_model=ask_model)
    return assigned.tracks, assigned.reports


def _finish(tracks: Sequence[Track], report: UnifyReport, options: dict[str, Any], *, strict: bool) -> None:
    """Write the report and the unified file.

    Raises:
        UnifyFailedError: no track is left, or `strict` found a fault.
    """
    where = report.report or "the report of a run that is not dry"
    if report.report:
        datasets = {name: asdict(kept) for name, kept in report.datasets.items()}
        report.tally.write(report.report, options=options, datasets=datasets, notes=report.notes, **report.ways)
    if strict and report.tally.faults:
        raise UnifyFailedError(
            f"--strict: {report.tally.faults} tracks were dropped for a fault; they are listed in {where}.", report
        )
    if strict and report.unanswered:
        raise UnifyFailedError(
            f"--strict: the language model left {report.unanswered} questions unanswered; see {where}.", report
        )
    if not tracks:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in report.dropped.most_common())
        raise UnifyFailedError(
            f"No track is left. Dropped: {reasons or 'none'}.",
            report,
            hint="Tracks whose licence is not known are kept with --allow-unknown-license."
            if report.dropped[LICENSE_UNKNOWN]
            else _HOW_TO_CAPTION
            if report.dropped[NO_CAPTION]
            else f"Each is listed with what was found in {where}."
            if report.dropped
            else "",
        )
    if left_out := report.dropped[NO_CAPTION]:
        log.warning("%s left out without a caption. %s", counted(left_out, "track"), _HOW_TO_CAPTION)
    if report.report:
        write_tracks(report.output, tracks)


def _as_options(asked: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments under the names of the command line's options, as the report lists them."""
    del asked["overwrite"]  # not for the next run
    llm = asdict(asked["llm"] or LanguageModel())
    options = {name: asked.pop(name) for name in ("data_root", "captions", "caption_all")}
    options |= {
        f"llm_{name}": llm[name] for name in ("url", "model", "modes", "workers", "requests_per_minute", "cache")
    }
    for name, value in asked.items():
        if name == "dataset_options":
            options |= _flags_of_datasets(value or {})
        elif name != "llm":
            options["continue_" if name == "resume" else name] = value
    plain: dict[str, Any] = msgspec.to_builtins(options, enc_hook=str)
    return plain


def _flags_of_datasets(options: Options) -> dict[str, Any]:
    """Return the values of the datasets' own options, given or default, under their names on the command line."""
    return {
        option.flag or option.name: options.get(dataset.name, {}).get(option.name, option.default)
        for dataset in registry.usable()
        for option in dataset.options
    }


@contextmanager
def _files_of_run(output: Path, *, resume: bool) -> Iterator[Journal]:
    """Log to the file next to the output, and keep a journal of durations there until the run is complete."""
    path = output.with_suffix(".log")
    with log_to(path):
        remove_left_behind(output.with_suffix(""))
        journal = Journal(output.with_suffix(".durations.sqlite"), resume=resume)
        done = False
        try:
            yield journal
            done = True
        except KeyboardInterrupt:
            log.warning("Interrupted. The durations measured so far are kept: go on with --continue.")
            raise
        finally:
            journal.close(forget=done)
