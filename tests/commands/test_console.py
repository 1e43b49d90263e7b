"""What is printed cannot command the terminal."""

import io
import logging

import pytest
from rich.table import Table

from unisono.commands.console import SafeConsole, SafeHandler, failed_unexpectedly

HOSTILE = ["\x1b]52;c;YQ==\x07", "\x1b[31m", "\x9b1m", "\x7f", "\x00", "\u202egnp.exe", "\u2066x"]


@pytest.mark.parametrize("text", HOSTILE)
def test_control_characters_are_replaced_wherever_they_are_shown(text: str) -> None:
    file = io.StringIO()
    console = SafeConsole(file=file, width=80)
    table = Table()
    table.add_column("title")
    table.add_row(f"before {text} after")
    console.print(f"before {text} after", markup=False)
    console.print(table)
    handler = SafeHandler(console=console, show_time=False, show_path=False)
    handler.handle(logging.LogRecord("unisono", logging.INFO, "", 0, "before %s after", (text,), None))
    shown = file.getvalue()
    assert shown.count("before") == shown.count("after") == 3
    assert not set(shown) & (set(map(chr, [*range(9), *range(11, 32), *range(127, 160)])) | set("\u202e\u2066"))


def test_what_a_person_wrote_stays() -> None:
    file = io.StringIO()
    console = SafeConsole(file=file, width=80)
    for shown in ("Größe\n日本語\tعربي", ":guitar: 1 [i]"):
        console.print(shown, markup=False)
    table = Table(show_header=False, box=None)
    table.add_row("Life:heart:Music")
    console.print(table)
    assert file.getvalue().split() == ["Größe", "日本語", "عربي", ":guitar:", "1", "[i]", "Life:heart:Music"]


def test_no_columns_stand_for_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "0")
    file = io.StringIO()
    SafeConsole(file=file).print("one two")
    assert file.getvalue() == "one two\n"


def test_a_name_that_is_not_utf_8_is_nobodys_fault(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UnicodeEncodeError) as raised:
        "folder\udcff".encode()
    assert failed_unexpectedly(raised.value, debug=False) == 1
    assert "is not UTF-8" in capsys.readouterr().err
