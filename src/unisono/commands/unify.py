"""`unisono unify`: releases on disk in, one unified file out."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from unisono.audio.probe import Journal, Probed, probe_all
from unisono.base.errors import MissingFileError, UnisonoError, UsageError
from unisono.base.files import explained, remove_left_behind
from unisono.base.log import log_to
from unisono.base.tally import Dropped, Tally
from unisono.captions.describe import describe
from unisono.commands import console
from unisono.commands.options import record
from unisono.commands.unify_options import UnifyOptions
from unisono.commands.unify_summary import show, summarise
from unisono.curation.complete import Draft, complete, drafts
from unisono.curation.filters import by_duration
from unisono.curation.licensing import LICENSE_UNKNOWN, LicenseRule, by_license
from unisono.curation.sampling import sample
from unisono.curation.splitting import refuse_contradictions, with_splits
from unisono.sources import registry as datasets
from unisono.sources.base import Dataset, ParseOptions
from unisono.tracks.files import file_kind, without_garbage_collection, write_tracks
from unisono.tracks.track import Track


def run(options: UnifyOptions) -> None:
    """Read the releases, keep what can be used, and write the unified file, its report and its log.

    Raises:
        UsageError: the options contradict each other, or a release is not on disk.
        DataError: a release is malformed.
        UnisonoError: nothing is left, or the output cannot be written.
    """
    file_kind(options.output_path)
    _refuse_contradictions(options)
    chosen = _with_held_out(_datasets(options), options)
    output = options.output_path
    with ExitStack() as stack:
        stack.enter_context(without_garbage_collection())
        journal = None
        if not options.dry_run:
            stack.enter_context(_log_beside(output))
            remove_left_behind(output.with_suffix(""))
            journal = stack.enter_context(_journal(options)) if options.check_audio else None
        tally = Tally()
        notes: list[dict[str, str]] = []
        made: set[str] = set()
        tracks = [track for dataset in chosen for track in _read(dataset, options, journal, tally, notes, made)]
        releases = [(dataset, _root(options, dataset)) for dataset in chosen]
        tracks = with_splits(_mix(tracks, options, tally), releases, _parsing(options), options)
        tracks, about_llm = _with_captions(tracks, made, options)
        summaries = summarise(tracks, tally)
        show(summaries, tally)
        _finish(tracks, tally, {"datasets": summaries, "notes": notes, **about_llm}, options)


def _read(
    dataset: Dataset,
    options: UnifyOptions,
    journal: Journal | None,
    tally: Tally,
    notes: list[dict[str, str]],
    made: set[str],
) -> list[Track]:
    """Read one dataset; note what is odd about files, and add to `made` the ids whose caption was made."""
    root = _root(options, dataset)
    console.log.info("Reading %s in %s", dataset.name, root)
    tally.came[dataset.name] += 0  # listed even if the release turns out to be empty
    found: Iterable[Draft] = _found(dataset, options, tally)
    probed: dict[str, Probed] = {}
    if options.check_audio:
        found = list(found)
        probed = probe_all((draft.audio_path for draft in found), options.workers, journal)
    names_suffice = "metadata" in options.captions
    tracks: list[Track] = []
    incomplete: list[Dropped] = []
    for draft in found:
        known = probed.get(draft.audio_path)
        item = complete(draft, known, names_suffice=names_suffice)
        if isinstance(item, Dropped):
            incomplete.append(item)
            continue
        tracks.append(item)
        if not draft.track.captions:
            made.add(item.id)
        if known and known.detail:
            notes.append({"id": item.id, "note": known.detail})
    for item in incomplete:
        tally.drop(dataset.name, item)
    is_unpacked = options.check_audio and not (options.dry_run and dataset.holds_audio)
    if tally.came[dataset.name] and not (tracks or incomplete) and is_unpacked:
        mend = "Fetch it with: " + _fetch(options, dataset.asked_as or dataset.name)
        console.log.warning(
            "None of the audio of %s is in %s. %s (or plan without it: --no-check-audio)",
            dataset.name,
            root,
            "Check audio_root and audio in the recipe" if dataset.root else mend,
        )
    return tracks


def _found(dataset: Dataset, options: UnifyOptions, tally: Tally) -> Iterator[Draft]:
    """Yield the tracks of a release whose audio is where it should be, and count them all."""
    root = _root(options, dataset)
    try:
        for draft in drafts(dataset, root, _parsing(options), check_audio=options.check_audio):
            tally.came[dataset.name] += 1
            if isinstance(draft, Draft):
                yield draft
            else:
                tally.drop(dataset.name, draft)
    except MissingFileError as error:
        if not dataset.files:
            raise
        raise MissingFileError(
            error.message,
            hint=f"Fetch it with: {_fetch(options, dataset.asked_as or dataset.name)} "
            f"(if that finds all in place, remove {root / '.download' / 'done.jsonl'} first)",
        ) from error


def _mix(tracks: list[Track], options: UnifyOptions, tally: Tally) -> list[Track]:
    """Filter and sample."""
    kept, too_short_or_long = by_duration(tracks, options.min_duration, options.max_duration)
    kept, not_allowed = by_license(kept, _license_rule(options))
    if left_out := [*too_short_or_long, *not_allowed]:
        dataset_of = {track.id: track.dataset for track in tracks}
        for item in left_out:
            tally.drop(dataset_of[item.id], item)
    drawn = sample(
        kept,
        seed=options.seed,
        max_samples=options.max_samples,
        samples_per_dataset=options.samples_per_dataset,
        stratify_by=options.stratify_by,
    )
    if len(drawn) < len(kept):
        ids = {track.id for track in drawn}
        for track in kept:
            if track.id not in ids:
                tally.drop(track.dataset, Dropped(id=track.id, reason="not in the sample", fault=False))
    tally.kept.update(track.dataset for track in drawn)
    return drawn


def _license_rule(options: UnifyOptions) -> LicenseRule:
    return LicenseRule.of(
        options.licenses,
        commercial=options.commercial,
        derivatives=options.derivatives,
        allow_unknown=options.allow_unknown_license,
    )


def _with_captions(tracks: list[Track], made: set[str], options: UnifyOptions) -> tuple[list[Track], dict[str, Any]]:
    """Caption the tracks as chosen; also give what the report says about the language model, if one was asked."""
    if options.captions == ("template",) and not options.caption_all:
        return tracks, {}  # those captions are there: all tracks were completed with them
    if "llm" in options.captions and options.dry_run:
        console.log.info("Dry run: the language model is not asked, so its captions are not counted.")
    described = describe(tracks, made, options, options.seed, ask_model=not options.dry_run)
    return described.tracks, {"llm": described.llm} if described.llm else {}


def _finish(tracks: list[Track], tally: Tally, about: dict[str, Any], options: UnifyOptions) -> None:
    output = options.output_path
    report = output.with_suffix(".report.json")
    if not options.dry_run:
        tally.write(report, options=record(options), **about)
    if options.strict:
        tally.refuse_faults(report)
        if unanswered := about.get("llm", {}).get("counts", {}).get("unanswered"):
            raise UnisonoError(f"--strict: the language model left {unanswered} questions unanswered; see {report}.")
    if not tracks:
        refused = any(dropped.reason == LICENSE_UNKNOWN for _, dropped in tally.dropped)
        raise UnisonoError(
            "No track is left: see the table above for why.",
            hint="Tracks whose licence is not known are kept with --allow-unknown-license." if refused else "",
        )
    if options.dry_run:
        console.out.print(f"Dry run: {len(tracks):,} tracks would go to {output}; nothing was written.", soft_wrap=True)
        return
    write_tracks(output, tracks)
    console.out.print(f"{len(tracks):,} tracks are in {output.absolute()}; what was left out: {report}", soft_wrap=True)


def _parsing(options: UnifyOptions) -> ParseOptions:
    output = options.output_path
    return ParseOptions(
        valid_only=options.valid_only,
        mtg_split=options.mtg_split,
        lyrics=options.lyrics,
        years="metadata" in options.captions,
        unpack_to=None if options.dry_run else output.with_name(f"{output.stem}_audio"),
    )


def _datasets(options: UnifyOptions) -> list[Dataset]:
    """Give the datasets to read, in alphabetical order."""
    if options.datasets:
        chosen = [datasets.get(name) for name in sorted(set(options.datasets))]
        for dataset in chosen:
            _refuse_absent(dataset, options)
        return chosen
    known = [datasets.get(name) for name in datasets.names()]
    there = [dataset for dataset in known if dataset.in_default_mix and _is_there(dataset, options)]
    if not there:
        raise UsageError(
            f"No release was found in {options.data_root / 'raw'}: expected folders such as "
            f"{_root(options, known[0]) if known else '...'}.",
            hint=f"Fetch one with: {_fetch(options, 'NAME')}, where NAME is one of "
            + ", ".join(dataset.name for dataset in known),
        )
    return there


def _with_held_out(chosen: list[Dataset], options: UnifyOptions) -> list[Dataset]:
    """Add the datasets that are only held out, and name those that should be."""
    names = {dataset.name for dataset in chosen}
    more = [datasets.get(name) for name in sorted(set(options.hold_out) - names)]
    for dataset in more:
        _refuse_absent(dataset, options)
    for dataset in chosen:
        if dataset.evaluation_only and dataset.name not in options.hold_out:
            console.log.warning(
                "The authors of %s ask that nobody trains on it: keep it out with --hold-out %s",
                dataset.title,
                dataset.name,
            )
    return sorted([*chosen, *more], key=lambda dataset: dataset.name)


def _is_there(dataset: Dataset, options: UnifyOptions) -> bool:
    root = _root(options, dataset)
    return any(next(iter(root.glob(pattern)), None) is not None for pattern in dataset.marker_files)


def _refuse_absent(dataset: Dataset, options: UnifyOptions) -> None:
    if not _is_there(dataset, options):
        if dataset.root:
            raise UsageError(
                f"There is nothing in {dataset.root}, where the audio of {dataset.name} should be.",
                hint="Bring it there, or correct audio_root in the recipe.",
            )
        expected = " or ".join(dataset.marker_files)
        raise UsageError(
            f"The release of {dataset.name} is not in {_root(options, dataset)}: expected {expected} there.",
            hint=f"Fetch it with: {_fetch(options, dataset.asked_as or dataset.name)}",
        )


def _root(options: UnifyOptions, dataset: Dataset) -> Path:
    return dataset.root or options.data_root / "raw" / dataset.name


def _fetch(options: UnifyOptions, name: str) -> str:
    where = "" if options.data_root == Path("data") else f" --data-root {options.data_root}"
    return f"unisono download {name}{where}"


def _refuse_contradictions(options: UnifyOptions) -> None:
    options.check_captions()
    _license_rule(options)
    refuse_contradictions(options)
    for name in ("max_samples", "samples_per_dataset", "workers"):
        value = getattr(options, name)
        if value is not None and value < 1:
            raise UsageError(f"--{name.replace('_', '-')} must be at least 1, found {value}.")
    for name in ("min_duration", "max_duration"):
        value = getattr(options, name)
        if value is not None and not 0 <= value < float("inf"):
            raise UsageError(f"--{name.replace('_', '-')} must be a number of seconds, found {value}.")
    low, high = options.min_duration, options.max_duration
    if low is not None and high is not None and low > high:
        raise UsageError(f"--min-duration {low:g} is above --max-duration {high:g}: no track can be both.")
    if options.stratify_by and options.max_samples is None:
        console.log.warning("--stratify-by says how --max-samples is shared out; without it, it changes nothing.")


@contextmanager
def _log_beside(output: Path) -> Iterator[None]:
    path = output.with_suffix(".log")
    with ExitStack() as stack:
        with explained(path):
            stack.enter_context(log_to(path))
        yield


@contextmanager
def _journal(options: UnifyOptions) -> Iterator[Journal]:
    """Keep a journal of durations beside the output; it stays only where the run does not come to its end."""
    output = options.output_path
    journal = Journal(output.with_suffix(".durations.sqlite"), resume=options.continue_)
    done = False
    try:
        yield journal
        done = True
    except KeyboardInterrupt:
        console.log.warning("Interrupted. The durations measured so far are kept: go on with --continue.")
        raise
    finally:
        journal.close(forget=done)


def unify(options: UnifyOptions = UnifyOptions()) -> None:  # noqa: B008
    """Make one unified file out of the releases on disk."""
    run(options)
