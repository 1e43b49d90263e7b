"""The `unisono` command: one thin function per verb. Each takes its stage's options and hands over to its `run`.

Stages are imported inside the functions, so that `unisono --help` loads none of them.
"""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from unisono import __version__, console
from unisono.attribution.options import LicensesOptions
from unisono.captions.options import PreviewOptions
from unisono.check.options import CheckOptions
from unisono.dedupe.options import DedupeOptions
from unisono.describe.options import DescribeOptions
from unisono.download.options import DownloadOptions
from unisono.encoders.options import FetchOptions
from unisono.errors import UnisonoError, UsageError
from unisono.evaluate.options import EvaluateOptions
from unisono.exchange.options import ConvertOptions
from unisono.export.options import ExportOptions
from unisono.leaks.options import LeaksOptions
from unisono.prepare.options import PrepareOptions
from unisono.search.options import SearchOptions
from unisono.train.options import TrainOptions
from unisono.unify.options import UnifyOptions

app = App(
    name="unisono",
    help="Turn any mix of music-caption datasets into one training set, and train models that find music by description.",
    version=__version__,
    help_format="plaintext",  # the list of commands: loading what renders Markdown takes a third of its time
    default_parameter=Parameter(consume_multiple=True, negative_iterable=""),
    suppress_keyboard_interrupt=False,
)


@app.command
def download(*names: str, options: DownloadOptions = DownloadOptions()) -> None:  # noqa: B008 - frozen
    """Fetch datasets from their official sources into `<data-root>/raw/<dataset>/`."""
    from unisono.download.run import run

    run(replace(options, datasets=(*names, *options.datasets)))


@app.command
def unify(options: UnifyOptions = UnifyOptions()) -> None:  # noqa: B008
    """Make one unified file out of the releases on disk."""
    from unisono.unify.run import run

    run(options)


@app.command
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
    from unisono.prepare.run import run

    run(_unify_musicbench(options) if use_musicbench else options)


def _unify_musicbench(options: PrepareOptions) -> PrepareOptions:
    """Run `unify` on MusicBench; give the options that make `prepare` read what it wrote."""
    from unisono.unify.unchanged import run_if_changed

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


@app.command
def train(options: TrainOptions = TrainOptions()) -> None:  # noqa: B008
    """Train a model that puts descriptions where the music is."""
    from unisono.train.run import run

    run(options)


@app.command
def evaluate(options: EvaluateOptions) -> None:
    """Measure how well a model finds held-out music by its descriptions, and descriptions by their music."""
    from unisono.evaluate.run import run

    run(options)


@app.command
def compare(first: Path, second: Path, *, seed: int = 42) -> None:
    """Compare two results of `unisono evaluate`, query by query.

    Parameters
    ----------
    first
        The JSON of one model.
    second
        The JSON of the other, evaluated on the same music.
    seed
        Seed of the bootstrap.
    """
    from unisono.evaluate.compare import run

    run(first, second, seed)


@app.command
def search(*queries: str, options: SearchOptions) -> None:
    """Find the tracks that fit a description best; several descriptions are searched for one after the other."""
    from unisono.search.run import run

    run(queries, options)


@app.command
def export(options: ExportOptions) -> None:
    """Write a trained model as safetensors with a description, and its text tower as ONNX."""
    from unisono.export.run import run

    run(options)


@app.command
def leaks(trained_on: Path, benchmark: Path, *, options: LeaksOptions = LeaksOptions()) -> None:  # noqa: B008
    """Find what a benchmark shares with the data that a model is trained on; exit code 1 if there is anything.

    Parameters
    ----------
    trained_on
        Unified file that is trained on.
    benchmark
        Unified file that is evaluated on.
    """
    from unisono.leaks.run import run

    run(trained_on, benchmark, options)


@app.command
def check(path: Path, *, options: CheckOptions = CheckOptions()) -> None:  # noqa: B008
    """Look for silence, clipping, wrong durations, and captions that cannot be meant so.

    Parameters
    ----------
    path
        Unified file.
    """
    from unisono.check.run import run

    run(path, options)


@app.command
def dedupe(path: Path, *, options: DedupeOptions = DedupeOptions()) -> None:  # noqa: B008
    """Merge the records of one recording: captions with their origins, the best audio.

    Parameters
    ----------
    path
        Unified file.
    """
    from unisono.dedupe.run import run

    run(path, options)


@app.command
def licenses(path: Path, *, options: LicensesOptions = LicensesOptions()) -> None:  # noqa: B008
    """Show what the licences of a mix, or of what a checkpoint was trained on, allow; write the attributions.

    Parameters
    ----------
    path
        Unified file, or a checkpoint (.pt).
    """
    from unisono.attribution.run import run

    run(path, options)


captions = App(name="captions", help="Look at the ways of making captions.")
app.command(captions)


@captions.command(name="preview")
def preview_captions(path: Path, *, options: PreviewOptions = PreviewOptions()) -> None:  # noqa: B008
    """Show ten tracks with the captions they have and those they would get.

    Parameters
    ----------
    path
        Unified file.
    """
    from unisono.captions.preview import run

    run(path, options)


@app.command
def describe(path: Path, *, options: DescribeOptions = DescribeOptions()) -> None:  # noqa: B008
    """Show what a unified file holds: counts, hours, captions, words, licences, and what its parts share.

    Parameters
    ----------
    path
        Unified file.
    """
    from unisono.describe.run import run

    run(path, options)


@app.command
def convert(source: Path, target: Path, *, options: ConvertOptions = ConvertOptions()) -> None:  # noqa: B008
    """Bring a unified file into the formats of other tools, and back.

    Parameters
    ----------
    source
        Unified file (.json, .jsonl, .parquet), .csv, or a folder that this command wrote.
    target
        File, known by its ending, or with --to a new folder.
    """
    from unisono.exchange.run import run

    run(source, target, options)


encoders = App(name="encoders", help="List the encoders, and fetch their weights.")
app.command(encoders)


@encoders.command(name="list")
def list_encoders() -> None:
    """Show what the encoders are, what their weights allow, and whether those are on this machine."""
    from unisono.encoders.run import list_encoders

    list_encoders()


@encoders.command(name="fetch")
def fetch_encoders(*names: str, options: FetchOptions = FetchOptions()) -> None:  # noqa: B008
    """Fetch the weights of encoders from their publishers' repositories on the Hugging Face Hub, verified."""
    from unisono.encoders.run import fetch

    fetch(names, options)


for _name in app:
    if not _name.startswith("-"):
        app[_name].help_format = "markdown"


@app.meta.default
def _launch(
    *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    debug: Annotated[bool, Parameter(negative="", help="Show tracebacks and debugging messages.")] = False,
) -> int:
    console.configure(debug=debug)
    try:
        app(tokens)
    except UnisonoError as error:
        if debug:
            raise
        console.err.print(f"[bold red]Error:[/] {console.escape(error.message)}", soft_wrap=True)
        if error.hint:
            console.err.print(console.escape(error.hint), soft_wrap=True)
        return error.exit_code
    except KeyboardInterrupt:
        console.err.print("Interrupted. What was finished is kept; run the same command again to go on.")
        return 130
    except Exception as error:
        if debug:
            raise
        found = console.escape(f"{type(error).__name__}: {error}")
        console.err.print(f"[bold red]Unexpected error:[/] {found}", soft_wrap=True)
        console.err.print("This is a fault of unisono. Run the same command with --debug to see where it happened.")
        return 1
    return 0


def main(tokens: Sequence[str] | None = None) -> None:
    """Run a command line (by default the program's own) and exit with its code: 0, 1 failed, 2 wrong usage."""
    sys.exit(app.meta(tokens, result_action="return_value"))
