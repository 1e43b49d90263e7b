"""Run Python programs in processes of their own that need not load the large packages again.

A server, one for each process of pytest, has loaded them and forks for each program; without it, starting takes longer than
what most tests look at. A program that depends on how Python starts (its environment when packages are imported, limits, the
installed packages) is started with `subprocess`.
"""

import atexit
import multiprocessing
import os
import pkgutil
import resource
import runpy
import shutil
import signal
import sys
import tempfile
import time
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from subprocess import CompletedProcess

from unisono import commands

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
_forking = multiprocessing.get_context("forkserver")
_forking.set_forkserver_preload(list(PRELOADED))


class Program:
    """A running program; what it prints goes to files."""

    def __init__(self, words: Sequence[str], cwd: Path, env: Mapping[str, str], most_bytes: int | None) -> None:
        self._folder = Path(tempfile.mkdtemp())
        self._said = [self._folder / name for name in ("out", "err")]
        self._process = _forking.Process(target=_program, args=(words, cwd, dict(env), most_bytes, self._said))
        self._process.start()

    def poll(self) -> int | None:
        """Return its exit code, or None while it runs."""
        return self._process.exitcode

    @property
    def pid(self) -> int:
        assert self._process.pid
        return self._process.pid

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        self._process.kill()

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

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
        self._process.join(timeout)
        self._process.kill()
        self._process.join()
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


def _program(
    words: Sequence[str], cwd: Path, environment: dict[str, str], most_bytes: int | None, said: Sequence[Path]
) -> None:
    for each in list(weakref.finalize._registry):  # type: ignore[attr-defined] # the server's, thousands for torch
        each.atexit = False
    if most_bytes is not None:
        sys.dont_write_bytecode = True  # Python keeps a file of bytecode that is cut short
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))
    for descriptor, path in enumerate(said, 1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), descriptor)
    sys.stdout, sys.stderr = (open(at, "w", encoding="utf-8", closefd=False) for at in (1, 2))  # noqa: SIM115
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:0] = [str(cwd), *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
    kind, *rest = [*words]
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
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        atexit._run_exitfuncs()
