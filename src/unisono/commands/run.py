"""`unisono run`: a recipe from beginning to end, doing only what has changed; one log, one report."""

import hashlib
import json
import shlex
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from cyclopts import CycloptsError, Parameter

from unisono import __version__
from unisono.base.errors import UsageError
from unisono.base.files import write_whole
from unisono.base.log import log_to
from unisono.base.toml_file import dashed
from unisono.commands import console, recipe
from unisono.commands.options import StageOptions
from unisono.commands.recipe import RunRecipe, Stage
from unisono.sources import registry

AGAIN = {"unify": "overwrite", "prepare": "prune", "train": "overwrite"}
"""Verb -> the option that lets it replace what this run made with other options or data."""


@dataclass(frozen=True, kw_only=True)
class RunOptions(StageOptions):
    """Options of `unisono run`."""

    list_: Annotated[bool, Parameter(name="--list", negative="")] = False
    """Show the recipes that came with unisono, and what each costs. Run nothing."""
    dry_run: Annotated[bool, Parameter(negative="")] = False
    """Print the commands, and which of them there is to do. Run nothing."""
    until: str | None = None
    """Stop after this stage: download, unify, prepare, train or evaluate."""


def run(name: str | None = None, *, options: RunOptions = RunOptions()) -> None:
    """Run a recipe from beginning to end, doing only what has changed.

    Parameters
    ----------
    name
        A file (.toml), or the name of a recipe that came with unisono; see --list.
    """
    if options.list_ or name is None:
        _list(options)
        return
    if options.until is not None and options.until not in recipe.STAGES:
        raise UsageError(f"--until must be one of {', '.join(recipe.STAGES)}, found {options.until!r}.")
    found = recipe.read(recipe.find(name), options.data_root, _options_of)
    _check_values(found)
    disk, cores, gpu, memory = found.costs_in_words()
    console.out.print(f"{found.name}: about {disk} of disk; {cores} of CPU cores, or {gpu} of a GPU ({memory}).")
    with log_to(found.folder / "run.log"):
        _run_all(found, options)


def _list(options: RunOptions) -> None:
    recipes = [recipe.read(path, options.data_root, _options_of) for path in recipe.shipped()]
    console.show(recipe.table(recipes))
    for each in recipes:
        console.say(f"{each.name}: {' '.join(each.about.split())}\n")
    console.out.print("Estimated from measured rates of single cores; nothing was measured on a GPU.")
    console.say(f"The files, to copy and change: {recipe.SHIPPED}")


def _options_of(verb: str) -> set[str]:
    """Return the names of a verb's options, without dashes at the front."""
    from unisono.cli import app

    arguments = app[verb].assemble_argument_collection()
    names = {each for argument in arguments for each in argument.names if each.startswith("--")}
    return {name.removeprefix("--") for name in names if not name.startswith("--no-")}


def _check_values(found: RunRecipe) -> None:
    """Read each command line without running it.

    Raises:
        UsageError: a value does not fit; the message says in which line.
    """
    from unisono.cli import app

    for stage in found.stages:
        try:
            app.parse_args(stage.words, exit_on_error=False, print_error=False)
        except CycloptsError as error:
            said = str(error)
            named = [key for key in recipe.keys_of(found.file, stage.verb) if f"--{dashed(key)}" in said]
            raise UsageError(f"{found.file.at(stage.verb, *named[:1])}: {said}") from error


@dataclass
class StageRecord:
    """What is known of a stage of an earlier run."""

    begun: str = ""
    """Digest of what it was begun with."""
    finished: str = ""
    """Digest of what it was finished with."""
    output: str = ""
    """Stamp of its output then."""
    when: str = ""
    seconds: float = 0
    printed: str = ""
    command: str = ""
    outcome: str = field(default="", compare=False)
    """Of this run: done, unchanged, failed."""


def _run_all(found: RunRecipe, options: RunOptions) -> None:
    state_path = found.folder / "run.json"
    state = _read(state_path)
    try:
        for number, stage in enumerate(found.stages, 1):
            done = state.setdefault(stage.name, StageRecord())
            digest = _digest(stage, options.data_root)
            heading = f"{number}/{len(found.stages)} {stage.name}"
            if digest == done.finished and done.output == _stamp(stage, options.data_root):
                done.outcome = "unchanged"
                console.out.print(f"[bold]{heading}[/]: unchanged since {done.when}")
            else:
                if done.begun not in ("", digest) and stage.verb in AGAIN:
                    stage = replace(stage, options={**stage.options, AGAIN[stage.verb]: True})
                command = _shown(stage)
                console.out.print(f"[bold]{heading}[/]")
                console.say(f"$ {command}")
                if not options.dry_run:
                    console.log.debug("%s: %s", heading, command)
                    state[stage.name] = _do(stage, digest, command, done, state, state_path, options.data_root)
            if stage.verb == options.until:
                break
    finally:
        if not options.dry_run:
            write_whole(found.folder / "report.md", _report(found, state))
    if not options.dry_run:
        console.say(f"Report: {found.folder / 'report.md'}")


def _do(
    stage: Stage,
    digest: str,
    command: str,
    done: StageRecord,
    state: dict[str, StageRecord],
    state_path: Path,
    data_root: Path,
) -> StageRecord:
    """Run one stage; keep what it prints."""
    from unisono.cli import app

    done.begun, done.command, done.outcome = digest, command, "failed"
    if done.finished != digest:
        done.finished = ""
    _write(state_path, state)
    began = time.monotonic()
    console.out.record = True
    try:
        app(stage.words, result_action="return_value", exit_on_error=False, print_error=False)
    finally:
        done.printed = console.out.export_text()
        console.out.record = False
        done.seconds = time.monotonic() - began
    done.finished = _digest(stage, data_root) if stage.verb == "download" else digest
    done.output, done.outcome = _stamp(stage, data_root), "done"
    done.when = time.strftime("%Y-%m-%d %H:%M")
    _write(state_path, state)
    return done


def _shown(stage: Stage) -> str:
    return shlex.join(["unisono", *stage.words])


def _digest(stage: Stage, data_root: Path) -> str:
    """Return a digest of what a stage depends on: its command, this version, its inputs."""
    replaced = AGAIN.get(stage.verb)
    options = {name: value for name, value in stage.options.items() if name != replaced}
    inputs: list[Any] = [_stamp_of(path) for path in stage.inputs]
    if stage.verb == "unify":
        inputs.append(_releases(stage, data_root))
    text = json.dumps([__version__, stage.verb, options, inputs], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _stamp(stage: Stage, data_root: Path) -> str:
    """Return what tells whether a stage's output is still as it left it."""
    return _releases(stage, data_root) if stage.verb == "download" else _stamp_of(stage.output)


def _releases(stage: Stage, data_root: Path) -> str:
    """Return a digest of the names, sizes and times of all files of the releases."""
    from unisono.curation.unchanged import digest_of_releases

    raw = data_root / "raw"
    names = stage.datasets or tuple(name for name in registry.names() if (raw / name).is_dir())
    return digest_of_releases(names, data_root)


def _stamp_of(path: Path) -> str:
    try:
        status = path.stat()
    except OSError:
        return "absent"
    return f"{status.st_size} {status.st_mtime_ns}"


def _read(path: Path) -> dict[str, StageRecord]:
    try:
        return {name: StageRecord(**each) for name, each in json.loads(path.read_bytes()).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _write(path: Path, state: dict[str, StageRecord]) -> None:
    write_whole(path, json.dumps({name: vars(each) for name, each in state.items()}, indent=1))


def _report(found: RunRecipe, state: dict[str, StageRecord]) -> str:
    """Return the report: the recipe, what it costs, and what each stage printed."""
    disk, cores, gpu, memory = found.costs_in_words()
    parts = [
        f"# {found.name}",
        " ".join(found.about.split()),
        f"Recipe: `{found.file.path}`. Estimated: {disk} of disk; {cores} of CPU cores, or {gpu} of a GPU ({memory}).",
        "| stage | outcome | finished | seconds |\n|---|---|---|--:|",
    ]
    stages = [(stage, state[stage.name]) for stage in found.stages if stage.name in state]
    for stage, done in stages:
        parts[-1] += f"\n| {stage.name} | {done.outcome or 'not run'} | {done.when} | {done.seconds:,.0f} |"
    for stage, done in stages:
        parts.append(f"## {stage.name}\n\n    $ {done.command}")
        parts.append("\n".join(f"    {line.rstrip()}" for line in done.printed.splitlines()))
    return "\n\n".join(filter(None, parts)) + "\n"
