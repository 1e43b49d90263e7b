"""`unisono convert`: tracks stream from one format to another; the output appears whole or not at all."""

from array import array
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import numpy as np

from unisono.base.errors import DataError, UnisonoError, UsageError
from unisono.base.files import remove_left_behind, whole_folder, write_whole
from unisono.base.progress import progress
from unisono.base.seeded import rank_key
from unisono.base.tally import Dropped, Tally
from unisono.commands import console
from unisono.commands.convert_options import ConvertOptions
from unisono.tracks.formats import croissant
from unisono.tracks.formats.csv_file import read_csv, write_csv
from unisono.tracks.formats.webdataset import read_webdataset, write_webdataset
from unisono.tracks.track import Track, iter_tracks, write_tracks
from unisono.tracks.unpacked import AudioFolder

MEGABYTE = 1_000_000
ITEMS_A_STEP = 16


def run(source: Path, target: Path, options: ConvertOptions) -> None:
    """Convert what `source` holds into what `target` names.

    Raises:
        UsageError: the options contradict each other, or there is no such source.
        DataError: the source is damaged, or a record breaks a rule.
        UnisonoError: nothing is left, or the output cannot be written.
    """
    _refuse_contradictions(source, target, options)
    tally, seen = Tally(), croissant.Seen()
    with ExitStack() as stack:
        unpacked = None
        if options.with_audio and source.is_dir():
            unpacked = AudioFolder(target.with_name(f"{target.stem}_audio"))
            stack.callback(unpacked.close)
        bar = stack.enter_context(progress())
        task = bar.add_task("Converting", total=None)
        items = _counted(_read(source, unpacked), lambda count: bar.advance(task, count))
        tracks = _passed(_unique(items, source), tally, seen if options.croissant else None)
        _write(target, tracks, options, tally, seen)
    for name, count in tally.came.items():
        tally.kept[name] = count - sum(dataset == name for dataset, _ in tally.dropped)
    _report(target, options, tally)
    kept = sum(tally.kept.values())
    console.out.print(f"{kept:,} tracks are in {target}.", soft_wrap=True)
    if unpacked:
        console.out.print(f"Their audio is in {unpacked.folder}.", soft_wrap=True)


def _read(source: Path, unpacked: AudioFolder | None) -> Iterator[Track | Dropped]:
    if source.is_dir():
        if next(source.glob("*.tar"), None):
            return read_webdataset(source, unpacked)
        if next(source.glob("data/*.parquet"), None):
            from unisono.tracks.formats.huggingface import read_huggingface  # pyarrow is an extra, and slow to import

            return read_huggingface(source, unpacked)
        raise UsageError(
            f"{source} holds neither WebDataset shards (*.tar) nor data/*.parquet.",
            hint=f"To read another Hugging Face data set: unisono unify --datasets hf:{source}",
        )
    if not source.exists():
        raise UsageError(f"There is no {source}.")
    return read_csv(source) if source.suffix.lower() == ".csv" else iter_tracks(source)


def _unique(items: Iterable[Track | Dropped], source: Path) -> Iterator[Track | Dropped]:
    """Pass items on, and refuse ids that come twice; that takes 8 bytes a track and shows at the end."""
    keys = array("Q")
    for item in items:
        if isinstance(item, Track):
            keys.append(rank_key(0, item.id))
        yield item
    order = np.argsort(keys, kind="stable")
    ranked = np.asarray(keys)[order]
    if len(twice := np.flatnonzero(ranked[1:] == ranked[:-1])):
        first, second = order[twice[0]] + 1, order[twice[0] + 1] + 1
        raise DataError(f"{source}: records {first} and {second} have the same id; ids must be unique in a file.")


def _counted(items: Iterable[Track | Dropped], advance: Callable[[int], None]) -> Iterator[Track | Dropped]:
    """Pass items on and tell of them now and then: to tell of each would take longer than to convert it."""
    count = 0
    for count, item in enumerate(items, 1):
        if count % ITEMS_A_STEP == 0:
            advance(ITEMS_A_STEP)
        yield item
    advance(count % ITEMS_A_STEP)


def _passed(items: Iterable[Track | Dropped], tally: Tally, seen: croissant.Seen | None) -> Iterator[Track]:
    for item in items:
        if isinstance(item, Dropped):
            tally.came[""] += 1
            tally.drop("", item)
        else:
            tally.came[item.dataset] += 1
            if seen is not None:
                seen.add(item)
            yield item


def _write(target: Path, tracks: Iterator[Track], options: ConvertOptions, tally: Tally, seen: croissant.Seen) -> None:
    if options.to is None:
        remove_left_behind(target)
        count = write_csv(target, tracks) if target.suffix.lower() == ".csv" else write_tracks(target, tracks)
        _refuse_faults(count, tally, options)
        if options.croissant:
            text = croissant.describe(target, target, seen, options)
            write_whole(target.with_suffix(".croissant.json"), text)
        return

    def drop(track: Track, dropped: Dropped) -> None:
        tally.drop(track.dataset, dropped)
        if options.croissant:
            seen.remove(track)

    shard_bytes = options.shard_size * MEGABYTE
    with whole_folder(target) as partial:
        if options.to == "webdataset":
            count = write_webdataset(partial, tracks, shard_bytes, drop)
        else:
            from unisono.tracks.formats.huggingface import write_huggingface  # pyarrow is an extra, and slow to import

            count = write_huggingface(partial, tracks, shard_bytes, drop, with_audio=options.with_audio)
        _refuse_faults(count, tally, options)
        if options.croissant:
            text = croissant.describe(target, partial, seen, options)
            (partial / "croissant.json").write_text(text, encoding="utf-8")


def _refuse_faults(count: int, tally: Tally, options: ConvertOptions) -> None:
    if options.strict and tally.faults:
        raise UnisonoError(f"--strict: {tally.faults:,} tracks lack their audio, e.g. {_say(tally.dropped[0][1])}.")
    if not count:
        example = f"; e.g. {_say(tally.dropped[0][1])}" if tally.dropped else ""
        raise UnisonoError(f"No track is left to be written{example}.")


def _say(dropped: Dropped) -> str:
    return f"{dropped.id}: {dropped.reason}" + (f" ({dropped.detail})" if dropped.detail else "")


def _report(target: Path, options: ConvertOptions, tally: Tally) -> None:
    """List what was left out, if anything was."""
    path = target.with_name(f"{target.name}.convert.json")
    path.unlink(missing_ok=True)
    if not tally.dropped:
        return
    tally.write(path, options=asdict(options))
    for reason, count in tally.reasons().most_common():
        console.log.warning("%s left out: %s", f"{count:,}", reason)
    console.log.warning("They are listed in %s", path)


def _refuse_contradictions(source: Path, target: Path, options: ConvertOptions) -> None:
    if options.shard_size < 1:
        raise UsageError(f"--shard-size must be at least 1, found {options.shard_size}.")
    if source.resolve() == target.resolve():
        raise UsageError(f"{source} cannot be converted into itself.")
    if options.croissant:
        croissant.refuse_incomplete(options)
    if options.to is None:
        if not target.suffix:
            raise UsageError(f"{target}: what kind of folder?", hint="Say --to webdataset or --to huggingface.")
        if target.suffix.lower() not in (".csv", ".json", ".jsonl", ".parquet"):
            raise UsageError(
                f"{target}: files are written as .json, .jsonl, .parquet or .csv, not as {target.suffix!r}.",
                hint="For a folder say --to webdataset or --to huggingface.",
            )
        if options.with_audio and not source.is_dir():
            raise UsageError("--with-audio: neither of the two files can hold audio.")
    elif options.with_audio and source.is_dir():
        raise UsageError(
            "Audio cannot go from one folder into another at once.",
            hint=f"First unpack it: unisono convert {source} unified.json --with-audio",
        )


def convert(source: Path, target: Path, *, options: ConvertOptions = ConvertOptions()) -> None:  # noqa: B008
    """Bring a unified file into the formats of other tools, and back.

    Parameters
    ----------
    source
        Unified file (.json, .jsonl, .parquet), .csv, or a folder that this command wrote.
    target
        File, known by its ending, or with --to a new folder.
    """
    run(source, target, options)
