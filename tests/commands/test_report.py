import html.parser
import re
import shutil

import msgspec
import numpy as np
import pytest
import soundfile

from tests.demo.test_story import write as write_story
from tests.search.service.test_page import assert_accessible, browser, opened  # noqa: F401 - fixtures
from tests.synthetic import make, track
from unisono.base.errors import UsageError
from unisono.commands.evaluate import EvaluateOptions, run
from unisono.commands.report import card
from unisono.curation.collection import Tracks
from unisono.retrieval.report.evaluation import render, write_report

VOID = {"meta", "br", "path", "use", "rect"}


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    world = make(folder, blur=2)
    page = folder / "report.html"
    options = EvaluateOptions(checkpoint=world.checkpoint, data_dir=world.data_dir, baselines=True, report=page)
    return run(options), page.read_text(encoding="utf-8")


class Tags(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.audio = []
        self.open = []

    def handle_starttag(self, tag, attributes):
        if tag == "audio":
            self.audio.append(dict(attributes)["src"])
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag


def test_the_page_is_well_formed_and_stands_alone(evaluated):
    result, page = evaluated
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    assert not re.search(r"(src|href)=\"(?!file:|#)", page)
    assert "<script" not in page
    assert page.count("<svg") == 3 + len(result.tagging)


def test_it_shows_every_number_with_interval_and_chance(evaluated):
    result, page = evaluated
    for direction, found in result.retrieval.items():
        estimate = found["all"].estimates["mrr"]
        shown = f"{100 * estimate.value:.1f}<small>{100 * estimate.low:.1f}–{100 * estimate.high:.1f}</small>"
        assert shown + f"<small>chance {100 * estimate.chance:.1f}</small>" in page, direction
    for words in ("baseline: tag overlap", "baseline: dsp and ridge regression", "captions by human", "instrument"):
        assert words in page


def test_the_worst_queries_come_with_what_was_found_and_what_was_right(evaluated):
    result, page = evaluated
    worst = result.examples["worst"]
    assert [each.rank for each in worst] == sorted((each.rank for each in worst), reverse=True)
    assert worst[0].rank == max(each.rank for each in result.queries["text_to_music"])
    assert worst[0].right.relevant
    assert worst[0].query in page
    tags = Tags()
    tags.feed(page)
    assert all(re.fullmatch(r"file:///.*/St%C3%BCck%20test%20\d+\.wav#t=\d+,\d+", each) for each in tags.audio)


def test_the_best_queries_found_the_right_music_first(evaluated):
    result, _ = evaluated
    assert result.examples["best"]
    for each in result.examples["best"]:
        assert each.rank == 1
        assert each.found[0].relevant
        assert each.found[0] == each.right


def test_what_tracks_are_called_cannot_change_the_page(evaluated):
    result, _ = evaluated
    worst = result.examples["worst"][0]
    nasty = msgspec.structs.replace(worst, query='<script>alert("1")</script>')
    page = render(msgspec.structs.replace(result, examples={"worst": [nasty]}))
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_clips_lie_beside_the_page_and_hold_the_excerpts(evaluated, tmp_path, caplog):
    result, _ = evaluated
    example = result.examples["worst"][0]
    time_s = np.arange(48000 * 40) / 48000
    kinds = {"flac": ("PCM_16", 1), "mp3": ("MPEG_LAYER_III", 2), "wav": ("FLOAT", 2), "ogg": ("VORBIS", 1)}
    places = []
    for number, (kind, (subtype, channels)) in enumerate(kinds.items()):
        path = tmp_path / "music" / f"a #{number}.{kind}"
        path.parent.mkdir(exist_ok=True)
        pitch_hz = np.where(time_s < 35, 300, 700 + 100 * number)  # the excerpts begin at 35 s
        tone = np.sin(2 * np.pi * np.cumsum(pitch_hz) / 48000) / 2
        soundfile.write(path, np.repeat(tone[:, None], channels, axis=1), 48000, subtype)
        places.append(msgspec.structs.replace(example.right, id=kind, audio_path=str(path), start_s=35, duration_s=5))
    missing = msgspec.structs.replace(example.right, id="gone", audio_path=str(tmp_path / "gone.wav"))
    shown = msgspec.structs.replace(example, right=places[0], found=[*places, missing])
    report = tmp_path / "a" / "my report.html"
    write_report(msgspec.structs.replace(result, examples={"worst": [shown]}), report, clips=True)
    moved = tmp_path / "b"
    shutil.move(report.parent, moved)
    shutil.rmtree(tmp_path / "music")
    page = (moved / report.name).read_text(encoding="utf-8")
    tags = Tags()
    tags.feed(page)
    assert tags.open == [] and "file:" not in page and page.count("its audio cannot be read") == 1
    assert [f"my%20report_files/00{number}.mp3" for number in (0, 0, 1, 2, 3)] == tags.audio
    assert "1 of the 5 excerpts" in caplog.text
    for number in range(4):
        heard, rate_hz = soundfile.read(moved / "my report_files" / f"00{number}.mp3")
        assert len(heard) / rate_hz == pytest.approx(5, abs=0.1)
        loudest = np.abs(np.fft.rfft(heard)).argmax() * rate_hz / len(heard)
        assert loudest == pytest.approx(700 + 100 * number, abs=2)


def test_clips_are_for_reports(evaluated, tmp_path):
    with pytest.raises(UsageError, match="--report-audio needs a report"):
        run(EvaluateOptions(checkpoint=tmp_path / "none.pt", report_audio=True))


def test_the_same_result_gives_the_same_page(evaluated):
    result, page = evaluated
    assert render(result) == page


def test_axe_finds_nothing_on_reports_cards_and_the_demos_page(evaluated, opened, tmp_path):  # noqa: F811
    _, report = evaluated
    (tmp_path / "report.html").write_text(report, encoding="utf-8")
    tracks = [track(number, split, tmp_path) for split in ("test", "train") for number in range(24)]
    licences = [msgspec.structs.replace(each, license=f"CC-BY-{at % 12}.0") for at, each in enumerate(tracks)]
    card.write(tmp_path / "card.html", Tracks(licences).describe(), "A card")
    for page in (tmp_path / "report.html", tmp_path / "card.html", write_story(tmp_path)):
        for width, scheme in ((360, "dark"), (1600, "light")):
            shown = opened(page.as_uri(), width, scheme)
            shown.eval_on_selector_all("details", "all => all.forEach(each => each.open = true)")
            assert_accessible(shown)
