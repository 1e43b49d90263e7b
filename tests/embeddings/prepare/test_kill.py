"""Whatever kills a run, the next one ends in the very bytes of a run that nothing disturbed."""

import hashlib
import os
import signal
import time
from pathlib import Path

import pytest

from tests.embeddings.prepare.conftest import Folder
from tests.loaded import python, start
from unisono.embeddings.file import open_embeddings

REPOSITORY = Path(__file__).parents[3]
KILLS = 30


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def twenty_tracks(folder: Folder) -> Folder:
    for number in range(18):
        folder.add(f"t{number:02}", 2.0 + number % 4, dataset="d", alt_captions=["a", "b"][: number % 3])
    folder.add("broken", broken="cut mp3")
    folder.add("silent", broken="silent")
    folder.write()
    return folder


def command(folder: Folder, output: str, *more: str) -> list[str]:
    arguments = ["--dataset-file", str(folder.file), "--output-dir", str(folder.root / output), "--encoders", "dsp"]
    return [str(REPOSITORY / "prepare_dataset.py"), *arguments, *more]


@pytest.mark.usefixtures("quick_musicnn")
def test_thirty_kills_at_random_moments(twenty_tracks: Folder) -> None:
    undisturbed = digest(twenty_tracks.prepare("whole", encoders=("dsp", "musicnn")))
    arguments = [str(twenty_tracks.file), str(twenty_tracks.root / "killed"), str(KILLS), "1"]
    done = python("-m", "tests.embeddings.prepare.killer", *arguments, cwd=REPOSITORY)
    assert done.returncode == 0, done.stderr
    before, embedding, assembling = map(int, done.stdout.split())
    assert before + embedding + assembling == KILLS
    assert embedding >= 3, f"hardly any kill hit the work itself: {done.stdout}"
    assert digest(twenty_tracks.root / "killed" / "embeddings.h5") == undisturbed
    assert not list((twenty_tracks.root / "killed").rglob("*.partial"))


@pytest.mark.parametrize(
    "moment",
    ["EmbeddingsWriter.add_embeddings", "sync", "Path.replace"],
)
def test_kills_during_the_assembly(twenty_tracks: Folder, moment: str) -> None:
    undisturbed = digest(twenty_tracks.prepare("whole"))
    script = f"""
import os, signal, sys
from pathlib import Path
from unisono.embeddings import file as embeddings
from unisono.base import files
from unisono.embeddings.file import EmbeddingsWriter
from unisono.cli import main
holder_name, _, name = "{moment}".rpartition(".")
holder = {{"EmbeddingsWriter": EmbeddingsWriter, "Path": Path, "": files}}[holder_name]
original = getattr(holder, name)
def killing(*arguments, **more):
    if "embeddings.h5" in str(arguments[0]) or holder is EmbeddingsWriter:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(*arguments, **more)
setattr(holder, name, killing)
main(["prepare", *sys.argv[1:]])
"""
    arguments = command(twenty_tracks, "killed")[1:]
    killed = python("-c", script, *arguments)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not (twenty_tracks.root / "killed" / "embeddings.h5").exists()
    assert list((twenty_tracks.root / "killed").glob(".embeddings.h5.*.partial"))
    assert digest(twenty_tracks.prepare("killed")) == undisturbed
    assert names_in(twenty_tracks.root / "killed") == names_in(twenty_tracks.root / "whole")


@pytest.mark.parametrize("moment", ["EmbeddingsWriter.seal", "sync", "Path.unlink"])
def test_kills_of_a_run_that_prunes(twenty_tracks: Folder, moment: str) -> None:
    """Half of the tracks go, one that is new comes; the file is the old one or the new one, never anything else."""
    more = twenty_tracks.add("new", 3.0)
    old = digest(twenty_tracks.prepare("killed"))
    twenty_tracks.write([*twenty_tracks.records[:9], more])
    undisturbed = digest(twenty_tracks.prepare("whole"))
    holder = {"EmbeddingsWriter": "EmbeddingsWriter", "Path": "Path", "": "files"}[moment.rpartition(".")[0]]
    name = moment.rpartition(".")[2]
    script = f"""
import os, signal, sys
from pathlib import Path
from unisono.base import files
from unisono.embeddings.file import EmbeddingsWriter
from unisono.cli import main
original = {holder}.{name}
def killing(*arguments, **more):
    place = str(arguments[0])
    if "{holder}" == "EmbeddingsWriter" or "embeddings.h5" in place or place.endswith(".safetensors"):
        os.kill(os.getpid(), signal.SIGKILL)
    return original(*arguments, **more)
{holder}.{name} = killing
main(["prepare", "--prune", *sys.argv[1:]])
"""
    arguments = command(twenty_tracks, "killed")[1:]
    killed = python("-c", script, *arguments)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    path = twenty_tracks.root / "killed" / "embeddings.h5"
    assert digest(path) == (undisturbed if moment == "Path.unlink" else old)
    assert digest(twenty_tracks.prepare("killed", prune=True)) == undisturbed
    assert names_in(path.parent) == names_in(twenty_tracks.root / "whole")


@pytest.mark.parametrize("nth", [0, 3])
def test_kills_while_the_shards_are_removed(twenty_tracks: Folder, nth: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is there by then; the next run has nothing to compute and removes the rest."""
    undisturbed = digest(twenty_tracks.prepare("whole"))
    twenty_tracks.write(twenty_tracks.records[:7])
    twenty_tracks.prepare("killed")
    twenty_tracks.write()
    script = f"""
import os, signal, sys
from pathlib import Path
from unisono.embeddings.prepare import embed
from unisono.cli import main
embed.ROWS_A_SHARD = 5
left = [{nth}]
for name in ("unlink", "rmdir"):
    def killing(path, *arguments, original=getattr(Path, name), **more):
        if "shards" in str(path) and not path.name.endswith(".partial"):
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= 1
        return original(path, *arguments, **more)
    setattr(Path, name, killing)
main(["prepare", *sys.argv[1:]])
"""
    arguments = command(twenty_tracks, "killed")[1:]
    killed = python("-c", script, *arguments)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert digest(twenty_tracks.root / "killed" / "embeddings.h5") == undisturbed
    assert (twenty_tracks.root / "killed" / "shards").is_dir()
    monkeypatch.setattr("unisono.embeddings.encoders.audio.build", None)  # there is nothing to compute
    assert digest(twenty_tracks.prepare("killed")) == undisturbed
    assert names_in(twenty_tracks.root / "killed") == names_in(twenty_tracks.root / "whole")


def names_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_a_kill_while_a_complete_file_is_replaced_leaves_the_old_one(twenty_tracks: Folder) -> None:
    twenty_tracks.write(twenty_tracks.records[:12])
    old = digest(twenty_tracks.prepare())
    twenty_tracks.write()
    script = (
        "import os, sys\nfrom unisono.embeddings.file import EmbeddingsWriter\nfrom unisono.cli import main\n"
        "EmbeddingsWriter.add_embeddings = lambda *_: os.kill(os.getpid(), 9)\n"
        "main(['prepare', *sys.argv[1:]])"
    )
    python("-c", script, *command(twenty_tracks, "out")[1:])
    assert digest(twenty_tracks.root / "out" / "embeddings.h5") == old
    with open_embeddings(twenty_tracks.prepare()) as file:
        assert len(file.ids) == 18


def test_an_interruption_says_how_to_go_on(twenty_tracks: Folder) -> None:
    process = start(*command(twenty_tracks, "out"))
    log = twenty_tracks.root / "out" / "prepare.log"
    while process.poll() is None and not (log.exists() and "are missing" in log.read_text()):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "run the same command again to go on" in errors
    assert "Traceback" not in errors
    assert not (twenty_tracks.root / "out" / "embeddings.h5").exists()
    assert digest(twenty_tracks.prepare()) == digest(twenty_tracks.prepare("whole"))


@pytest.mark.parametrize("limit", [2_000, 12_000], ids=["in the shards", "in the assembly"])
def test_a_full_disk_leaves_nothing_half_written(twenty_tracks: Folder, limit: int) -> None:
    """A limit on the size of files stands for the full disk: the system refuses to write on."""

    def files() -> dict[str, str]:
        found = (twenty_tracks.root / "out").rglob("*")
        return {path.name: digest(path) for path in found if path.suffix in (".h5", ".partial")}

    if limit > 10_000:  # a shard of the last few rows can be written, the whole does not fit
        twenty_tracks.write(twenty_tracks.records[:15])
        twenty_tracks.prepare()
        twenty_tracks.write()
    before = files()
    done = python(*command(twenty_tracks, "out"), most_bytes=limit)
    assert done.returncode == 1, done.stderr
    assert "Cannot write" in done.stderr or "No space left" in done.stderr
    assert "Traceback" not in done.stderr
    assert files() == before
    assert digest(twenty_tracks.prepare()) == digest(twenty_tracks.prepare("whole"))


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_folder_that_may_not_be_written_is_named(twenty_tracks: Folder) -> None:
    out = twenty_tracks.root / "out"
    out.mkdir(mode=0o500)
    done = python(*command(twenty_tracks, "out"))
    assert done.returncode == 1
    assert f"Cannot write {out}" in done.stderr.replace("\n", "")
