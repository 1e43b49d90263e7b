"""Make the picture of README from the page that the demo wrote: `python -m demo.picture`, with Chromium."""

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

from demo.story import PAGE

WIDTH, HEIGHT = 1240, 900
PICTURE = Path("docs/demo.png")


def main(root: Path) -> None:
    """Take a picture of the page down to what the models found for the first query."""
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        page.goto((root / PAGE).absolute().as_uri())
        end = page.eval_on_selector(".models", "found => found.getBoundingClientRect().bottom")
        page.screenshot(path=PICTURE, clip={"x": 0, "y": 0, "width": WIDTH, "height": end + 20})
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "data/demo"))
