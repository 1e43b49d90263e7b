"""`unisono prepare`: a unified file in, `embeddings.h5` out.

plan       which excerpts there are, and which of their embeddings are missing       plan.py
embed      decode, embed, pool; results go into small shards                         execute.py, embed.py, sink.py
assemble   shards, and the rows of an earlier file -> embeddings.h5, in one go       assemble.py
"""

from collections.abc import Iterable
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from filelock import FileLock, Timeout

from unisono.audio.decode import Fault
from unisono.base.errors import UnisonoError, UsageError
from unisono.base.files import explained
from unisono.base.log import log_to
from unisono.base.tally import Dropped, Tally
from unisono.commands import console
from unisono.commands.options import record
from unisono.commands.prepare_summary import show
from unisono.curation.filters import by_duration
from unisono.curation.sampling import sample
from unisono.embeddings.encoders import audio as encoders
from unisono.embeddings.file import FILE_NAME, EmbeddingsFile, EncoderRecord, open_embeddings
from unisono.embeddings.prepare import settings
from unisono.embeddings.prepare.assemble import assemble, by_split, fingerprint, is_assembled
from unisono.embeddings.prepare.embed import embed
from unisono.embeddings.prepare.options import PrepareOptions
from unisono.embeddings.prepare.plan import Plan, plan
from unisono.embeddings.prepare.runner import Runner, choose_devices
from unisono.embeddings.prepare.sink import EncoderShards, Failures
from unisono.tracks.files import read_tracks
from unisono.tracks.track import SPLITS, Split, Track

SHARDS = "shards"
REPORT = "prepare.report.json"
LOG = "prepare.log"
LOCK = ".prepare.lock"
DECIDING = ("pooling", "keep_windows", "split_by", "seed")
"""Options that decide what is in `embeddings.h5`, apart from the choice of tracks and encoders."""


def run(options: PrepareOptions) -> None:
    """Embed the tracks of a unified file; what is embedded already is not embedded again.

    Raises:
        UsageError: the options contradict each other, or what is in the output folder.
        UnisonoError: weights or audio are not there, the disk is full, or --strict found faults.
    """
    _refuse_nonsense(options)
    names = list(dict.fromkeys(options.encoders))
    for name in names:
        encoders.spec(name)
    tracks = read_tracks(options.input_path)
    with ExitStack() as stack:
        _enter_output(options.output_path, stack)
        console.log.info("Preparing %s tracks of %s", f"{len(tracks):,}", options.input_path)
        tally = Tally()
        tracks = _choose(tracks, options, tally)
        there = _open_assembled(options, stack)
        names = sorted({*names, *(there.encoders if there else ())})
        shards = {name: EncoderShards(options.output_path / SHARDS / name, there) for name in names}
        failures = Failures(options.output_path / SHARDS / "failures", there)
        states = settings.hidden_states(options, shards)
        settings.check_shards(shards, options, states)
        work = plan(tracks)
        _refuse_to_lose(there, work)
        faults = _embed_missing(work, shards, failures, states, options)
        tracks = _without_faults(tracks, work, faults, tally)
        splits = _write(tracks, work, shards, faults, there, tally, options)
        show(tally, splits, [_record_of(its_shards) for its_shards in shards.values()], options)
        _remove_what_is_stored(shards, failures, options)


def _choose(tracks: list[Track], options: PrepareOptions, tally: Tally) -> list[Track]:
    """Filter and sample, with what is left out in the tally."""
    for track in tracks:
        tally.came[track.dataset] += 1
    dataset_of = {track.id: track.dataset for track in tracks}
    kept, dropped = by_duration(tracks, options.min_duration, options.max_duration)
    drawn = sample(kept, seed=options.seed, max_samples=options.sample_size)
    if len(drawn) < len(kept):
        ids = {track.id for track in drawn}
        dropped += [
            Dropped(id=track.id, reason="not in the sample", fault=False) for track in kept if track.id not in ids
        ]
    for item in dropped:
        tally.drop(dataset_of[item.id], item)
    if not drawn:
        raise UsageError(f"No track of {options.input_path} is left: see --min-duration and --max-duration.")
    return drawn


def _embed_missing(
    work: Plan, shards: dict[str, EncoderShards], failures: Failures, states: dict[str, str], options: PrepareOptions
) -> dict[bytes, Fault]:
    """Embed what is not there yet; give key -> fault of all excerpts that cannot be embedded."""
    held = {name: its_shards.held() for name, its_shards in shards.items()}
    items = work.missing(held, failures.known.keys())
    if not work.excerpts:
        first = next(iter(work.faults.values()))
        raise UnisonoError(
            f"None of the {len(work.faults):,} audio files is there, e.g. {first.detail}.",
            hint="Bring the audio folder back, or make the unified file anew with: unisono unify",
        )
    passing: dict[bytes, Fault] = {}
    if items:
        done = sum(len(keys & work.excerpts.keys()) for keys in held.values())
        console.log.info(
            "%s embeddings are there already, %s are missing.",
            f"{done:,}",
            f"{sum(len(item.encoders) for item in items):,}",
        )
        needed = sorted({name for item in items for name in item.encoders})
        runners = _runners(needed, shards, states, options)
        passing = embed(items, runners, shards, failures, options)
    return {key: fault for key, fault in {**failures.known, **passing}.items() if key in work.excerpts}


def _runners(
    names: list[str], shards: dict[str, EncoderShards], states: dict[str, str], options: PrepareOptions
) -> list[Runner]:
    """Build the encoders on the devices, and make sure that they are the ones that the shards are of."""
    devices = choose_devices(options.devices, options.workers)
    built = settings.build_encoders(names, devices, states)
    for name, encoder in built[devices[0]].items():
        settings.check_built(shards[name], settings.encoder_record(encoder.spec, options, states[name]), options)
    console.log.info("Encoders %s on %s", ", ".join(names), ", ".join(dict.fromkeys(devices)))
    return [Runner(device, built[device], options.batch_size) for device in devices]


def _without_faults(tracks: list[Track], work: Plan, faults: dict[bytes, Fault], tally: Tally) -> list[Track]:
    """Leave out the tracks that could not be embedded, with their reasons in the tally."""
    kept = []
    for track in tracks:
        fault = work.faults.get(track.id) or faults.get(work.key_of[track.id])
        if fault is None:
            kept.append(track)
            tally.kept[track.dataset] += 1
        else:
            detail = f"{track.audio_path}: {fault.detail}" if fault.detail != track.audio_path else fault.detail
            tally.drop(track.dataset, Dropped(id=track.id, reason=fault.reason, detail=detail))
    return kept


def _write(
    tracks: list[Track],
    work: Plan,
    shards: dict[str, EncoderShards],
    faults: dict[bytes, Fault],
    there: EmbeddingsFile | None,
    tally: Tally,
    options: PrepareOptions,
) -> dict[Split, list[Track]]:
    """Write the report and, unless it is there already, `embeddings.h5`; give the tracks of each split."""
    output = options.output_path
    report = output / REPORT
    tally.write(report, options=record(options), encoders=sorted(shards))
    if options.strict:
        tally.refuse_faults(report)
    if not tracks:
        show(tally, {}, [], options)
        raise UnisonoError(f"No track could be embedded; the reasons are in {report}.")
    splits = by_split(tracks, options)
    records = [_record_of(its_shards) for its_shards in shards.values()]
    config = _config(options)
    config["content"] = fingerprint(splits, work.key_of, records, config, tally.faults)
    if is_assembled(there, config["content"]):
        console.log.info("Nothing to do: %s is complete.", output / FILE_NAME)
        return splits
    console.log.info("Writing %s", output / FILE_NAME)
    lasting = {key: fault for key, fault in faults.items() if fault.lasting}
    assemble(output, splits, work.key_of, shards, records, config, tally.faults, lasting)
    return splits


def _remove_what_is_stored(shards: dict[str, EncoderShards], failures: Failures, options: PrepareOptions) -> None:
    """Remove the shards whose content `embeddings.h5` now holds; others, of tracks that were not chosen now, stay."""
    with open_embeddings(options.output_path) as file:
        keys = {key for split in SPLITS for key in file.excerpts(split)}
        failed = {bytes.fromhex(key) for key, _, _ in file.faults()}
    for its_shards in shards.values():
        its_shards.remove_stored(keys)
    failures.remove_stored(failed)
    with suppress(OSError):  # some are left
        (options.output_path / SHARDS).rmdir()


def _config(options: PrepareOptions) -> dict[str, Any]:
    """What `embeddings.h5` remembers of the options: what decides its content, not how it was computed."""
    names = (*DECIDING, "sample_size", "min_duration", "max_duration")
    return {**{name: getattr(options, name) for name in names}, "dataset_file": options.input_path.name}


def _record_of(shards: EncoderShards) -> EncoderRecord:
    content = dict(shards.settings() or {})
    content.pop("keep_windows", None)
    return EncoderRecord(**content)


def _open_assembled(options: PrepareOptions, stack: ExitStack) -> EmbeddingsFile | None:
    """Open the `embeddings.h5` that is there, if any: its encoders stay, its settings must be the same."""
    if not (options.output_path / FILE_NAME).is_file():
        return None
    file = stack.enter_context(open_embeddings(options.output_path))
    found = settings.differences(file.config, _config(options), DECIDING)
    if found:
        raise settings.refusal(options.output_path / FILE_NAME, found)
    return file


def _refuse_to_lose(there: EmbeddingsFile | None, work: Plan) -> None:
    """Refuse to write an `embeddings.h5` that lacks tracks which the present one holds."""
    lost = sorted(id_ for id_ in there.ids() if id_ not in work.key_of) if there else []
    if there and lost:
        reason = work.faults[lost[0]].reason if lost[0] in work.faults else "not among the tracks chosen now"
        raise UsageError(
            f"{there.path} holds {len(lost):,} tracks that would be lost, e.g. {lost[0]} ({reason}).",
            hint=f"Choose the same tracks and more, or another --output-dir; or remove {there.path}: "
            "then all tracks are embedded anew.",
        )


def _enter_output(output: Path, stack: ExitStack) -> None:
    """Make the output folder, keep others out of it, clear away what a killed run left half-written, open the log."""
    with explained(output / FILE_NAME):
        output.mkdir(parents=True, exist_ok=True)
        try:
            stack.enter_context(FileLock(output / LOCK, timeout=0))
        except Timeout:
            raise UnisonoError(f"Another run is writing to {output}.", hint="Wait until it is done.") from None
        for partial in _partials(output):
            partial.unlink(missing_ok=True)
        stack.enter_context(log_to(output / LOG))


def _partials(output: Path) -> Iterable[Path]:
    yield from output.glob(".*.partial")
    yield from (output / SHARDS).glob("*/.*.partial")


def _refuse_nonsense(options: PrepareOptions) -> None:
    for name in ("sample_size", "batch_size", "workers"):
        value = getattr(options, name)
        if value is not None and value < 1:
            raise UsageError(f"--{name.replace('_', '-')} must be at least 1, found {value}.")
    low, high = options.min_duration, options.max_duration
    if low is not None and high is not None and low > high:
        raise UsageError(f"--min-duration {low:g} is above --max-duration {high:g}: no track can be both.")
    if not options.encoders:
        raise UsageError("--encoders names no encoder.", hint="Known encoders: " + ", ".join(encoders.names()))


def prepare(
    *,
    use_musicbench: Annotated[bool, Parameter(negative="")] = False,
    options: PrepareOptions = PrepareOptions(),  # noqa: B008
) -> None:
    """Embed the tracks of a unified file into `embeddings.h5`.

    Parameters
    ----------
    use_musicbench
        Make the unified file first, of `<data-root>/raw/musicbench` alone, beside `embeddings.h5`, unless it is there and
        the release has not changed; a val part is drawn from train. Output folder unless --output-dir says otherwise:
        `<data-root>/musicbench_embeddings`.
    """
    run(_unify_musicbench(options) if use_musicbench else options)


def _unify_musicbench(options: PrepareOptions) -> PrepareOptions:
    """Run `unify` on MusicBench; give the options that make `prepare` read what it wrote."""
    from unisono.commands.unify_options import UnifyOptions
    from unisono.commands.unify_unchanged import run_if_changed

    if options.dataset_file:
        raise UsageError("--use-musicbench makes a unified file of its own: it excludes --dataset-file.")
    output = options.output_dir or options.data_root / "musicbench_embeddings"
    unified = output / "unified_dataset.json"
    run_if_changed(
        UnifyOptions(
            datasets=("musicbench",),
            output=unified,
            data_root=options.data_root,
            seed=options.seed,
            workers=options.workers,
            draw_val=True,
            strict=options.strict,
            continue_=options.continue_,
        )
    )
    return replace(options, dataset_file=unified, output_dir=output)
