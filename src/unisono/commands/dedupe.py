"""`unisono dedupe`: one record a recording."""

from dataclasses import dataclass
from pathlib import Path

from unisono.commands import console
from unisono.commands.options import Count, StageOptions


@dataclass(frozen=True, kw_only=True)
class DedupeOptions(StageOptions):
    """Options of `unisono dedupe`."""

    output: Path | None = None
    """File to write. Default: `<name>.deduped.<ending>` next to the input."""
    sha256_lists: tuple[Path, ...] = ()
    """Published lists of `<sha256> NN/<Jamendo id>.mp3`. Default: those of the datasets under `<data-root>/raw`."""
    audio: bool = False
    """Decode all files and merge what sounds the same too: copies with other tags, or that were encoded again, trimmed or
    made louder."""
    workers: Count | None = None
    """Threads that decode. Default: the number of cores."""
    strict: bool = False
    """Fail if a record could not be listened to: its copies are not merged."""
    dry_run: bool = False
    """Print what would be merged, write nothing."""


def dedupe(path: Path, *, options: DedupeOptions = DedupeOptions()) -> None:
    """Merge the records of one recording: captions with their origins, the best audio.

    Parameters
    ----------
    path
        Unified file.
    """
    from unisono.curation import dedupe as deduping

    output = options.output or path.with_suffix(f".deduped{path.suffix}")
    report = deduping.dedupe(
        path,
        output=None if options.dry_run else output,
        audio=options.audio,
        sha256_lists=options.sha256_lists,
        data_root=options.data_root,
        workers=options.workers,
        strict=options.strict,
    )
    for choice in report.choices[: deduping.SHOWN]:
        console.say(f"kept {choice.kept} ({choice.audio}), merged {', '.join(choice.merged)}: {', '.join(choice.by)}")
    if len(report.choices) > deduping.SHOWN:
        console.out.print(f"... and {len(report.choices) - deduping.SHOWN:,} more")
    console.out.print(report.headline, soft_wrap=True)
    if options.dry_run:
        console.out.print("Dry run: nothing was written.")
        return
    listed = output.with_suffix(".report.json")
    console.say(f"They are in {output}; all choices: {listed}")
