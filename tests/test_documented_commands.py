"""The command lines of README and docs: each can be typed, and all that can run without a network are run, in order.

README is followed first, in a folder that holds what its reader would have downloaded; each page begins where README ends.
A page lists alternatives: `--overwrite` or a folder of its own is added to those that would replace the output of another.
"""

import json
import os
import re
import shlex
import shutil
from pathlib import Path

import pytest

from tests import loaded
from tests.conftest import REPOSITORY
from tests.releases import audio, fma, jamendo_max_caps, mtg_jamendo, musicbench, song_describer
from tests.retrieval.models.tagged import write_tagged
from tests.sources.own.test_folder import id3
from unisono.cli import app

BUILT = {
    "fma": fma,
    "jamendo_max_caps": jamendo_max_caps,
    "mtg_jamendo": mtg_jamendo,
    "musicbench": musicbench,
    "song_describer": song_describer,
}
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
SUBSTITUTED = {
    "--encoders muq mert": "--encoders dsp",
    "--encoders muq": "--encoders dsp",
    "--encoders musicnn dsp": "--encoders dsp",
    "--audio-encoder muq": "--audio-encoder dsp",
    "muq_best": "dsp_best",
    "mert_best": "dsp_best",
    "muq_last": "dsp_last",
    "hf:owner/name": "",
    "data/embeddings_10k": "data/processed_embeddings",
    "--use-musicbench": "--use-musicbench --encoders dsp",
    "--epochs 20": "--epochs 1",
}
"""What is not on this machine -> what stands for it: an encoder that needs no weights, a dataset of the Hub left out."""
ONLY_PARSED = {
    r"download (?!--list)": "needs the network",
    r"encoders fetch": "needs the network",
    r"subsonic:|on the server|unisono playlist": "needs a media server, or a library of its music",
    r"unisono sweep|run mine.toml": "needs a file that the page shows; tests/commands/ runs such files",
    r"run (demo|open)": "needs releases of the network, or the demo's",
    r"library watch": "runs until Ctrl-C",
    r"--captions llm": "needs a language model",
    r"--datasets hf:": "needs a dataset of the Hub",
    r"--serve|unisono serve": "serves until Ctrl-C, or asks for a password",
    r"models verify|--(encoders|model) (clap|muq_mulan|clamp3)": "needs weights of the Hub",
    r"--model tags": "reads what a line of the same page wrote, into an output folder of its own",
    r"--lora|--layers|--tune-audio|data/tuned": "needs an encoder with weights",
    r"data/part1": "needs several files of embeddings",
    r"--executor ray": "starts a cluster, which other tests do",
    r"--path-map": "needs storage",
    r"unisono export": "exports a model, as tests/commands/test_export.py does",
    r"--match audio": "listens to all files, which takes long",
    r"evaluate .*--benchmark": "needs the whole release",
    r"evaluate .*--dataset-file": "made from the tracks that the checkpoint was trained on, in a folder this small",
}
"""Pattern -> why lines that match it are parsed, but not run."""


def lines_of(page: Path) -> list[str]:
    """Return the command lines of a page's blocks of code."""
    text = re.sub(r"\\\n\s*", " ", page.read_text(encoding="utf-8"))
    return re.findall(r"^(?:    |\$ )(unisono .*)$", text, re.M)


def words_of(line: str) -> list[str]:
    return shlex.split(line, comments=True)[1:]


LINES = [(page, line) for page in PAGES for line in lines_of(page)]


def test_there_are_lines_in_readme_and_most_pages() -> None:
    assert len(LINES) > 60 and len({page for page, _ in LINES}) > 10


@pytest.mark.parametrize(("page", "line"), LINES, ids=[f"{page.stem}-{at}" for at, (page, _) in enumerate(LINES)])
def test_each_line_can_be_typed(page: Path, line: str) -> None:
    app.parse_args(words_of(line), exit_on_error=False, print_error=False)


def runnable(page: Path) -> list[list[str]]:
    found: list[list[str]] = []
    for line in lines_of(page):
        if any(re.search(pattern, line) for pattern in ONLY_PARSED):
            continue
        for what, instead in SUBSTITUTED.items():
            line = line.replace(what, instead)
        if re.fullmatch(r"unisono prepare(?!.*--encoders).*", line):
            line = line.replace("unisono prepare", "unisono prepare --encoders dsp")
        words = words_of(line)
        if page.name != "README.md":  # a page's lines are alternatives: the next replaces what the last one made
            if words[0] == "unify" and "--output" not in words:
                words.append("--overwrite")
            if words[0] == "prepare" and not {"--output-dir", "--prune"} & set(words):
                words += ["--output-dir", f"data/of-line-{len(found)}"]
            if words[0] == "train" and "--resume" not in words:
                words.append("--overwrite")
        found.append(words)
    return found


def follow(page: Path, folder: Path) -> None:
    """Run a page's lines in a folder, one after the other."""
    lines = runnable(page)
    done = loaded.python(
        *("-m", "tests.quick", REPOSITORY / "tests/extras_driver.py"),
        json.dumps(lines),
        cwd=folder,
        env={
            **os.environ,
            "HOME": str(folder),
            "PYTHONPATH": f"{REPOSITORY / 'src'}{os.pathsep}{REPOSITORY}",
            "HF_HUB_OFFLINE": "1",
            "COLUMNS": "200",
        },
    )
    assert done.returncode == 0, done.stderr[-3000:]
    results = json.loads(done.stdout.rsplit("RESULTS ", 1)[1])
    failed = [each for each in results if each["code"] not in ((0, 1) if each["words"][0] == "leaks" else (0,))]
    assert not failed, "\n".join(
        f"--- {' '.join(each['words'])}: {each['code']}\n{each['said'][-1500:]}" for each in failed
    )


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reader's folder after README."""
    folder = tmp_path_factory.mktemp("reader")
    for name, release in BUILT.items():
        release.build(folder / "data/raw" / name)
    for number in range(24):
        path = folder / f"Music/{number}.mp3"
        audio.tone(path, 4, 200 + 40 * number)
        tags = {"TIT2": f"Piece {number}", "TPE1": f"Player {number}", "TCON": ("Jazz", "Rock", "Folk")[number % 3]}
        path.write_bytes(id3(tags) + path.read_bytes())
    rows = [f"Music/{number}.mp3,A slow waltz for {number} violins\n" for number in range(24)]
    (folder / "captions.csv").write_text("file,text\n" + "".join(rows))
    (folder / "my_captions.toml").write_text('table = "captions.csv"\naudio = "{file}"\n[columns]\ncaption = "text"\n')
    follow(PAGES[0], folder)
    return folder


@pytest.mark.parametrize("page", [page for page in PAGES[1:] if runnable(page)], ids=lambda page: page.stem)
def test_the_lines_of_each_page_run_in_order(page: Path, followed: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(followed, tmp_path / "reader")
    text = (folder / "data/unified_dataset.json").read_text().replace(str(followed), str(folder))
    for name in ("unified_dataset", "unified", "train", "earlier"):
        (folder / f"data/{name}.json").write_text(text)
    follow(page, folder)


@pytest.mark.parametrize("name", ["search", "evaluate"])
def test_the_python_of_a_page_runs(name: str, followed: Path, tmp_path: Path) -> None:
    text = (REPOSITORY / "docs" / f"{name}.md").read_text(encoding="utf-8")
    code = "\n".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL)).replace("muq_best", "dsp_best")
    tagged = write_tagged(tmp_path / "tagged")
    code = code.replace(
        '"calm harp, no drums", data="data/processed_embeddings"', f'"calm harp, no drums", data="{tagged}"'
    )
    script = tmp_path / "page.py"
    script.write_text(code, encoding="utf-8")
    done = loaded.python(script, cwd=shutil.copytree(followed, tmp_path / "reader"))
    assert done.returncode == 0, done.stderr
    assert name != "search" or "harp {" in done.stdout
