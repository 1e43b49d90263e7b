"""Real media servers for the tests, as programs of their own.

supysonic comes with the extra `dev`. maneki needs Python 3.13 and an environment of its own: its test runs if the variable
`UNISONO_MANEKI` names its program.
"""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import requests

USER, PASSWORD = "alice", "secret of alice"
LONGEST_START_S = 60


class Running(NamedTuple):
    """A server that answers."""

    address: str
    """Of the source, with the user."""
    url: str
    rescan: Callable[[], None]


@contextmanager
def supysonic(music: Path, folder: Path) -> Iterator[Running]:
    """Run supysonic (AGPL: a separate program) over a folder of music."""
    folder.mkdir()
    (folder / "supysonic.conf").write_text(
        f"[base]\ndatabase_uri = sqlite:///{folder}/s.db\n[webapp]\ncache_dir = {folder}/cache\nmount_webui = off\n"
        f"[daemon]\nsocket = {folder}/s.sock\nrun_watcher = off\n"
    )
    programs = Path(sys.executable).parent
    environment = {**os.environ, "HOME": str(folder)}

    def run(*words: str) -> None:
        command = [str(programs / "supysonic-cli"), *words]
        subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)

    def rescan() -> None:
        run("folder", "scan", "--foreground", "Music")

    run("user", "add", USER, "-p", PASSWORD)
    run("folder", "add", "Music", str(music))
    rescan()
    port = free_port()
    command = [programs / "supysonic-server", "-S", "waitress", "-h", "127.0.0.1", "-p", str(port), "--threads", "2"]
    process = subprocess.Popen(
        list(map(str, command)), cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        url = f"http://127.0.0.1:{port}"
        wait_for(f"{url}/rest/ping", process)
        yield Running(f"subsonic:http://{USER}@127.0.0.1:{port}", url, rescan)
    finally:
        process.kill()
        process.wait()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def wait_for(url: str, process: subprocess.Popen) -> None:
    """Wait until a server answers anything."""
    end = time.monotonic() + LONGEST_START_S
    while True:
        try:
            requests.get(url, timeout=5)
            return
        except requests.ConnectionError:
            assert process.poll() is None, "the server has ended"
            assert time.monotonic() < end, "the server does not answer"
            time.sleep(0.05)


@contextmanager
def maneki(program: Path, music: Path, folder: Path) -> Iterator[Running]:
    """Run maneki (AGPL: a separate program, of Python 3.13), which mounts the protocol below a path."""
    folder.mkdir()
    (folder / "mk.toml").write_text(f'[[users]]\nname = "{USER}"\npassword = "{PASSWORD}"\nadmin = true\n')
    port = free_port()
    words = [
        "serve",
        music,
        "--host",
        "127.0.0.1",
        "--port",
        port,
        "--no-ui",
        "--no-artist-images",
        "--no-cover-images",
    ]
    process = subprocess.Popen(
        list(map(str, [program, *words, "-w", "1"])), cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={**os.environ, "HOME": str(folder), "MANEKI_CONFIG": str(folder / "mk.toml")},
    )  # fmt: skip
    try:
        url = f"http://127.0.0.1:{port}/audio"
        wait_for(f"{url}/rest/ping", process)
        yield Running(f"subsonic:http://{USER}@127.0.0.1:{port}/audio", url, lambda: None)
    finally:
        process.kill()
        process.wait()
