"""Converting tracks from one format to another, in bounded memory; the output appears whole or not at all."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from unisono.base.arguments import AnyPath, Count, as_path, checked
from unisono.base.errors import UnisonoError, UsageError
from unisono.base.files import remove_left_behind, whole_file, whole_folder, write_whole
from unisono.base.progress import progress
from unisono.base.tally import Dropped, Tally
from unisono.tracks import croissant, formats
from unisono.tracks.files import Ids, write_tracks
from unisono.tracks.formats import Sharding
from unisono.tracks.record import Entry
from unisono.tracks.track import batched
from unisono.tracks.unpacked import AudioFolder

FolderFormat = Literal["webdataset", "huggingface"]
MEGABYTE = 1_000_000
ITEMS_A_STEP = 64


@dataclass(frozen=True)
class Conversion:
    """What a conversion did."""

    output: Path
    tracks: int
    """How many were written."""
    tally: Tally = field(repr=False)
    """What was left out, and why."""
    audio_folder: Path | None = None
    """Where audio was unpacked to."""
    report: Path | None = None
    """The file that lists what was left out."""


@checked
def convert(
    source: AnyPath,
    target: AnyPath,
    *,
    to: FolderFormat | None = None,
    with_audio: bool = False,
    shard_size: Count = 500,
    strict: bool = False,
    about: croissant.About | None = None,
) -> Conversion:
    """Convert the tracks of a file or folder into another format.

    Args:
        source: a unified file, .csv, or a folder that this function wrote.
        target: a file, whose ending decides its format, or with `to` a new folder.
        to: the format of a folder.
        with_audio: take the audio into Parquet files, or out of a folder to `<target>_audio`; WebDataset always holds it.
        shard_size: megabytes that one file of a folder holds at most.
        strict: fail if the audio of a track is not there.
        about: describe the output in Croissant as well.

    Raises:
        UsageError: the arguments contradict each other, or there is no such source.
        DataError: the source is damaged, or a record breaks a rule.
        UnisonoError: nothing is left, or the output cannot be written.
    """
    source, target = as_path(source), as_path(target)
    _refuse_contradictions(source, target, to, with_audio=with_audio)
    tally, seen = Tally(), croissant.Seen() if about else None
    with ExitStack() as stack:
        unpacked = None
        if with_audio and source.is_dir():
            unpacked = AudioFolder(target.with_name(f"{target.stem}_audio"))
            stack.callback(unpacked.close)
        bar = stack.enter_context(progress())
        task = bar.add_task("Converting", total=None)
        tracks = _passed(_read(source, unpacked), source, tally, seen, lambda count: bar.advance(task, count))
        sharding = Sharding(shard_size * MEGABYTE, with_audio, _dropping(tally, seen))

        def accept(count: int) -> None:
            _refuse_faults(source, count, tally, strict=strict)

        if to is None:
            count = _write_file(target, tracks, accept)
        else:
            count = _write_folder(target, to, tracks, sharding, accept, seen, about)
    if about and seen and to is None:
        write_whole(target.with_suffix(".croissant.json"), croissant.describe(target, target, seen, about))
    for name, came in tally.came.items():
        tally.kept[name] = came - tally.reasons(name).total()
    options: dict[str, str | int | None] = {
        "to": to,
        "with_audio": with_audio,
        "shard_size": shard_size,
        "strict": strict,
    }
    report = _report(target, options, tally)
    return Conversion(target, count, tally, unpacked.folder if unpacked else None, report)


def _read(source: Path, unpacked: AudioFolder | None) -> Iterator[Entry | Dropped]:
    if source.is_dir():
        name = formats.of_folder(source)
        if name is None:
            raise UsageError(
                f"{source} holds neither WebDataset shards (*.tar) nor data/*.parquet.",
                hint=f"To read another Hugging Face dataset: unisono unify --datasets hf:{source}",
            )
        return formats.get(name).read(source, unpacked)
    if not source.exists():
        raise UsageError(f"There is no {source}.")
    name = formats.FILES.get(source.suffix.lower())
    if name is None:
        endings = ", ".join(formats.FILES)
        raise UsageError(f"{source}: files are read as {endings}, not as {source.suffix!r}.")
    return formats.get(name).read(source, None)


def _write_file(target: Path, tracks: Iterable[Entry], accept: Callable[[int], None]) -> int:
    remove_left_behind(target)
    name = formats.FILES[target.suffix.lower()]
    if name in formats.UNIFIED:
        count = write_tracks(target, tracks)
    else:
        with whole_file(target) as partial:
            count = formats.get(name).write(partial, tracks, Sharding())
    accept(count)
    return count


def _write_folder(
    target: Path,
    to: FolderFormat,
    tracks: Iterable[Entry],
    sharding: Sharding,
    accept: Callable[[int], None],
    seen: croissant.Seen | None,
    about: croissant.About | None,
) -> int:
    with whole_folder(target) as partial:
        count = formats.get(to).write(partial, tracks, sharding)
        accept(count)
        if about and seen:
            text = croissant.describe(target, partial, seen, about)
            (partial / "croissant.json").write_text(text, encoding="utf-8")
    return count


def _dropping(tally: Tally, seen: croissant.Seen | None) -> Callable[[Entry, Dropped], None]:
    def drop(track: Entry, dropped: Dropped) -> None:
        tally.drop(track.dataset, dropped)
        if seen:
            seen.remove(track)

    return drop


def _passed(
    items: Iterable[Entry | Dropped],
    source: Path,
    tally: Tally,
    seen: croissant.Seen | None,
    advance: Callable[[int], None],
) -> Iterator[Entry]:
    """Pass tracks on and count all; refuse ids that come twice, which takes 8 bytes a track and shows at the end."""
    ids = Ids()
    for batch in batched(items, ITEMS_A_STEP):
        tracks = [item for item in batch if not isinstance(item, Dropped)]
        for some in [batch] if len(tracks) == len(batch) else [[item] for item in batch]:
            if isinstance(some[0], Dropped):
                tally.came[""] += 1
                tally.drop("", some[0])
                ids.pass_over()
            else:
                ids.note(some)
        tally.came.update([track.dataset for track in tracks])
        if seen is not None:
            for track in tracks:
                seen.add(track)
        advance(len(batch))
        yield from tracks
    ids.refuse_twice(source, lambda: _read(source, None))


def _refuse_faults(source: Path, count: int, tally: Tally, *, strict: bool) -> None:
    if strict and tally.faults:
        raise UnisonoError(f"--strict: {tally.faults:,} tracks lack their audio, e.g. {_say(tally)}.")
    if not count:
        example = f"; e.g. {_say(tally)}" if tally.dropped else ""
        raise UnisonoError(f"{source}: no track is left to be written{example}.")


def _say(tally: Tally) -> str:
    _, dropped = next(iter(tally.dropped))
    return f"{dropped.id}: {dropped.reason}" + (f" ({dropped.detail})" if dropped.detail else "")


def _report(target: Path, options: dict[str, str | int | None], tally: Tally) -> Path | None:
    """List what was left out, if anything was; return the list's file."""
    path = target.with_name(f"{target.name}.convert.json")
    path.unlink(missing_ok=True)
    if not tally.dropped:
        return None
    tally.write(path, options=options)
    return path


def _refuse_contradictions(source: Path, target: Path, to: FolderFormat | None, *, with_audio: bool) -> None:
    if os.path.realpath(source) == os.path.realpath(target):
        raise UsageError(f"{source} cannot be converted into itself.")
    if to is None:
        if not target.suffix:
            raise UsageError(f"{target}: what kind of folder?", hint="Say --to webdataset or --to huggingface.")
        if target.suffix.lower() not in formats.FILES:
            raise UsageError(
                f"{target}: files are written as {', '.join(formats.FILES)}, not as {target.suffix!r}.",
                hint="For a folder say --to webdataset or --to huggingface.",
            )
        if with_audio and not source.is_dir():
            raise UsageError("--with-audio: neither of the two files can hold audio.")
    elif with_audio and source.is_dir():
        raise UsageError(
            "Audio cannot go from one folder into another at once.",
            hint=f"First unpack it: unisono convert {source} unified.json --with-audio",
        )
