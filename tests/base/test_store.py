"""The store keeps what was saved, whatever happens to the process or the disk."""

import gc
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from unisono.base import store as store_module
from unisono.base.errors import UnisonoError
from unisono.base.store import Store


def test_what_was_put_is_there_for_the_next(tmp_path: Path) -> None:
    path = tmp_path / "new" / "cache.sqlite"
    entries = {f"key {n}".encode(): bytes([n % 256]) * n for n in range(1200)}
    with Store(path) as store:
        store.put(entries)
        assert store.get([b"key 7", b"none"]) == {b"key 7": bytes([7]) * 7}
    with Store(path) as store:
        assert store.get(entries) == entries
        store.put({b"key 7": b"new"})
        assert dict(store.items())[b"key 7"] == b"new"


def test_without_a_path_nothing_is_kept() -> None:
    with Store(None) as store:
        store.put({b"a": b"b"})
        assert store.get([b"a"]) == {}


def test_a_damaged_cache_is_begun_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "cache.sqlite"
    path.write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
    with Store(path) as store:
        store.put({b"a": b"b"})
    assert "begun again" in caplog.text
    with Store(path) as store:
        assert store.get([b"a"]) == {b"a": b"b"}


def test_a_value_that_was_altered_is_not_returned(tmp_path: Path) -> None:
    with Store(tmp_path / "cache.sqlite") as store:
        store.put({b"one": b"a value that will change", b"two": b"another"})
    content = (tmp_path / "cache.sqlite").read_bytes()
    (tmp_path / "cache.sqlite").write_bytes(content.replace(b"will change", b"has changed"))
    with Store(tmp_path / "cache.sqlite") as store:
        assert store.get([b"one", b"two"]) == {b"two": b"another"}


@pytest.mark.parametrize("required", [False, True])
def test_a_place_that_cannot_be_written(tmp_path: Path, required: bool, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    if required:
        with pytest.raises(UnisonoError, match="Cannot write"):
            Store(tmp_path / "file" / "cache.sqlite", required=True)
        return
    with Store(tmp_path / "file" / "cache.sqlite") as store:
        store.put({b"a": b"b"})
        assert store.get([b"a"]) == {}
    assert caplog.text.count("nothing is remembered") == 1


def test_a_kill_loses_at_most_what_was_not_saved(tmp_path: Path) -> None:
    path = tmp_path / "cache.sqlite"
    code = (
        "import os, sys, time; from pathlib import Path; from unisono.base.store import Store\n"
        f"store = Store(Path({str(path)!r}))\n"
        "store.put({b'saved': b'1'}); store.save(); store.put({b'not saved': b'2'})\n"
        "print('ready', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout and process.stdout.readline() == b"ready\n"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    with Store(path) as store:
        assert store.get([b"saved", b"not saved"]) == {b"saved": b"1"}


def test_several_threads_and_stores_share_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "SAVED_EVERY_S", 0.0)
    stores = [Store(tmp_path / "cache.sqlite") for _ in range(2)]

    def fill(number: int) -> None:
        for n in range(50):
            stores[number % 2].put({f"{number}-{n}".encode(): b"x"})

    threads = [threading.Thread(target=fill, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for store in stores:
        store.close()
    with closing(sqlite3.connect(tmp_path / "cache.sqlite")) as connection:
        assert connection.execute("SELECT count(*) FROM entries").fetchone() == (200,)


def test_a_store_that_nobody_closes_is_closed(tmp_path: Path) -> None:
    store = Store(tmp_path / "cache.sqlite")
    connection = store._connection
    assert connection
    held: list[object] = [store]
    held.append(held)  # garbage in a circle
    del store, held
    gc.collect()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        connection.execute("SELECT 1")
