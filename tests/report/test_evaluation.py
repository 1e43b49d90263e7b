import html.parser
import re

import pytest

from tests.synthetic import make
from unisono.evaluate.options import EvaluateOptions
from unisono.evaluate.run import run
from unisono.report.evaluation import render

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
    import msgspec

    result, _ = evaluated
    worst = result.examples["worst"][0]
    nasty = msgspec.structs.replace(worst, query='<script>alert("1")</script>')
    page = render(msgspec.structs.replace(result, examples={"worst": [nasty]}))
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_the_same_result_gives_the_same_page(evaluated):
    result, page = evaluated
    assert render(result) == page
