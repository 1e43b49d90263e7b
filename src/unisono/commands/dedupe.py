"""`unisono dedupe`: one record a recording."""

import json
from dataclasses import asdict
from pathlib import Path

from unisono.audio.copies import with_hashes_of_copies
from unisono.base.errors import UnisonoError
from unisono.base.files import write_whole
from unisono.commands import console
from unisono.commands.dedupe_options import DedupeOptions
from unisono.curation.duplicates import merge_duplicates
from unisono.curation.matching import published_lists, read_published
from unisono.tracks.files import read_tracks, write_tracks

SHOWN = 10


def run(path: Path, options: DedupeOptions) -> None:
    """Merge the duplicates of a unified file, write it and the list of choices.

    Raises:
        UsageError, DataError: the file is missing or broken.
        UnisonoError: the output cannot be written.
    """
    tracks = read_tracks(path)
    lists = options.sha256_lists or published_lists(options.data_root)
    alike: list[tuple[int, int]] = []
    decoded: list[str] = []
    not_heard: list[dict[str, str]] = []
    if options.audio:
        from unisono.audio.listening import listen, unheard  # decoders are slow to import
        from unisono.curation.same_sound import duplicates

        heard = listen(tracks, options.workers, options.data_root)
        not_heard, decoded = unheard(tracks, heard), [item.decoded for item in heard]
        alike = [(one, other) for one, other in duplicates(heard) if decoded[one] != decoded[other]]
        if not_heard and options.strict:
            listed = "; ".join(f"{item['id']}: {item['reason']}" for item in not_heard[:SHOWN])
            raise UnisonoError(f"--strict: {len(not_heard):,} records could not be listened to: {listed}.")
    kept, choices = merge_duplicates(with_hashes_of_copies(tracks), read_published(lists), alike, decoded)
    for choice in choices[:SHOWN]:
        console.out.print(
            console.escape(
                f"kept {choice.kept} ({choice.audio}), merged {', '.join(choice.merged)}: {', '.join(choice.by)}"
            ),
            soft_wrap=True,
        )
    if len(choices) > SHOWN:
        console.out.print(f"... and {len(choices) - SHOWN:,} more")
    console.out.print(
        f"{len(tracks):,} records, {len(choices):,} recordings with duplicates, {len(kept):,} records left",
        soft_wrap=True,
    )
    if options.dry_run:
        console.out.print("Dry run: nothing was written.")
        return
    output = options.output or path.with_suffix(f".deduped{path.suffix}")
    report = output.with_suffix(".report.json")
    content = {
        "came": len(tracks),
        "kept": len(kept),
        "choices": [asdict(choice) for choice in choices],
        "unheard": not_heard,
    }
    write_whole(report, json.dumps(content, ensure_ascii=False, indent=1) + "\n")
    write_tracks(output, kept)
    console.out.print(f"They are in {output}; all choices: {report}", soft_wrap=True)


def dedupe(path: Path, *, options: DedupeOptions = DedupeOptions()) -> None:  # noqa: B008
    """Merge the records of one recording: captions with their origins, the best audio.

    Parameters
    ----------
    path
        Unified file.
    """
    run(path, options)
