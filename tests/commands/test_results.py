"""What commands print: JSON alone, tables and bars that fit a terminal, plurals, rates, examples, exit codes."""

import errno
import io
import json
import os
import re
import shlex
from pathlib import Path

import pytest
from rich.progress import Progress

from tests.commands.test_cli import EVERY_VERB, cli
from tests.conftest import REPOSITORY
from tests.making import make_track
from unisono.base.table import Table
from unisono.base.words import counted, rate_in_words, speed_in_words
from unisono.cli import EXAMPLES, app
from unisono.commands import console
from unisono.commands.console import SafeConsole
from unisono.tracks.files import write_tracks


def unified(folder: Path, name: str = "a.json", prefix: str = "d", **fields) -> Path:
    fields = {"license": "CC-BY-4.0", "recording": "r:1", "dataset": "mine"} | fields
    track = make_track(id=f"{prefix}_0", audio_path=f"/{prefix}.mp3", caption="calm piano", duration=1, **fields)
    write_tracks(folder / name, [track])
    return folder / name


@pytest.mark.parametrize(
    ("words", "key"),
    [
        (["describe", "a.json", "--json"], "all"),
        (["licenses", "a.json", "--json"], "licenses"),
        (["check", "a.json", "--no-audio", "--json"], "findings"),
        (["leaks", "a.json", "b.json", "--json"], "matches"),
        (["encoders", "list", "--json"], None),
    ],
)
@pytest.mark.parametrize("license", ["CC-BY-4.0", "CC [/] [red]\x1b]52;c;YQ==\x07\u202e 日本"])
def test_json_is_all_that_is_printed_and_says_what_the_file_says(
    tmp_path: Path, words: list[str], key: str | None, license: str
) -> None:
    unified(tmp_path, license=license)
    unified(tmp_path, "b.json", "e", recording="r:2", artist="x", title="y", caption_origin="tags")
    done = cli(tmp_path, *words, code=0)
    found = json.loads(done.stdout)
    assert (key in found) if key else found[0]["name"]
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", done.stdout)
    if key == "licenses":
        assert found["licenses"] == {license: 1}
    if key == "all":
        assert (
            found["licenses"] == {license: 1}
            and found["all"]["tracks"] == 1
            and found["all"]["duration_s"]["median"] == 1
        )


@pytest.mark.parametrize("verb", ["describe", "licenses", "leaks"])
def test_markup_in_a_value_is_shown_as_it_is(tmp_path: Path, verb: str) -> None:
    unified(tmp_path, license="CC [/] [red]x[/red]", artist="[link=http://x]a[/link]")
    words = ["a.json", "a.json"] if verb == "leaks" else ["a.json"]
    done = cli(tmp_path, verb, *words, code=1 if verb == "leaks" else 0)
    assert "Unexpected" not in done.stderr
    if verb != "leaks":
        assert "CC [/] [red]x[/red]" in done.stdout


def test_leaks_tells_what_was_found_from_what_failed(tmp_path: Path) -> None:
    unified(tmp_path)
    unified(tmp_path, "other.json", "e", recording="r:2", caption_origin="tags")
    (tmp_path / "broken.json").write_text("[{]")
    (tmp_path / "report").mkdir()
    assert "No leaks" in cli(tmp_path, "leaks", "a.json", "other.json").stdout
    assert "1 of the 1" in cli(tmp_path, "leaks", "a.json", "a.json", code=1).stderr
    cli(tmp_path, "leaks", "a.json", "none.json", code=2)
    cli(tmp_path, "leaks", "a.json", "broken.json", code=3)
    cli(tmp_path, "leaks", "broken.json", "a.json", "--remove", code=3)
    cli(tmp_path, "leaks", "a.json", "a.json", "--report", "report", code=3)
    cli(tmp_path, "leaks", "a.json", "a.json", "--match", "audio", "--strict", code=3)
    assert "a.clean.json holds 0 records" in cli(tmp_path, "leaks", "a.json", "a.json", "--remove").stdout


@pytest.mark.parametrize("verb", EVERY_VERB)
def test_the_example_of_every_verb_can_be_typed(verb: str) -> None:
    app.parse_args([*verb.split(), *shlex.split(EXAMPLES[verb])], exit_on_error=False, print_error=False)
    assert list(EXAMPLES) == EVERY_VERB


def test_an_example_ends_the_help(tmp_path: Path) -> None:
    for verb in ("leaks", "encoders fetch"):
        said = cli(tmp_path, *verb.split(), "--help").stdout
        assert said.rstrip().splitlines()[-1].strip() == f"Example: unisono {verb} {EXAMPLES[verb]}"


def test_one_is_singular(tmp_path: Path) -> None:
    assert [counted(n, "track") for n in (0, 1, 3000)] == ["0 tracks", "1 track", "3,000 tracks"]
    assert counted(2, "query", "queries") == "2 queries"
    unified(tmp_path)
    said = [
        cli(tmp_path, "describe", "a.json"),
        cli(tmp_path, "check", "a.json", "--no-audio"),
        cli(tmp_path, "dedupe", "a.json"),
        cli(tmp_path, "convert", "a.json", "b.csv"),
        cli(tmp_path, "licenses", "a.json", "--attribution", "a.md"),
        cli(tmp_path, "leaks", "a.json", "a.json", "--remove"),
    ]
    assert not re.search(r"\b1 (tracks|records|captions|files|recordings)\b", "".join(done.stdout for done in said))


@pytest.mark.parametrize(
    ("per_second", "said"),
    [(23.4, "23 tracks/s"), (1.25, "1.2 tracks/s"), (7 / 60, "7.0 tracks/min"), (2 / 3600, "2.0 tracks/h"), (0, "")],
)
def test_rates_have_numbers_from_one_on(per_second: float, said: str) -> None:
    assert rate_in_words(per_second, "tracks") == said
    assert [speed_in_words(factor) for factor in (0.26, 23.4, 4567)] == [
        "0.3x real time",
        "23x real time",
        "4,567x real time",
    ]


@pytest.mark.parametrize("unit", ["tracks", "bytes", "captions"])
def test_bars_fit_80_columns(monkeypatch: pytest.MonkeyPatch, unit: str) -> None:
    file = io.StringIO()
    monkeypatch.setattr(console, "err", SafeConsole(file=file, width=80, force_terminal=True, color_system=None))
    bars = console._bars(unit)
    assert isinstance(bars, Progress)
    task = bars.add_task("Measuring durations of jamendo_max_caps", total=362_000)
    bars.update(task, completed=123_456)
    console.err.print(bars.get_renderable())
    (line,) = file.getvalue().splitlines()
    assert len(line) <= 80 and line.startswith("Measuring") and "left" in line


def test_tables_fit_80_columns_and_lose_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.StringIO()
    monkeypatch.setattr(console, "out", SafeConsole(file=file, width=80))
    rows = [("song_describer", "706", "a" * 100 + " [b]end"), ("fma", "1,234,567", "short")]
    console.show(Table("Title", ("dataset", "tracks", "why"), rows, words=(0, 2)))
    lines = file.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    shown = "".join(lines)
    assert shown.count("a") >= 100 and "[b]end" in shown and "1,234,567" in shown and "song_describer" in shown


def test_every_variable_is_documented() -> None:
    page = (REPOSITORY / "docs/environment.md").read_text()
    source = "".join(path.read_text() for path in (REPOSITORY / "src").rglob("*.py"))
    used = set(re.findall(r"\b(?:UNISONO|HF)_[A-Z_]+", source))
    assert used and not {name for name in used if f"`{name}`" not in page}


def test_a_file_that_cannot_be_read_by_the_verb_is_named(tmp_path: Path) -> None:
    (tmp_path / "folder.json").mkdir()
    for words in (["describe"], ["licenses"], ["check"], ["dedupe"], ["captions", "preview"]):
        done = cli(tmp_path, *words, "folder.json", code=None)
        assert done.returncode in (1, 2) and "folder.json" in done.stderr and "fault of unisono" not in done.stderr, (
            words
        )


@pytest.mark.parametrize("kind", [errno.EACCES, errno.EROFS, errno.EIO, errno.ELOOP, errno.ENOENT])
def test_an_error_of_the_disk_is_no_fault_of_unisono(monkeypatch: pytest.MonkeyPatch, kind: int) -> None:
    file = io.StringIO()
    monkeypatch.setattr(console, "err", SafeConsole(file=file, width=80))
    assert console.failed_unexpectedly(OSError(kind, os.strerror(kind), "/music/[1].json"), debug=False) == 1
    assert file.getvalue().startswith(f"Error: /music/[1].json: {os.strerror(kind)}.\n")


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
@pytest.mark.parametrize("verb", ["describe", "licenses", "check", "dedupe", "convert"])
def test_an_unreadable_input_is_not_taken_for_an_unwritable_output(tmp_path: Path, verb: str) -> None:
    (tmp_path / "a.json").write_text("[]")
    (tmp_path / "a.json").chmod(0)
    done = cli(tmp_path, verb, "a.json", *(["b.csv"] if verb == "convert" else []), code=1)
    assert "a.json: Permission denied" in done.stderr and "b.csv" not in done.stderr
