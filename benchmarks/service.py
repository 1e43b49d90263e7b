"""Measure the service under load: the time of an answer for users at once, over that of the same search by itself.

    python -m benchmarks.service [--tracks 100000] [--dim 512 | --model tags] [--users 50] [--pause 5] [--page]

Each user asks, waits for the answer, and reads or listens for about the pause before the next question, as people do. The
row without any pause asks as many questions as the machine can answer. The users are another process. The tracks have
random vectors of three windows each. The text encoder is left out, as it is the same on both sides, unless a model is
named. On a busy machine compare the CPU time of an answer, that of the service alone, with that of a search by itself.

`--page` then opens the page in Chromium, and measures the time from the press of Enter to the frame with the hits.
"""

import argparse
import http.client
import multiprocessing
import random
import shutil
import threading
import time
from typing import Any
from urllib.parse import quote

import numpy as np

from unisono.retrieval.collection import Collection, IndexedTrack, Windows
from unisono.retrieval.models import load_model
from unisono.search.query import Query
from unisono.search.run import search
from unisono.search.service.music import FileMusic
from unisono.search.service.searches import Searches
from unisono.search.service.server import listen, make_app, make_server

TIMES = 30
PAINTED = """const began = performance.now(), painted = done => requestAnimationFrame(() => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => done(performance.now() - began);
    port2.postMessage(null);
  });"""
SHOWN = f"""() => new Promise(done => {{
  {PAINTED}
  const before = document.querySelector(".hits").innerHTML;
  new MutationObserver((_, watch) => {{
    if (document.querySelector(".hits").innerHTML === before || document.querySelector("main").ariaBusy === "true") return;
    watch.disconnect();
    painted(done);
  }}).observe(document.querySelector("main"), {{ childList: true, subtree: true, attributes: true, characterData: true }});
  document.querySelector("form.search").requestSubmit();
}})"""
"""Sends the question; returns the milliseconds until a frame that shows its first hits was painted."""
LEAST = f"""() => new Promise(done => {{
  {PAINTED}
  fetch("api/v1/health").then(() => {{ document.querySelector("[role=status]").textContent = began; painted(done); }});
}})"""
"""Asks for next to nothing; returns the milliseconds until a frame that shows another text was painted."""


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
        while not waited or time.monotonic() < end:
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


def shown_by_page(port: int) -> tuple[list[float], list[float]]:
    """Return the seconds until the first hits of each question were seen in the page, and those that any answer takes."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=flags)
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{port}/?where=year%3E%3D1990")
        page.wait_for_selector(".chips")
        waited, least = [], []
        for turn in range(TIMES + 1):
            page.fill("[name=q]", f"calm guitar {turn}")
            waited.append(page.evaluate(SHOWN) / 1000)
            page.wait_for_timeout(300)
            least.append(page.evaluate(LEAST) / 1000)
            page.wait_for_timeout(100)
        browser.close()
    return waited[1:], least[1:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tracks", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--model", help="embeds the texts, such as tags; the vectors are of its size")
    parser.add_argument("--users", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--pause", type=float, default=5, help="seconds between an answer and the next question")
    parser.add_argument("--page", action="store_true", help="measure the page in Chromium as well")
    options = parser.parse_args()
    model: Any = load_model(options.model) if options.model else RandomModel(options.dim)
    dim = model.embed_text("calm").shape[-1]
    music = Random(options.tracks, dim)
    bare = []
    used_s, rng = 0.0, random.Random(-1)
    for turn in range(TIMES + 1):
        began, used_before = time.perf_counter(), time.process_time()
        search(model, Query(f"calm {rng.random()}", where="year>=1990", top=30), music.collection())
        bare.append(time.perf_counter() - began)
        used_s += (time.process_time() - used_before) * bool(turn)
    median = percentile_ms(bare[1:], 50)
    print(
        f"{options.tracks:,} tracks x 3 windows x {dim}: a search by itself {median:.1f} ms, "
        f"{1000 * used_s / TIMES:.1f} ms of CPU time"
    )
    server = make_server(make_app(Searches(model, music)))
    with multiprocessing.get_context("fork").Pool(1) as users_process, listen(0) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
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
        if options.page:
            waited, least = shown_by_page(port)
            seen, late = percentile_ms(waited, 50), percentile_ms(waited, 95)
            print(
                f"  the page: hits seen after {seen:.1f} ms (median), p95 {late:.1f} ms, ratio {seen / median:.1f}; "
                f"a text alone, of an empty answer, after {percentile_ms(least, 50):.1f} ms"
            )
        server.should_exit = True
        thread.join()


if __name__ == "__main__":
    main()
