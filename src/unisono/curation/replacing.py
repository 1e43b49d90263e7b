"""Replacing a unified file: what differs from the options that its report records, and when that has to be asked for."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unisono.base.errors import UsageError
from unisono.base.log import log

CHOICE = ("hold_out", "keep_splits", "max_samples", "samples_per_dataset")
"""Options with which somebody chose what is in a mix, or what is never trained on: such a mix cannot be made by chance."""
OF_CHOICE = frozenset({*CHOICE, "match", "draw_val", "assign_splits", "stratify_by", "seed"})
WITHOUT_EFFECT = frozenset(["output", "data_root", "workers", "continue_", "strict", "dry_run"]) | {
    f"llm_{name}" for name in ("workers", "requests_per_minute", "cache")
}


def check_replacing(output: Path, report: Path, options: Mapping[str, Any], *, overwrite: bool) -> None:
    """Say in the log what differs if `output` is there already.

    Args:
        output: the unified file to write.
        report: what the run that wrote it recorded.
        options: those of this run, as the report will record them.
        overwrite: whether to replace a mix that was held out or sampled in another way.

    Raises:
        UsageError: it is such a mix, and `overwrite` is false; or it is a folder.
    """
    if output.is_dir():
        raise UsageError(f"{output} is a folder.", hint=f"Name a file: --output {output / 'unified_dataset.json'}")
    if not output.exists():
        return
    try:
        before = json.loads(report.read_bytes())["options"]
        now = {name: value for name, value in json.loads(json.dumps(options)).items() if name not in WITHOUT_EFFECT}
        differing = {name: value for name, value in before.items() if name in now and _differ(value, now[name])}
        is_chosen = any(before.get(name) for name in CHOICE)
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        log.warning("%s is replaced; there is no report that says how it was made.", output)
        return
    if not differing:
        return
    said = ", ".join(f"{name} {_say(value)} (now {_say(now[name])})" for name, value in differing.items())
    if is_chosen and OF_CHOICE & set(differing) and not overwrite:
        raise UsageError(
            f"{output} is a mix that was made with other options: {said}.",
            hint="Replace it with --overwrite (in Python overwrite=True), or keep it and name another --output.",
        )
    log.warning("%s is replaced; it was made with other options: %s.", output, said)


def _differ(one: Any, other: Any) -> bool:
    return (one or None) != (other or None)  # no dataset named is [] on the command line and null in Python


def _say(value: Any) -> str:
    return " ".join(map(str, value)) if value and isinstance(value, list) else str(value) if value else "none"
