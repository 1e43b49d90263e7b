"""A server on this machine that talks like an OpenAI-compatible one, and misbehaves as such servers do."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


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
    return Reply(json.dumps({"error": {"message": message}}).encode(), status, headers)


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

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

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
            try:
                self.send_response(reply.status)
                for name, value in {**reply.headers, "Content-Length": str(len(reply.body))}.items():
                    self.send_header(name.replace("_", "-"), value)
                self.end_headers()
                self.wfile.write(reply.body)
            except OSError:
                pass  # the client has gone

        def log_message(self, *_: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    server.url = f"http://127.0.0.1:{http.server_port}/v1"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
