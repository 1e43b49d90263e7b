"""`unisono leaks`: what the second file, a benchmark, shares with the first, which is trained on."""

import json
from collections import Counter
from pathlib import Path

from rich import box
from rich.table import Table

from unisono.audio.copies import with_hashes_of_copies
from unisono.base.errors import UnisonoError
from unisono.base.files import write_whole
from unisono.commands import console
from unisono.commands.leaks_options import LeaksOptions
from unisono.curation.matching import CERTAIN, KINDS, Kind, Match, find_matches, published_lists, read_published
from unisono.tracks.files import read_tracks, write_tracks
from unisono.tracks.track import Track

DEFAULT_KINDS: tuple[Kind, ...] = ("ids", "sha256", "text")
SHOWN = 10


def run(trained_on: Path, benchmark: Path, options: LeaksOptions) -> None:
    """Report the matches, and write a clean copy of the first file if asked to.

    Raises:
        UsageError, DataError: a file is missing or broken.
        UnisonoError: there are matches, and they were not to be removed.
    """
    everything, second = read_tracks(trained_on), read_tracks(benchmark)
    first = [track for track in everything if options.all_splits or track.split not in ("val", "test")]
    if len(first) < len(everything):
        console.log.info(
            "%d records of the val and test splits of %s are left aside.", len(everything) - len(first), trained_on
        )
    lists = options.sha256_lists or published_lists(options.data_root)
    kinds = options.match or DEFAULT_KINDS
    hashed = with_hashes_of_copies([*first, *second]) if "sha256" in kinds else [*first, *second]
    matches = find_matches(hashed[: len(first)], hashed[len(first) :], kinds, read_published(lists))
    by_sound, unheard = _listen(first, second, options) if {"decoded", "audio"} & {*options.match} else ([], [])
    matches += by_sound
    _show(matches, first, second, trained_on, benchmark)
    if options.report:
        _write_report(options.report, matches, first, second, unheard)
    if unheard and options.strict:
        raise UnisonoError(
            f"--strict: {len(unheard):,} records could not be listened to.",
            hint="See why each of them could not: --report FILE lists them.",
        )
    counting = {*options.match, *(("decoded",) if "audio" in options.match else ())} or CERTAIN
    leaking = {match.first for match in matches if match.kind in counting}
    if options.remove:
        removed = {first[at].id for at in leaking}
        output = options.output or trained_on.with_suffix(f".clean{trained_on.suffix}")
        count = write_tracks(output, (track for track in everything if track.id not in removed))
        doubtful = len({match.first for match in matches} - leaking)
        console.out.print(
            f"{count:,} records are in {output}; {len(removed):,} were removed"
            + (
                f", {doubtful:,} more match by text alone and are still there (--match text removes them)."
                if doubtful
                else "."
            ),
            soft_wrap=True,
        )
    elif matches:
        count = len({match.first for match in matches})
        chosen = f" --match {' '.join(options.match)}" if options.match else ""
        raise UnisonoError(
            f"{count:,} of the {len(first):,} records of {trained_on} match {benchmark}.",
            hint=f"Write a copy without them: unisono leaks {trained_on} {benchmark}{chosen} --remove",
        )


def _listen(first: list[Track], second: list[Track], options: LeaksOptions) -> tuple[list[Match], list[dict[str, str]]]:
    """Give the matches by sound, and the records that could not be listened to."""
    from unisono.audio.listening import listen, unheard  # decoders are slow to import
    from unisono.curation.same_sound import audio_matches

    everything = [*first, *second]
    heard = listen(everything, options.workers, options.data_root)
    matches = audio_matches(heard[: len(first)], heard[len(first) :], options.match)
    return matches, unheard(everything, heard)


def _show(matches: list[Match], first: list[Track], second: list[Track], trained_on: Path, benchmark: Path) -> None:
    if not matches:
        console.out.print(
            f"No leaks: {len(first):,} records of {trained_on} share nothing with {len(second):,} of {benchmark}.",
            soft_wrap=True,
        )
        return
    counts = Table(
        title=f"What {trained_on.name} shares with {benchmark.name}", title_justify="left", box=box.SIMPLE_HEAD
    )
    for heading in ("by", f"records of {trained_on.name}", f"of {benchmark.name}"):
        counts.add_column(heading)
    for kind in KINDS:
        its_matches = [match for match in matches if match.kind == kind]
        if its_matches:
            counts.add_row(
                kind,
                f"{len({match.first for match in its_matches}):,}",
                f"{len({match.second for match in its_matches}):,}",
            )
    examples = Table(title="For example", title_justify="left", box=box.SIMPLE_HEAD)
    for heading in ("by", trained_on.name, benchmark.name, "evidence"):
        examples.add_column(heading, overflow="fold")
    shown: Counter[str] = Counter()
    for match in matches:
        shown[match.kind] += 1
        if shown[match.kind] <= SHOWN:
            row = (match.kind, first[match.first].id, second[match.second].id, match.evidence)
            examples.add_row(*map(console.escape, row))
    console.out.print(counts)
    console.out.print(examples)


def _write_report(
    path: Path, matches: list[Match], first: list[Track], second: list[Track], unheard: list[dict[str, str]]
) -> None:
    rows = [
        {
            "first": first[match.first].id,
            "second": second[match.second].id,
            "match": match.kind,
            "evidence": match.evidence,
            "certain": match.kind in CERTAIN,
        }
        for match in matches
    ]
    write_whole(path, json.dumps({"matches": rows, "unheard": unheard}, ensure_ascii=False, indent=1) + "\n")


def leaks(trained_on: Path, benchmark: Path, *, options: LeaksOptions = LeaksOptions()) -> None:  # noqa: B008
    """Find what a benchmark shares with the data that a model is trained on; exit code 1 if there is anything.

    Parameters
    ----------
    trained_on
        Unified file that is trained on.
    benchmark
        Unified file that is evaluated on.
    """
    run(trained_on, benchmark, options)
