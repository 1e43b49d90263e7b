"""The page in a real browser: it works, at all widths, for everybody, and no name of a track runs a script."""

import json
import shutil

import pytest

from tests.conftest import NO_BROWSER
from tests.search.service.world import PNG, Shelf, ask, running, tone, track, windowed
from unisono.search.service.auth import Auth

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required", "--mute-audio",
]  # fmt: skip
HOSTILE = [
    "<img src=x onerror=document.title='pwned'>",
    "<script>document.title='pwned'</script>",
    "javascript:document.title='pwned'",
    '"><svg onload=document.title="pwned">',
    "${document.title='pwned'} {{document.title='pwned'}}",
    "a" * 300,
]
SECONDS = [40, 60, 200, 300, 90, 20]


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip(NO_BROWSER)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    folder = tmp_path_factory.mktemp("music")
    vectors, windows = windowed(SECONDS, 10)
    files = [tone(folder / f"{row}.wav", each) for row, each in enumerate(SECONDS[:-1])]
    tracks = [
        track(
            row, title=f"Title {row}", artist=f"Artist {row // 2}", album="An Album", year=1990 + 5 * row,
            tags=["folk", "rock"][: row % 2 + 1], duration_s=SECONDS[row], audio_path=path,
        )
        for row, path in enumerate([*files, str(folder / "gone.wav")])
    ]  # fmt: skip
    (folder / "cover.png").write_bytes(PNG)
    with running(tracks, music=Shelf(tracks, vectors, windows), folder=folder) as port:
        yield port


@pytest.fixture
def opened(browser):
    """Return a function that opens a page; what the console says against it fails the test."""
    contexts, said = [], []

    def opened(address, width=1600, scheme="light"):
        height = 740 if width < 500 else 900
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce"
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("console", lambda message: said.append(message.text))
        page.on("dialog", lambda dialog: said.append(dialog.message))
        page.goto(address)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not [text for text in said if not text.startswith("Failed to load resource")]


def search(page, text):
    page.fill("[name=q]", text)
    page.keyboard.press("Enter")
    page.wait_for_selector(".hit")


def titles(page):
    return page.eval_on_selector_all(".hit h2", "all => all.map(each => each.textContent)")


def playing(page):
    """Return the title that plays, once it does."""
    page.wait_for_selector(".player [aria-label=Pause]")
    return page.text_content(".player strong")


def assert_accessible(page):
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    assert not [(each["id"], each["help"], [node["html"][:200] for node in each["nodes"]]) for each in found]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1600, "light")])
def test_axe_finds_nothing(opened, port, width, scheme):
    page = opened(f"http://127.0.0.1:{port}/", width, scheme)
    page.wait_for_selector(".suggested .chip")
    assert_accessible(page)
    search(page, f"calm guitar {width} {scheme}")  # verdicts are remembered by question
    page.click(".hit:nth-child(2) .art")
    playing(page)
    page.click(".hit:nth-child(3) [title=Keep]")
    page.click(".hit:nth-child(4) [title='Less like this']")
    page.click(".hit:nth-child(1) [title='More like this']")
    page.wait_for_selector(".chosen .chip")
    assert_accessible(page)
    assert page.query_selector("[name=q]").bounding_box()["width"] >= 220
    for button in ("text=Save", "[aria-label^=Queue]", "[aria-label='Keys and help']"):
        page.click(button)
        page.wait_for_selector("dialog[open]")
        assert_accessible(page)
        page.keyboard.press("Escape")
    page.goto(f"http://127.0.0.1:{port}/?q=x&where=tags%3Drokc")
    assert "rock" in page.text_content("[role=alert]")
    assert_accessible(page)


def test_search_play_next_more_and_back(opened, port):
    page = opened(f"http://127.0.0.1:{port}/")
    page.keyboard.press("/")
    page.keyboard.type("calm guitar")
    page.keyboard.press("Enter")
    page.wait_for_selector(".hit")
    first = titles(page)
    assert len(first) == 6 and "q=calm+guitar" in page.url and page.title() == "calm guitar · unisono"
    page.click(".hit:nth-child(1) .art")
    assert playing(page) == first[0]
    best = page.get_attribute(".hit:nth-child(1) .moments", "aria-label").rpartition(" ")[2].split(":")
    position = int(page.input_value(".player input"))
    assert abs(position - 60 * int(best[0]) - int(best[1])) <= 3
    assert page.evaluate("navigator.mediaSession.metadata.title") == first[0]
    page.click("h2 >> nth=0")
    page.keyboard.press("n")
    page.wait_for_function("title => document.querySelector('.player strong').textContent == title", arg=first[1])
    page.keyboard.press(" ")
    page.wait_for_selector(".player [aria-label=Play]")
    page.click(".hit:nth-child(3) [title='More like this']")
    page.wait_for_selector(f"text=like {first[2]}")
    page.wait_for_function("() => document.querySelectorAll('.hit').length == 5")
    more = titles(page)
    assert first[2] not in more
    other = opened(page.url)
    other.wait_for_selector(".hit")
    assert titles(other) == more
    other.wait_for_selector(f"text=like {first[2]}")
    page.go_back()
    page.wait_for_function("() => document.querySelectorAll('.hit').length == 6")
    assert titles(page) == first and page.text_content(".player strong") == first[1]


def test_chips_narrow_and_choices_are_heeded_and_saved(opened, port, tmp_path):
    page = opened(f"http://127.0.0.1:{port}/", 360)
    search(page, "bright drums")
    page.click("summary.filters")
    page.click("aside >> text=rock")
    page.wait_for_function("() => document.querySelectorAll('.hit').length == 3")
    assert "3 of 3 tracks" in page.text_content("[role=status]")
    page.click("[aria-label='Remove: tags: rock']")
    page.wait_for_function("() => document.querySelectorAll('.hit').length == 6")
    before = titles(page)
    page.click(".hit:nth-child(1) [title='Less like this']")
    page.click(".hit:nth-child(4) [title=Keep]")
    page.click("text=Search again with your choices")
    page.wait_for_function("() => document.querySelectorAll('.hit').length == 5")
    assert before[0] not in titles(page)
    page.click("text=Save")
    page.fill("dialog [name=name]", "Mine")
    page.check("dialog [value=kept]")
    page.click("dialog >> text=Save >> nth=-1")
    with page.expect_download() as download:
        page.click("text=Download it")
    saved = download.value.path().read_text()
    assert before[3] in saved and saved.count("#EXTINF") == 1


def test_long_lists_are_shown_whole(opened):
    with running([track(row, title=f"Title {row}") for row in range(20)]) as port:
        page = opened(f"http://127.0.0.1:{port}/")
        page.evaluate("() => { window.requestIdleCallback = act => (window.idle ??= []).push(act); }")
        search(page, "calm guitar")
        page.wait_for_function("() => window.idle?.length && document.querySelectorAll('.hit').length == 8")
        page.evaluate("idle.splice(0).forEach(act => act())")
        page.wait_for_function("() => document.querySelectorAll('.hit').length == 20")
        whole = titles(page)
        page.click(".hit:nth-child(20) [title=Keep]")
        assert page.get_attribute(".hit:nth-child(20) [title=Keep]", "aria-pressed") == "true" and titles(page) == whole
        page.evaluate("() => { idle.length = 0; }")
        search(page, "loud drums")
        page.wait_for_function("() => idle.length == 2 && document.querySelectorAll('.hit').length == 8")
        page.evaluate("() => { window.late = idle.splice(0); }")
        page.go_back()
        page.wait_for_function("() => document.querySelector('[name=q]').value == 'calm guitar'")
        assert titles(page) == whole
        page.evaluate("late.forEach(act => act())")  # one of them was to show the other list whole
        page.evaluate("() => new Promise(requestAnimationFrame)")
        assert titles(page) == whole


def test_what_cannot_be_played_says_so(opened, port):
    page = opened(f"http://127.0.0.1:{port}/?q=x")
    page.click("[aria-label='Play Title 5']")
    page.wait_for_selector("text=Its file is not there")


def test_names_run_no_script(opened):
    tracks = [
        track(name, title=name, artist=name, album=name, genre=name, tags=[name], library=name, audio_path=name)
        for name in HOSTILE
    ]
    with running(tracks) as port:
        page = opened(f"http://127.0.0.1:{port}/", 360)
        search(page, HOSTILE[0])
        assert sorted(titles(page)) == sorted(HOSTILE)
        page.click(".hit:nth-child(1) .art")
        page.click(".hit:nth-child(1) [title='More like this']")
        page.wait_for_selector(".chosen .chip")
        page.click("[aria-label^=Queue]")
        page.wait_for_timeout(300)
        assert "pwned" not in page.title().replace(HOSTILE[0], "")
        assert page.evaluate("document.querySelectorAll('img[onerror], svg[onload], body script').length") == 0
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_signing_in_and_out_under_a_path(opened, tmp_path):
    auth = Auth(tmp_path / "service.json")
    auth.set_password("correct horse")
    with running([track(0, title="Only one")], auth=auth, prefix="/music") as port:
        page = opened(f"http://127.0.0.1:{port}/music?q=choir", 360, "dark")
        page.wait_for_selector("[name=password]")
        assert_accessible(page)
        page.fill("[name=password]", "wrong")
        page.keyboard.press("Enter")
        page.wait_for_selector("text=Wrong password.")
        page.fill("[name=password]", "correct horse")
        page.keyboard.press("Enter")
        page.wait_for_selector("text=Only one")
        auth.set_password("another password")
        page.reload()
        page.wait_for_selector("[name=password]")
        page.fill("[name=password]", "another password")
        page.keyboard.press("Enter")
        page.wait_for_selector("text=Only one")
        page.click("text=Sign out")
        page.wait_for_selector("[name=password]")
        assert json.loads(ask(port, "/api/v1/about")[1])["error"] == "A password is asked for."
