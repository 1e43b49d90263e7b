"""`python -m demo`: render music, make three releases of it, and run the product on them from beginning to end."""

import json
import shlex
import sys
import time
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from demo import commands, making, story, targets
from unisono.base.cores import available_cores
from unisono.base.errors import UnisonoError
from unisono.commands import console

app = App(
    name="demo",
    help="From rendered music to an answered query, with the product's own commands.",
    suppress_keyboard_interrupt=False,
)

SEARCHES = ("slow solemn choir", "fast solo fiddle dance", "a brass quartet playing a hymn")
EPOCHS = 40
FAST_EPOCHS = 10
RECIPE = ("--projection", "joint", "--audio-scaling", "whiten")
"""Options that suit a few hundred clips: few dimensions, and a joint space."""


@app.default
def main(
    *,
    clips: int = 640,
    seed: int = 42,
    root: Path = Path("data/demo"),
    fast: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Run the demo.

    Args:
        clips: Described excerpts to render; each composition is used for four.
        seed: Seed of all random choices.
        root: Folder for all files that the demo makes.
        fast: Train briefly and do not require the targets, for tests.
    """
    began = time.monotonic()
    _heading("1. Music from scores, laid out as three official releases")
    _say_made(making.make(root, clips, seed, available_cores()), root)
    embeddings, checkpoints = root / "processed_embeddings", root / "checkpoints"
    checkpoint = checkpoints / "musicnn_best.pt"
    common = ["--data-root", str(root)]

    _heading("2. One training set out of three datasets")
    console.out.print("The real Song Describer is for evaluation only; its replacement here may be trained on.")
    commands.run(["unify", *common, "--seed", str(seed)])
    _heading("3. Embeddings of the audio, by two pretrained music taggers")
    commands.run(["prepare", *common, "--encoders", "musicnn", "tags", "--seed", str(seed)])
    test = targets.held_out(embeddings, root / "raw", making.read_truth(root))
    console.out.print(f"Held out for the test: {len(test.works)} compositions, none of them in training.")

    _heading("4. A model that puts descriptions where the music is")
    epochs = FAST_EPOCHS if fast else EPOCHS
    training = ["--audio-encoder", "musicnn", "--epochs", str(epochs), *RECIPE, "--seed", str(seed)]
    commands.run(["train", *common, *training, "--checkpoint-dir", str(checkpoints), "--overwrite"])
    _heading("5. How well it finds music that it has not heard")
    models = {"tags": ["--model", "tags"], "trained": ["--checkpoint", str(checkpoint)]}
    results = {name: checkpoints / f"{name}_test.json" for name in models}
    for name, chosen in models.items():
        commands.run(["evaluate", *common, *chosen, "--output", str(results[name])])
    _heading("6. Queries")
    console.out.print(
        "Titles end with the players; the models do not see them. A slash separates the two excerpts of a file."
    )
    outcomes, answers = {}, {}
    for name, chosen in models.items():
        search = [*chosen, *common, "--split", "test"]
        commands.run(["search", *SEARCHES, *search, "--top", "3"])
        instruments = test.instruments(targets.BARS[name].instruments)
        asked = [*SEARCHES, *targets.queries(instruments), *search, "--top", str(targets.TOP), "--json"]
        answers[name] = commands.run(["search", *asked], capture=True)
        precise = None
        if instruments:
            found = json.loads(answers[name])[len(SEARCHES) :]
            precise = targets.precision(found, instruments, test, root / "raw")
        outcomes[name] = targets.Outcome(targets.recall_at_10(results[name])[0], precise)

    _heading("7. The outcome")
    _, queries, candidates = targets.recall_at_10(results["trained"])
    shown, all_hold = targets.table(outcomes)
    console.out.print(shown)
    heard = f"{candidates:,} excerpts of {len(test.works)} compositions"
    console.out.print(f"recall@10: {queries:,} captions, searched among {heard} that the trained model has not heard.")
    console.out.print("`tags` was trained on none of this music; it is asked for the instruments among its tags.")
    for name, outcome in outcomes.items():
        _say_precision(name, outcome.precise)
    page = story.write(root, SEARCHES, answers, outcomes, commands.shown())
    console.out.print(f"{time.monotonic() - began:.0f} s altogether. To listen to the answers, open:")
    console.out.print(f"[bold cyan]{page.resolve().as_uri()}[/]", soft_wrap=True)
    console.out.print("Ask your own:")
    _show_line("search", "gentle harp", "--checkpoint", str(checkpoint), *common)
    console.out.print("See what edits of captions and audio change, on a page:")
    report = ["--report", str(root / "robust.html")]
    _show_line("evaluate", "--checkpoint", str(checkpoint), *common, "--robustness", "--hubness", "csls", *report)
    return 0 if all_hold or fast else 1


def _show_line(*words: str) -> None:
    line = shlex.join([commands.shown(), *words])
    console.out.print(f"[bold cyan]$ {console.escape(line)}[/]", soft_wrap=True)


def _heading(text: str) -> None:
    console.out.print()
    console.out.rule(f"[bold]{text}[/]", align="left")


def _say_precision(name: str, precise: targets.Precision | None) -> None:
    if precise is None:
        console.out.print("There are too few excerpts to measure precision; ask for more with --clips.")
        return
    shares = ", ".join(f"{instrument} {share:.1f}" for instrument, share in precise.by_instrument.items())
    console.out.print(f"precision@{targets.TOP}, {name}: {shares}")


def _say_made(counts: dict[str, Any], root: Path) -> None:
    console.out.print(f"{counts['works']} compositions, each arranged four times, below {root / 'raw'}:")
    for dataset, number in counts["clips"].items():
        broken = counts["broken"][dataset]
        console.out.print(f"  {dataset:<17} {number:4} described excerpts, {broken} broken tracks")


if __name__ == "__main__":
    console.configure()
    try:
        sys.exit(app(result_action="return_value"))
    except UnisonoError as error:
        console.err.print(f"[bold red]Error:[/] {console.escape(error.message)}", soft_wrap=True)
        if error.hint:
            console.err.print(console.escape(error.hint), soft_wrap=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        console.err.print("Interrupted. Finished work is kept; the same command continues from there.")
        sys.exit(130)
