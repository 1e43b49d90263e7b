"""The `unisono` command: the names of its verbs, each bound to its module in `commands/` when it is called."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from unisono import __version__
from unisono.base.errors import UnisonoError

VERBS = {
    "download": "Fetch datasets from their official sources into `<data-root>/raw/<dataset>/`.",
    "unify": "Make one unified file out of the releases on disk.",
    "run": "Run a recipe from beginning to end, doing only what has changed: download, unify, prepare, train, evaluate.",
    "describe": "Show what a unified file holds: counts, hours, captions, words, licences, and what its parts share.",
    "check": "Look for silence, clipping, wrong durations, and captions that cannot be meant so.",
    "dedupe": "Merge the records of one recording: captions with their origins, the best audio.",
    "licenses": "Show what the licences of a mix, or of what a checkpoint was trained on, allow; write the attributions.",
    "leaks": "Find what a benchmark shares with the data that a model is trained on; exit code 1 if there is anything.",
    "convert": "Bring a unified file into the formats of other tools, and back.",
    "prepare": "Embed the tracks of a unified file into `embeddings.h5`.",
    "train": "Train a model that puts descriptions where the music is.",
    "sweep": "Train with many combinations of options and several seeds, and compare them on the val split.",
    "evaluate": "Measure how well a model finds held-out music by its descriptions, and descriptions by their music.",
    "compare": "Compare results of `unisono evaluate`, query by query, with tests of significance.",
    "reference": "Show published results of text-to-music retrieval, each with its protocol and its source.",
    "search": "Find the tracks that fit a description best; several descriptions are searched for one after the other.",
    "serve": "Open a web page and an API to search by description and listen: for this machine, or for a network.",
    "export": "Write a trained model as safetensors with a description, and its text tower as ONNX.",
}
"""Verb -> help, in the order of work; a verb is a function of its name in `unisono.commands.<verb>`."""
EXAMPLES = {
    "download": "song_describer fma --fma-size small",
    "unify": "--datasets song_describer folder:~/Music --hold-out song_describer",
    "run": "open-research --dry-run",
    "describe": "data/unified_dataset.json --html card.html",
    "check": "data/unified_dataset.json --drop silent damaged",
    "dedupe": "data/unified_dataset.json --audio",
    "licenses": "data/unified_dataset.json --attribution ATTRIBUTION.md",
    "leaks": "data/train.json data/song_describer.json --match audio --remove",
    "convert": "data/unified_dataset.json shards --to webdataset",
    "prepare": "--encoders muq mert",
    "train": "--audio-encoder muq",
    "sweep": "sweep.toml --jobs 2",
    "evaluate": "--checkpoint checkpoints/muq_best.pt --report report.html",
    "compare": "one_test.json other_test.json",
    "reference": "--benchmark song-describer",
    "search": '"a calm acoustic song with guitar" --checkpoint checkpoints/muq_best.pt',
    "serve": "--host 0.0.0.0 --allow-host nas.local",
    "export": "--checkpoint checkpoints/muq_best.pt --output muq",
    "captions preview": "data/unified_dataset.json --captions varied",
    "encoders list": "",
    "encoders fetch": "muq minilm",
    "library add": "~/Music",
    "library sync": "--dry-run",
    "library status": "",
    "library watch": "--every 60",
    "library remove": "~/Music",
    "library undo": "",
    "models list": "",
    "models verify": "clap",
    "playlist add": "'Quiet evening' 'calm acoustic guitar' --not vocals --to subsonic:'Quiet evening'",
    "playlist list": "",
    "playlist refresh": "",
    "playlist remove": "'Quiet evening'",
}
"""Verb -> the words that follow it in the example at the end of its help."""
GROUPS = {
    "captions": (
        "Look at the ways of making captions.",
        {"preview": "Show ten tracks with the captions they have and those they would get."},
    ),
    "encoders": (
        "List the encoders, and fetch their weights.",
        {
            "list": "Show what the encoders are, what their weights allow, and whether those are on this machine.",
            "fetch": "Fetch the weights of encoders from their publishers' repositories on the Hugging Face Hub, verified.",
        },
    ),
    "library": (
        "Follow your own music, wherever it lies, so that it can be searched.",
        {
            "add": "Add a folder or a media server to the library.",
            "sync": "Bring the library up to date: embed what is new, follow what moved, remove what is gone.",
            "status": "Show the folders and servers of the library, how much is embedded, and what cannot be.",
            "watch": "Keep the library up to date until Ctrl-C.",
            "remove": "Remove a folder or server from the library; its files stay as they are.",
            "undo": "Bring back the tracks that the last removal took out of the library.",
        },
    ),
    "models": (
        "The models that find music without any training.",
        {
            "list": "Show what the models are, their languages and licences, and whether their weights are on this machine.",
            "verify": "Fetch a model's weights if they are not here, load and test them, and write a record to send back.",
        },
    ),
    "playlist": (
        "Save searches whose playlists are kept up to date, in a file or on a media server.",
        {
            "add": "Save a search, and write its playlist now and at each `unisono library sync`.",
            "list": "Show the saved searches, and where their playlists are kept.",
            "refresh": "Search again, and write the playlists.",
            "remove": "Forget a saved search; its playlist stays.",
        },
    ),
}
"""Group -> help, and the help of its verbs; a verb is a function `<verb>_<group>` in `unisono.commands.<group>`."""

app = App(
    name="unisono",
    help="Turn any mix of music-caption datasets into one training set, and train models that find music by description.",
    version=__version__,
    help_format="plaintext",  # the list of commands: loading what renders Markdown takes a third of its time
    default_parameter=Parameter(consume_multiple=True, negative_iterable=""),
    suppress_keyboard_interrupt=False,
)


def _add(parent: App, verb: str, place: str, text: str, sort_key: int | None = None) -> None:
    """Bind a verb to its function, given as `module:function`; its full name is in EXAMPLES."""
    example = f"Example: unisono {verb} {EXAMPLES[verb]}".rstrip()
    parent.command(
        f"unisono.commands.{place}",
        name=verb.split()[-1],
        help=text,
        help_epilogue=example,
        help_format="markdown",
        sort_key=sort_key,
    )


for _place, (_verb, _help) in enumerate(VERBS.items()):
    _add(app, _verb, f"{_verb}:{_verb}", _help, _place)
for _group, (_help, _verbs) in GROUPS.items():
    _app = App(name=_group, help=_help, help_format="markdown", sort_key=len(VERBS))
    app.command(_app)
    for _verb, _help in _verbs.items():
        _add(_app, f"{_group} {_verb}", f"{_group}:{_verb}_{_group}", _help)


app.register_install_completion_command(help="Install completion for this shell.", sort_key=len(VERBS) + 1)


@app.meta.default
def _launch(
    *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    config: Annotated[
        Path | None, Parameter(help="Options out of a .toml file, or of an earlier run's report.")
    ] = None,
    quiet: Annotated[bool, Parameter(negative="", help="Show results, warnings and errors only.")] = False,
    verbose: Annotated[bool, Parameter(negative="", help="Show debugging messages.")] = False,
    debug: Annotated[bool, Parameter(negative="", help="Show tracebacks and debugging messages.")] = False,
) -> int:
    from unisono.commands import console  # rich takes a while to load

    console.configure(quiet=quiet, verbose=verbose or debug)
    try:
        if config is not None:
            from unisono.commands.settings import config_of

            app.config = (config_of(config, app.parse_commands(tokens)[0]),)
        app(tokens)
    except UnisonoError as error:
        return console.failed(error, debug=debug)
    except KeyboardInterrupt:
        console.err.print("Interrupted. What was finished is kept; run the same command again to go on.")
        return 130
    except Exception as error:
        return console.failed_unexpectedly(error, debug=debug)
    return console.finished()


def main(tokens: Sequence[str] | None = None) -> None:
    """Run a command line (by default the program's own) and exit with its code: 0, 1 failed, 2 wrong usage."""
    try:
        code = app.meta(tokens, result_action="return_value")
    except UnisonoError as error:  # while a verb's module is imported: a package that it needs is not installed
        from unisono.commands import console

        code = console.failed(error, debug="--debug" in (sys.argv if tokens is None else tokens))
    sys.exit(code)
