"""A server on this machine that talks like an OpenAI-compatible one, and misbehaves as such servers do."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from tests.serving import QuietHandler, served


@dataclass
class Reply:
    """What is sent back."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0


def says(text: Any, finish_reason: str = "stop") -> Reply:
    """An answer in the form of the protocol."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish_reason}
    return Reply(json.dumps({"object": "chat.completion", "choices": [choice]}).encode())


def fails(status: int, message: str = "", **headers: str) -> Reply:
    """An error in the form of the protocol."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(json.dumps({"error": {"message": message}}).encode(), status, named)


@dataclass
class ChatServer:
    """What was asked, and the address."""

    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    """Bodies of the requests."""
    keys: list[str | None] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    most_at_once: int = 0


@contextmanager
def chat_server(answer: Callable[[list[dict[str, str]], int], Reply]) -> Iterator[ChatServer]:
    """Serve `answer(messages, how many requests came before)`."""
    server = ChatServer()
    lock = threading.Lock()
    at_once = 0

    class Handler(QuietHandler):
        def do_POST(self) -> None:
            nonlocal at_once
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                number = len(server.asked)
                server.asked.append(body)
                server.keys.append(self.headers.get("Authorization"))
                server.times.append(time.monotonic())
                at_once += 1
                server.most_at_once = max(server.most_at_once, at_once)
            reply = (
                answer(body["messages"], number) if self.path == "/v1/chat/completions" else fails(404, "no such path")
            )
            time.sleep(reply.delay_s)
            with lock:
                at_once -= 1
            with suppress(OSError):  # the client may have gone
                self.reply(reply.status, reply.body, reply.headers)

    with served(Handler) as url:
        server.url = f"{url}/v1"
        yield server
