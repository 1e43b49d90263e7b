"""Run Python programs in processes of their own that need not load the large packages again.

A server, one for all processes of pytest, has loaded them and forks for each program; without it, starting takes longer than
what most tests look at. The processes that run the tests are its forks as well (`tests/worker.py`). A program that depends
on how Python starts (its environment when packages are imported, limits, the installed packages) is started with
`subprocess`.
"""

import atexit
import gc
import importlib
import json
import os
import pkgutil
import resource
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
import weakref
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from subprocess import CompletedProcess

from unisono import commands

REPOSITORY = Path(__file__).parent.parent
LISTED = {module.name for module in pkgutil.iter_modules(commands.__path__)}
PRELOADED = (
    "h5py",
    "matplotlib.backends.backend_agg",
    "matplotlib.figure",
    "pandas",
    "pyarrow.parquet",
    "rich.markdown",
    "safetensors.torch",
    "sentence_transformers",
    "soundfile",
    "soxr",
    "torch._dynamo",
    "torch.utils.tensorboard",
    "transformers.modeling_utils",
    "transformers.models.auto.tokenization_auto",
    "transformers.models.bert.modeling_bert",
    *(f"unisono.commands.{name}" for name in sorted(LISTED - {"download", "unify"})),  # these list the datasets
    "unisono.retrieval.evaluate.run",
    "unisono.retrieval.train.run",
)
AT = "UNISONO_TEST_SERVER"
"""The variable with the place of the server's socket, which all processes of pytest share."""


class Program:
    """A running program; what it prints goes to files."""

    def __init__(self, words: Sequence[str], cwd: Path, env: Mapping[str, str], most_bytes: int | None) -> None:
        self._folder = Path(tempfile.mkdtemp())
        self._said = [self._folder / name for name in ("out", "err")]
        self._code: int | None = None
        self._server = socket.socket(socket.AF_UNIX)
        self._server.connect(os.environ.get(AT) or serve())
        given = [words, str(cwd), dict(env), most_bytes, [str(path) for path in self._said]]
        self._server.sendall(json.dumps(given).encode() + b"\n")
        weakref.finalize(self, self._server.close)
        self.pid = self._answer()

    def poll(self) -> int | None:
        """Return its exit code, or None while it runs."""
        return self.wait(0)

    def wait(self, seconds: float) -> int | None:
        """Return its exit code as soon as it ends; None if it has not ended after so many seconds."""
        if self._code is None and select.select([self._server], [], [], seconds)[0]:
            self._code = self._answer()
            self._server.close()
        return self._code

    def _answer(self) -> int:
        answer = b""
        while not answer.endswith(b"\n"):
            some = self._server.recv(64)
            assert some, "the server has gone"
            answer += some
        return int(answer)

    @property
    def returncode(self) -> int | None:
        return self.poll()

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)

    def first_line(self, timeout: float = 60) -> str:
        """Wait for the first line of its output, or for its end."""
        end = time.monotonic() + timeout
        while time.monotonic() < end and self.poll() is None:
            said = self._said[0].read_text(encoding="utf-8") if self._said[0].exists() else ""
            if "\n" in said:
                return said.partition("\n")[0]
            time.sleep(0.01)
        raise AssertionError(self.communicate(0))

    def communicate(self, timeout: float = 250) -> tuple[str, str]:
        """Wait until it ends, and return what it printed. After so many seconds it is killed, and fails thereby."""
        if self.wait(timeout) is None:
            self.kill()
            self.wait(timeout)
        out, err = (path.read_text(encoding="utf-8", errors="replace") if path.exists() else "" for path in self._said)
        shutil.rmtree(self._folder, ignore_errors=True)
        return out, err


def start(
    *arguments: object, cwd: Path | None = None, env: Mapping[str, str] | None = None, most_bytes: int | None = None
) -> Program:
    """Start a program as `python ARGUMENTS` would: `-m MODULE ...`, `-c CODE ...` or `FILE ...`.

    Args:
        arguments: of the interpreter.
        cwd: the folder that it runs in; None: this one.
        env: its environment; None: that of this process.
        most_bytes: the size that no file may pass, which stands for a full disk.
    """
    words = [str(argument) for argument in arguments]
    return Program(words, cwd or Path.cwd(), os.environ if env is None else env, most_bytes)


def python(
    *arguments: object, cwd: Path | None = None, env: Mapping[str, str] | None = None, most_bytes: int | None = None
) -> CompletedProcess[str]:
    """Run a program, see `start`, to its end."""
    program = start(*arguments, cwd=cwd, env=env, most_bytes=most_bytes)
    out, err = program.communicate()
    return CompletedProcess([*map(str, arguments)], program.returncode or 0, out, err)


def unisono(
    *words: object, cwd: Path | None = None, env: Mapping[str, str] | None = None, most_bytes: int | None = None
) -> CompletedProcess[str]:
    """Run the command line."""
    return python("-m", "unisono", *words, cwd=cwd, env=env, most_bytes=most_bytes)


def serve() -> str:
    """Start the server for this process and those that it starts, until it ends; return the place of the server's socket."""
    os.environ[AT] = place = f"{tempfile.mkdtemp()}/server"
    held, alive = os.pipe()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(place)
        listening.listen(128)
        words = [sys.executable, "-m", "tests.loaded", place, str(listening.fileno()), str(held)]
        server = subprocess.Popen(words, cwd=REPOSITORY, stdin=subprocess.DEVNULL, pass_fds=(listening.fileno(), held))
    atexit.register(lambda: (os.close(alive), server.wait()))
    os.close(held)
    return place


def _serve(place: str, listening: socket.socket, held: int) -> None:
    """Fork a program for each connection; tell its process id and, when it has ended, its exit code."""
    running: dict[int, socket.socket] = {}
    ended, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    while True:
        ready = select.select([listening.fileno(), ended, held], [], [])[0]
        if held in ready:  # the process that started the server has ended, however: no other can write to this pipe
            shutil.rmtree(Path(place).parent)
            os._exit(0)
        if ended in ready:
            os.read(ended, 1000)
            for program in list(running):
                found, status = os.waitpid(program, os.WNOHANG)
                if found:
                    with running.pop(program) as client, suppress(OSError):  # if nobody asks any more
                        client.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
        if listening.fileno() in ready:
            client, _ = listening.accept()
            asked, streams, _, _ = socket.recv_fds(client, 1 << 16, 3)
            while not asked.endswith(b"\n"):
                asked += client.recv(1 << 16)
            program = os.fork()
            if not program:
                _begin(streams, *json.loads(asked))
            for each in streams:
                os.close(each)
            running[program] = client
            with suppress(OSError):
                client.sendall(f"{program}\n".encode())


def _begin(
    streams: Sequence[int],
    words: Sequence[str],
    cwd: str,
    environment: dict[str, str],
    most_bytes: int | None,
    said: Sequence[str],
) -> None:
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    code = 1
    for descriptor, path in enumerate(said, 1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), descriptor)
    for descriptor, each in enumerate(streams):
        os.dup2(each, descriptor)
        os.close(each)
    try:
        code = _program(words, Path(cwd), environment, most_bytes)
    finally:
        os._exit(code)


def _program(words: Sequence[str], cwd: Path, environment: dict[str, str], most_bytes: int | None) -> int:
    """Run a program, and return its exit code."""
    for each in list(weakref.finalize._registry):  # type: ignore[attr-defined] # the server's, thousands for torch
        each.atexit = False
    if most_bytes is not None:
        sys.dont_write_bytecode = True  # Python keeps a file of bytecode that is cut short
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout, sys.stderr = (open(at, "w", encoding="utf-8", closefd=False) for at in (1, 2))  # noqa: SIM115
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:0] = [str(cwd), *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
    kind, *rest = [*words]
    code = 0
    try:
        if kind == "-m":
            sys.argv = [*rest]
            runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
        elif kind == "-c":
            sys.argv = ["-c", *rest[1:]]
            exec(compile(rest[0], "<string>", "exec"), {"__name__": "__main__"})
        else:
            sys.argv = [*words]
            runpy.run_path(kind, run_name="__main__")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        code = 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    return code


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in PRELOADED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # no fork looks through what was loaded, nor copies the memory for that
    _serve(sys.argv[1], socket.socket(fileno=int(sys.argv[2])), int(sys.argv[3]))
