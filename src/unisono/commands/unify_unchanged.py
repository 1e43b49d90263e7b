"""Whether a unified file is still what the releases give that it was made of, so that it need not be made again."""

import hashlib
import json
import os
from pathlib import Path

from unisono import __version__
from unisono.base.files import write_whole
from unisono.commands import console
from unisono.commands.options import record
from unisono.commands.unify import run
from unisono.commands.unify_options import UnifyOptions
from unisono.sources import registry as datasets
from unisono.sources.audio_index import walk

WITHOUT_EFFECT = ("workers", "continue_")


def run_if_changed(options: UnifyOptions) -> None:
    """Run `unify`, unless it was run before with these options, and neither the releases nor what it wrote have changed.

    The options name their datasets and read nothing else. Raises what `run` does.
    """
    output = options.output_path
    note = output.with_suffix(".inputs.json")
    inputs = _inputs(options)
    try:
        is_unchanged = json.loads(note.read_bytes()) == {"inputs": inputs, "output": _sha256(output)}
    except (OSError, ValueError):
        is_unchanged = False
    if is_unchanged:
        console.log.info("%s is there, and what it was made of has not changed.", output)
        return
    run(options)
    write_whole(note, json.dumps({"inputs": inputs, "output": _sha256(output)}, indent=1) + "\n")


def _inputs(options: UnifyOptions) -> str:
    """Hash the options, and names, sizes and times of change of all files of the releases."""
    chosen = {name: value for name, value in record(options).items() if name not in WITHOUT_EFFECT}
    digest = hashlib.sha256(json.dumps([__version__, chosen], sort_keys=True, default=str).encode())
    for name in sorted(set(options.datasets)):
        root = datasets.get(name).root or options.data_root / "raw" / name
        digest.update(f"{os.path.abspath(root)}\n".encode(errors="surrogateescape"))  # noqa: PTH100 - keeps links as they are
        for folder, files in walk(str(root)):
            if not any(part.startswith(".") for part in Path(folder).relative_to(root).parts):  # a download's notes
                for file in files:
                    digest.update(_line(f"{folder}/{file}").encode(errors="surrogateescape"))
    return digest.hexdigest()


def _line(path: str) -> str:
    try:
        status = os.stat(path)  # noqa: PTH116 - there may be many
    except OSError:
        return f"{path}\n"
    return f"{path} {status.st_size} {status.st_mtime_ns}\n"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
