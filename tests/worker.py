"""Start a process that runs tests, as `python -u -c CODE` would, from the server of loaded programs: see `tests/loaded.py`.

This one passes its streams on, and waits. It is run without `site`, and imports nothing that it can do without.
"""

import json
import os
import socket
import sys

with socket.socket(socket.AF_UNIX) as server:
    server.connect(os.environ["UNISONO_TEST_SERVER"])
    _unbuffered, *words = sys.argv[1:]
    asked = json.dumps([words, os.getcwd(), dict(os.environ), None, []]).encode() + b"\n"  # noqa: PTH109
    sent = socket.send_fds(server, [asked], [0, 1, 2])
    server.sendall(asked[sent:])
    for descriptor in (0, 1):  # so that the process sees the end of its input
        os.close(descriptor)
    with server.makefile("rb") as answers:
        _process, code = answers.readline(), answers.readline()
os._exit(int(code or 1))
