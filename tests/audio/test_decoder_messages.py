"""What libmpg123 says does not reach the console; everything else does."""

import subprocess
import sys

SCRIPT = """
import os, sys
from unisono.commands import console
from unisono.audio.decoder_messages import hide_decoder_messages
console.configure()
os.write(2, b"before\\n")
with hide_decoder_messages():
    os.write(2, b"[src/libmpg123/layer3.c:INT123_do_layer3():1774] error: part2_3_length\\n")
    os.write(2, b"\\nNote: Trying to resync...\\n")
    os.write(2, b"a library that has something to say\\n")
    sys.stderr.write("Python\\n")
    console.log.info("a log line")
    subprocess = __import__("subprocess")
    subprocess.run([sys.executable, "-c", "import os; os.write(2, b'a child' + bytes([10]))"], check=True)
sys.stderr.write("after\\n")
os.write(2, b"[src/libmpg123/ is heard again\\n")
"""


def test_only_the_decoders_remarks_are_dropped() -> None:
    finished = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    lines = [line.strip() for line in finished.stderr.splitlines()]
    for wanted in ("before", "a library that has something to say", "Python", "a log line", "a child", "after"):
        assert sum(wanted == line for line in lines) == 1, finished.stderr
    assert not any("part2_3_length" in line or "resync" in line for line in lines)
    assert lines[-1] == "[src/libmpg123/ is heard again"
    assert lines.index("after") == len(lines) - 2


def test_a_replaced_standard_error_is_left_alone() -> None:
    from io import StringIO
    from unittest.mock import patch

    from unisono.audio.decoder_messages import hide_decoder_messages

    with patch("sys.stderr", StringIO()) as stream, hide_decoder_messages():
        sys.stderr.write("kept")
    assert stream.getvalue() == "kept"
