import gc
import logging
import shlex
import signal
import sys
from pathlib import Path

import pytest
from hypothesis import settings

from tests import loaded
from unisono.audio import ffmpeg
from unisono.base.log import log
from unisono.base.progress import _Silent, show_with

REPOSITORY = Path(__file__).parent.parent
LONG = (
    "tests/test_benchmarks.py",
    "tests/test_documented_commands.py",
    "tests/test_extras.py",
    "tests/embeddings/encoders/test_contract.py",
    "tests/embeddings/prepare/",
    "tests/retrieval/train/",
)
"""Files that take long: they begin first, so that in the end no process is alone with one."""
COSTLY = ("encoder", "model", "address", "added")
"""Fixtures that take long to make for each of their parameters."""
NO_REAL_ROWS = "real upstream metadata is not on this machine"
NO_FFMPEG = "ffmpeg is not on this machine"
NO_BROWSER = "there is no Chromium on this machine"
NO_RAY = "ray cannot be imported on this machine"
ABSENT = {
    NO_REAL_ROWS: ("r", "NO REAL ROWS"),
    NO_FFMPEG: ("f", "NO FFMPEG"),
    NO_BROWSER: ("b", "NO BROWSER"),
    NO_RAY: ("y", "NO RAY"),
}
"""Why a test did not run -> the letter and the word that it is counted under."""

# A busy machine may take its time over one example; pytest's timeout catches what never ends. The examples of property
# tests are the same few in each run; `--hypothesis-profile explore` draws others.
settings.register_profile("unisono", deadline=None, derandomize=True, max_examples=50)
settings.register_profile("explore", deadline=None)
settings.load_profile("unisono")

# Under `nohup make test &` the shell ignores SIGINT, and so would every process that a test starts and interrupts. A
# handler of our own is not inherited: what is started then begins with the system's default.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def as_a_library() -> None:
    """Begin each test as after `import unisono`: no earlier test's command line prints log lines or progress."""
    log.handlers = [logging.NullHandler()]
    log.setLevel(logging.NOTSET)
    log.propagate = True
    show_with(_Silent)


@pytest.fixture(scope="session")
def weights_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny random weights of all encoders, as `unisono encoders fetch` would lay them out."""
    from tests.embeddings.encoders import tiny

    root = tmp_path_factory.mktemp("weights")
    tiny.write_all(root)
    return root


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real upstream metadata, where this machine has it: the tests of what upstream really publishes."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(NO_REAL_ROWS)
    return folder


@pytest.fixture
def with_ffmpeg() -> None:
    """The programs that decode what libsndfile cannot, where this machine has them."""
    if not ffmpeg.is_here():
        pytest.skip(NO_FFMPEG)


def pytest_configure(config: pytest.Config) -> None:
    """Start the server of loaded programs, from which the processes that run the tests are started, and the programs too."""
    if processes := config.getoption("numprocesses", None):
        loaded.serve()
        if "coverage" not in sys.modules:  # which does not count what such processes run
            worker = shlex.join([sys.executable, "-S", "-E", str(REPOSITORY / "tests/worker.py")])
            config.option.tx = [f"popen//python={worker}"] * processes


def pytest_collection_finish() -> None:
    """Leave what was collected out of Python's collections of garbage from here on."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the long files first, and the tests of one costly thing together; otherwise the order stays random."""
    first: dict[tuple[Path, object], int] = {}
    for number, item in enumerate(items):
        first.setdefault((item.path, None), number)
        first.setdefault((item.path, _costly(item)), number)

    def place(item: pytest.Item) -> tuple[bool, int, int]:
        return not item.nodeid.startswith(LONG), first[item.path, None], first[item.path, _costly(item)]

    items.sort(key=place)


def _costly(item: pytest.Item) -> object:
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    return next((parameters[name] for name in COSTLY if name in parameters), None)


def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, str] | None:
    """Count the tests that want what this machine lacks apart from other skipped ones, so that the last line tells them."""
    if report.skipped and isinstance(report.longrepr, tuple):
        for reason, (letter, word) in ABSENT.items():
            if report.longrepr[2].endswith(reason):
                return f"did not run: {reason}", letter, word
    return None
