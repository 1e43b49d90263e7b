"""Make the pictures of README and docs from what the demo left: `python -m demo.picture`, with Chromium.

`docs/search.webp` moves: questions are typed into the served page, and answered. `docs/search.png` is its last view, and
`docs/demo.png` the page that the demo wrote.
"""

import io
import shutil
import socket
import subprocess
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, ViewportSize, sync_playwright

from demo.story import PAGE

DOCS = Path("docs")
STORY_SIZE: ViewportSize = {"width": 1240, "height": 900}
SERVED_SIZE: ViewportSize = {"width": 1080, "height": 640}
SCALE = 1.5
"""Pixels of a picture for each of the page, so that text stays sharp where the picture is enlarged."""
READ_MS = 2600
"""How long an answer stays."""
COLOURS = 128


class Film:
    """Views of a page, and how long each is shown."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.views: list[Image.Image] = []
        self.durations_ms: list[int] = []

    def show(self, duration_ms: int) -> None:
        """Add the page as it is now."""
        self.page.wait_for_timeout(300)
        view = Image.open(io.BytesIO(self.page.screenshot())).convert("RGB")
        self.views.append(view.quantize(COLOURS, dither=Image.Dither.NONE).convert("RGB"))
        self.durations_ms.append(duration_ms)

    def ask(self, text: str) -> None:
        """Type a text, press Enter, and show the answer."""
        for end in range(3, len(text) + 3, 3):
            self.page.fill("[name=q]", text[:end])
            self.show(140)
        with self.page.expect_response("**/api/v1/search*"):
            self.page.keyboard.press("Enter")
        self.page.wait_for_selector(".hit")
        self.show(READ_MS)

    def write(self, path: Path) -> None:
        """Write all views as one picture that moves and begins again."""
        first, *others = self.views
        first.save(
            path, save_all=True, append_images=others, duration=self.durations_ms, loop=0, lossless=True, method=6
        )


def act(film: Film) -> None:
    """Ask in words, ask again, filter by a tag, and listen."""
    film.show(900)
    film.ask("slow solemn choir")
    film.ask("fast fiddle dance")
    with film.page.expect_response("**/api/v1/search*"):
        film.page.locator("aside .chip", has_text="solo").first.click()
    film.show(READ_MS)
    film.page.click(".hit >> nth=0 >> .art")
    film.page.wait_for_selector(".player [aria-label=Pause]")
    film.page.wait_for_timeout(2500)
    film.show(READ_MS)


def main(root: Path) -> None:
    """Take the pictures.

    Args:
        root: the folder that the demo wrote.
    """
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = free.getsockname()
    words: list[str | Path] = [
        "--data-root",
        root,
        "--data-dir",
        root / "processed_embeddings",
        "--port",
        str(address[1]),
    ]
    words += ["--model", root / "checkpoints/musicnn_best.pt"]
    with (
        subprocess.Popen([sys.executable, "-m", "unisono", "serve", *words], stdout=subprocess.PIPE) as service,
        sync_playwright() as playwright,
    ):
        try:
            assert service.stdout and service.stdout.readline()
            flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--mute-audio"]
            browser = playwright.chromium.launch(executable_path=program, args=flags)
            page = browser.new_page(viewport=STORY_SIZE)
            page.goto((root / PAGE).absolute().as_uri())
            end = page.eval_on_selector(".models", "found => found.getBoundingClientRect().bottom")
            page.screenshot(
                path=DOCS / "demo.png", clip={"x": 0, "y": 0, "width": STORY_SIZE["width"], "height": end + 20}
            )
            film = Film(browser.new_page(viewport=SERVED_SIZE, device_scale_factor=SCALE, reduced_motion="reduce"))
            film.page.goto(f"http://{address[0]}:{address[1]}/")
            act(film)
            film.write(DOCS / "search.webp")
            film.views[-1].quantize(COLOURS).save(DOCS / "search.png", optimize=True)
            browser.close()
        finally:
            service.terminate()


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "data/demo"))
