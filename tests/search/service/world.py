"""A service over real connections: a little music, and a stand-in for the model."""

import contextlib
import dataclasses
import http.client
import threading
import wave
from pathlib import Path

import numpy as np

from tests.retrieval.test_collection import BLANK
from unisono.retrieval.collection import Collection, Windows
from unisono.retrieval.model import Model
from unisono.search.service import server as server_module
from unisono.search.service.music import FileMusic
from unisono.search.service.searches import Searches

AUDIO = b"ID3\x04" + bytes(range(256)) * 1000
PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)


class TowardsTheFirst(Model):
    """Puts every text where the first track is; `xyzzy` nowhere."""

    label = "stand-in"

    def __init__(self):
        pass

    def embed_text(self, texts, *, cached=False):
        texts = [texts] if isinstance(texts, str) else texts
        return np.array([[1, 0.5, 0] if "xyzzy" not in text else [0, 0, 0] for text in texts], dtype=np.float32)


class Shelf(FileMusic):
    """Tracks in memory."""

    def __init__(self, tracks, vectors=None, windows=None):
        self.label = "Shelf"
        vectors = np.eye(len(tracks), 3, dtype=np.float32) if vectors is None else vectors
        self.now = Collection(tracks, vectors, windows=windows)

    def collection(self):
        return self.now


def track(number, **values):
    return dataclasses.replace(BLANK, id=str(number), **values)


def tone(path, seconds=20):
    """Write an audible file that browsers play."""
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 1, 8000, 0, "NONE", ""))
        file.writeframes((np.sin(np.arange(8000 * seconds) / 9) * 60 + 128).astype(np.uint8).tobytes())
    return str(path)


@contextlib.contextmanager
def running(tracks, *, music=None, folder=None, **options):
    """Yield the port of a running service of tracks."""
    folder = Path(folder) if folder else None
    searches = Searches(
        TowardsTheFirst(),
        music or Shelf(tracks),
        feedback=folder and folder / "feedback.sqlite",
        playlists=folder and folder / "playlists",
    )
    server = server_module.make_server(server_module.make_app(searches, **options))
    with server_module.listen(0) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()


def ask(port, path, method="GET", body=None, **headers):
    """Return the answer to a request, and its content."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if body is not None:
        named.setdefault("Content-Type", "application/json")
    connection.request(method, path, body, headers=named)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer, content


def windowed(seconds, length_s, spread=1):
    """Return windows and random unit vectors for tracks of these durations."""
    of = np.concatenate([np.full(max(1, int(each // length_s)), row) for row, each in enumerate(seconds)])
    start = np.concatenate([np.arange(max(1, int(each // length_s))) * length_s for each in seconds])
    vectors = np.random.default_rng(spread).normal(size=(len(of), 3)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors, Windows(of.astype(np.int64), start.astype(np.float32), length_s)
