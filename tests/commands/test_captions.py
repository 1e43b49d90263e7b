"""`unisono unify --captions` and `unisono captions preview` as their users run them."""

import json
from pathlib import Path

import pytest

from tests.captions.chat_server import chat_server, fails, says
from tests.captions.test_llm import write_recipe
from tests.commands.test_unify import unify
from tests.making import origins
from tests.releases import fma, jamendo_max_caps
from unisono.cli import main
from unisono.tracks.files import read_tracks
from unisono.tracks.track import replace


def preview(capsys: pytest.CaptureFixture[str], *options: object, code: int = 0) -> str:
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        main(["captions", "preview", *map(str, options)])
    said = capsys.readouterr()
    assert (end.value.code or 0) == code, said
    return said.out + said.err


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    fma.build(folder / "raw/fma")
    jamendo_max_caps.build(folder / "raw/jamendo_max_caps")
    return folder


def test_unify_with_several_strategies(data: Path, tmp_path: Path) -> None:
    plain, rich, all_rich = tmp_path / "plain.json", tmp_path / "rich.json", tmp_path / "all.json"
    unify("--data-root", data, "--output", plain)
    unify("--data-root", data, "--output", rich, "--captions", "metadata", "template")
    said = unify("--data-root", data, "--output", all_rich, "--captions", "keywords", "--caption-all")
    before, after = ({track.id: track for track in read_tracks(path)} for path in (plain, rich))
    assert before.keys() == after.keys()
    for id, track in before.items():
        if track.dataset == "jamendo_max_caps":
            assert track.extra == {} and after[id].extra.keys() <= {"year"}, "the year is kept for `metadata`"
            assert replace(after[id], extra={}) == track
        else:
            assert after[id].texts[-1] == track.caption
            assert origins(after[id]) == ["tags"] * len(after[id].texts)
    assert after["fma_10"].caption == '"Food" by Kurt Vile: a Pop track featuring electric guitar'
    added = [track for track in read_tracks(all_rich) if len(set(origins(track))) > 1]
    assert {track.dataset for track in added} == {"jamendo_max_caps"}
    assert all(track.captions[0].origin == "model" and origins(track)[-1] == "tags" for track in added)
    assert "from tags" in said


def test_names_suffice_where_metadata_is_asked_for(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, 3)
    recipe.write_text(recipe.read_text().replace('tags = "tags"\n', ""))
    common = ["--no-check-audio", "--datasets", recipe, "--output", tmp_path / "out.json"]
    assert "no caption" in unify(*common, code=1)
    unify(*common, "--captions", "metadata", "template")
    assert [track.texts for track in read_tracks(tmp_path / "out.json")] == [
        [f'"Song {n}", from {1980 + n}'] for n in range(3)
    ]


def test_a_dry_run_asks_no_model(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, 3)
    with chat_server(lambda messages, number: says("A dark guitar.")) as chat:
        wish = ["--captions", "llm", "--llm-url", chat.url, "--llm-model", "tiny", "--dry-run"]
        said = unify("--no-check-audio", "--datasets", recipe, "--output", tmp_path / "out.json", *wish)
    assert chat.asked == []
    assert "not asked" in said


def test_strict_fails_on_questions_without_an_answer(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, 3)
    output = tmp_path / "out.json"
    with chat_server(lambda messages, number: says("Guitar all night.") if number else fails(400, "no")) as chat:
        wish = ["--captions", "llm", "--llm-url", chat.url, "--llm-model", "tiny", "--llm-workers", "1", "--strict"]
        common = ["--no-check-audio", "--datasets", recipe, "--output", output, "--data-root", tmp_path]
        said = unify(*common, *wish, code=1)
        assert "unanswered" in said
        assert not output.exists()
        assert json.loads((tmp_path / "out.report.json").read_text())["llm"]["counts"]["unanswered"] == 1
        unify(*common, *wish)  # asks what is missing
    assert len(chat.asked) == 4
    assert [track.captions[0].origin for track in read_tracks(output)] == ["model"] * 3


def test_a_model_that_answers_nothing_is_a_failure(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, 2)
    with chat_server(lambda messages, number: fails(400, "no")) as chat:
        wish = ["--captions", "llm", "--llm-url", chat.url, "--llm-model", "tiny", "--data-root", tmp_path]
        said = unify("--no-check-audio", "--datasets", recipe, "--output", tmp_path / "out.json", *wish, code=1)
    assert "answered nothing" in said
    assert not (tmp_path / "out.json").exists()


def test_preview(data: Path, tmp_path: Path, capsys) -> None:
    output = tmp_path / "unified.json"
    unify("--data-root", data, "--output", output)
    content = output.read_bytes()
    said = preview(capsys, output, "--captions", "keywords")
    assert "before" in said and "after" in said
    assert "A Pop track featuring electric guitar" in said and "Pop, electric guitar" in said
    assert "jamendo" not in said
    assert "jamendo" in preview(capsys, output, "--captions", "keywords", "--caption-all", "--count", "20")
    assert preview(capsys, output, "--count", "1").count("before") == 1
    with chat_server(lambda messages, number: says("An electric guitar, 120 BPM.")) as chat:
        wish = ["--captions", "llm", "--llm-url", chat.url, "--llm-model", "tiny", "--data-root", tmp_path]
        said = " ".join(preview(capsys, output, *wish, "--count", "1").split())
    assert "Refused for fma_" in said
    assert output.read_bytes() == content


def test_preview_of_captions_that_all_stay(data: Path, tmp_path: Path, capsys) -> None:
    output = tmp_path / "unified.json"
    unify("--data-root", data, "--output", output, "--datasets", "jamendo_max_caps")
    assert "--caption-all" in preview(capsys, output, "--captions", "keywords", code=2)
    assert "--count" in preview(capsys, output, "--count", "0", code=2)
    assert "--llm-model" in preview(capsys, output, "--captions", "llm", code=2)
    assert "nonsense" in preview(capsys, output, "--captions", "nonsense", code=2)


def test_what_training_makes_of_captions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "unified.json"
    captions = ["A happy song with piano and more that can be heard. It is slow.", "A woman sings over a flute"]
    records = [
        {"id": f"a_{number}", "audio_path": "/a.mp3", "caption": text, "duration": 10, "recording": "x:1"}
        for number, text in enumerate(captions)
    ]
    path.write_text(json.dumps(records))
    said = preview(capsys, path, "--views", "--count", "1", "--seed", "3")
    assert said == preview(capsys, path, "--views", "--count", "1", "--seed", "3")
    lines = " ".join(said.split())
    assert all(f"{kind} 1/4" in lines for kind in ("whole", "tags", "short")) and "sentences 1/" in lines
    assert "false: mood" in said and "false: tempo" in said and "false: negation" in said
    assert "false: instrument" not in said, "no other instrument is named than those of the recording"
    assert "false: voice" not in said
