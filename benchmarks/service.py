"""Measure the service under load: the time of an answer for users at once, over that of the same search by itself.

    python benchmarks/service.py [--tracks 100000] [--dim 512] [--users 50] [--seconds 20] [--pause 5]

Each user asks, waits for the answer, and reads or listens for about the pause before the next question, as people do. The
last row is without any pause: as many questions as the machine can answer. The users are another process. The tracks have
random vectors of three windows each; the text encoder is left out, as it is the same on both sides. On a busy machine
compare the CPU time of an answer, that of the service alone, with that of a search by itself.
"""

import argparse
import http.client
import multiprocessing
import random
import threading
import time
from urllib.parse import quote

import numpy as np

from unisono.retrieval.collection import Collection, IndexedTrack, Windows
from unisono.search.query import Query
from unisono.search.run import search
from unisono.search.service.music import FileMusic
from unisono.search.service.searches import Searches
from unisono.search.service.server import listen, make_app, make_server

TIMES = 30


class RandomModel:
    """A model that puts each text somewhere, at once."""

    label = "random"

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def embed_text(self, texts: object, *, cached: bool = False) -> np.ndarray:
        listed = [texts] if isinstance(texts, str) else list(texts)  # type: ignore[call-overload]
        vectors = [np.random.default_rng(abs(hash(text))).standard_normal(self.dim, np.float32) for text in listed]
        return np.stack([vector / np.linalg.norm(vector) for vector in vectors])


class Random(FileMusic):
    """Tracks with random vectors."""

    def __init__(self, tracks: int, dim: int) -> None:
        self.label = "random"
        rng = np.random.default_rng(0)
        vectors = rng.standard_normal((3 * tracks, dim), dtype=np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        windows = Windows(np.repeat(np.arange(tracks), 3), np.tile(np.array([0, 60, 120], np.float32), tracks), 10.0)
        self._known = Collection([_track(row) for row in range(tracks)], vectors, windows=windows)

    def collection(self) -> Collection:
        return self._known


def _track(row: int) -> IndexedTrack:
    return IndexedTrack(
        id=str(row), split="test", dataset="random", artist=f"Artist {row // 12}", artist_id="", title=f"Title {row}",
        genre="", tags=["rock" if row % 3 else "folk"], license="", recording="", audio_path=f"/music/{row}.flac",
        start_s=0, duration_s=180, album=f"Album {row // 12}", year=1960 + row % 60,
    )  # fmt: skip


def percentile_ms(seconds: list[float], percent: float) -> float:
    return 1000 * float(np.percentile(seconds, percent))


def asked_by(users: int, port: int, pause_s: float, seconds: float) -> list[float]:
    """Return the seconds of each answer that users at once waited for."""
    waited: list[float] = []
    end = time.monotonic() + seconds

    def ask(user: int) -> None:
        rng = random.Random(user)
        time.sleep(rng.random() * pause_s)
        while time.monotonic() < end:
            began = time.perf_counter()
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            connection.request("GET", f"/api/v1/search?q={quote(f'calm {rng.random()}')}&where=year%3E%3D1990")
            answer = connection.getresponse()
            answer.read()
            connection.close()
            assert answer.status == 200, answer.status
            waited.append(time.perf_counter() - began)
            time.sleep(2 * rng.random() * pause_s)

    threads = [threading.Thread(target=ask, args=(user,)) for user in range(users)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return waited


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tracks", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=512, help="62 is that of the model tags")
    parser.add_argument("--users", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--pause", type=float, default=5, help="seconds between an answer and the next question")
    options = parser.parse_args()
    music, model = Random(options.tracks, options.dim), RandomModel(options.dim)
    bare = []
    used_s = 0.0
    for turn in range(TIMES + 1):
        began, used_before = time.perf_counter(), time.process_time()
        search(model, Query(f"calm {turn}", where="year>=1990", top=30), music.collection())  # type: ignore[arg-type]
        bare.append(time.perf_counter() - began)
        used_s += (time.process_time() - used_before) * bool(turn)
    median = percentile_ms(bare[1:], 50)
    print(
        f"{options.tracks:,} tracks x 3 windows x {options.dim}: a search by itself {median:.1f} ms, "
        f"{1000 * used_s / TIMES:.1f} ms of CPU time"
    )
    server = make_server(make_app(Searches(model, music)))  # type: ignore[arg-type]
    with multiprocessing.get_context("fork").Pool(1) as users_process, listen(0) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        port = listener.getsockname()[1]
        for users, pause_s in ((1, 0.0), (options.users, options.pause), (options.users, 0.0)):
            used_before = time.process_time()
            waited = users_process.apply(asked_by, (users, port, pause_s, options.seconds))
            used_s = time.process_time() - used_before
            p95 = percentile_ms(waited, 95)
            print(
                f"{users:>3} users, pause {pause_s:.0f} s: {len(waited) / options.seconds:5.1f} answers/s, "
                f"median {percentile_ms(waited, 50):.1f} ms, p95 {p95:.1f} ms, ratio {p95 / median:.1f}, "
                f"{1000 * used_s / len(waited):.1f} ms of CPU time an answer"
            )
        server.should_exit = True
        thread.join()


if __name__ == "__main__":
    main()
