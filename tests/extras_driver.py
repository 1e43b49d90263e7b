"""Run command lines one after the other in this process, and print how each ended; run by `test_extras.py`.

The first argument is a JSON list of command lines (lists of words). Each result is a JSON line: exit code, what was printed.
"""

import json
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from typing import Any

from unisono.cli import main
from unisono.commands import console


def run(words: list[str]) -> dict[str, Any]:
    """Run one command line."""
    said = StringIO()
    console.out.file = console.err.file = said
    with redirect_stdout(said), redirect_stderr(said):
        try:
            main(words)
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
    return {"words": words, "code": code, "said": said.getvalue()}


if __name__ == "__main__":
    found = [run(words) for words in json.loads(sys.argv[1])]
    print("RESULTS " + json.dumps(found))
