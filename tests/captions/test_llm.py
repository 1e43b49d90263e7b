"""Captions by a language model, against a server on this machine that behaves, and one that does not."""

import json
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.captions.chat_server import Reply, chat_server, fails, says
from tests.loaded import python, start
from tests.making import make_track, origins
from unisono.base.errors import UnisonoError
from unisono.captions import server
from unisono.captions.answers import Answers
from unisono.captions.assign import Assigned, CaptionPlan, assign
from unisono.captions.language_model import LanguageModel
from unisono.captions.ways import llm
from unisono.tracks.track import Track

QUICK = server.AnswerLimits(connect=2, stall=0.3, whole=1, tries=3, first_pause=0.01, longest_wait=2, unanswered=3)
GOOD = "Driving guitar carries this dark rock anthem."


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "AnswerLimits", lambda: QUICK)
    monkeypatch.delenv(server.KEY_VARIABLE, raising=False)


def tracks(count: int = 1, **fields) -> list[Track]:
    given = {"audio_path": "/a.mp3", "caption": "A Rock track", "duration": 1.0, "caption_origin": "tags"}
    given |= {"genre": "Rock", "tags": ["guitar", "dark"], "artist": "Secret Artist", "title": "Secret Title", **fields}
    return [make_track(id=f"fma_{n}", **given) for n in range(count)]


def asking(url: str, folder: Path, **settings) -> LanguageModel:
    return LanguageModel(**{"url": url, "model": "tiny", "cache": folder / "answers.sqlite", **settings})


def captioned(
    url: str, folder: Path, its_tracks: list[Track] | None = None, ways: tuple[str, ...] = ("llm",), **settings
) -> Assigned:
    its_tracks = its_tracks or tracks()
    plan = CaptionPlan(ways=ways, model=asking(url, folder, **settings))
    return assign(its_tracks, {track.id for track in its_tracks}, plan)


def test_captions_of_a_model_are_marked_and_its_names_not_told(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv(server.KEY_VARIABLE, "s3cret")
    with chat_server(lambda messages, number: says(GOOD)) as chat:
        done = captioned(chat.url, tmp_path, ways=("llm", "template"))
    [track] = done.tracks
    assert track.texts == [GOOD, "A dark Rock track featuring guitar"]
    assert (track.captions[0].origin, origins(track)) == ("model", ["model", "tags"])
    assert chat.keys == ["Bearer s3cret"]
    [body] = chat.asked
    assert (body["model"], body["temperature"]) == ("tiny", 0)
    assert "Genre: Rock\nMoods: dark\nInstruments: guitar" in body["messages"][1]["content"]
    assert "Secret" not in json.dumps(body)
    assert b"s3cret" not in (tmp_path / "answers.sqlite").read_bytes()
    assert done.reports["llm"]["counts"] == {"asked": 1, "accepted": 1}


def test_every_mode_has_its_question(tmp_path: Path) -> None:
    replies = {
        "writing": GOOD,
        "summary": "Dark rock on guitar.",
        "paraphrase": "Rock with a guitar and a dark heart.",
        "attributes": '{"guesses": ["drums"], "description": "Dark rock with guitar and drums."}',
    }
    of_task = {task: replies[mode] for mode, task in llm.TASKS.items()}
    with chat_server(lambda messages, number: says(of_task[messages[1]["content"].partition("\n")[0]])) as chat:
        [track] = captioned(chat.url, tmp_path, modes=tuple(replies)).tracks
    assert track.texts == [*list(replies.values())[:3], "Dark rock with guitar and drums."]
    assert "Description: A dark Rock track featuring guitar" in chat.asked[2]["messages"][1]["content"]


def test_upstream_captions_are_told_and_stay_first(tmp_path: Path) -> None:
    theirs = tracks(caption="A waltz at 90 BPM", caption_origin="human", tags=[], genre="")
    with chat_server(lambda messages, number: says("Waltz time, turning at 90 BPM.")) as chat:
        model = asking(chat.url, tmp_path, modes=("paraphrase",))
        [track] = assign(theirs, set(), CaptionPlan(ways=("llm",), of_all=True, model=model)).tracks
    assert track.texts == ["A waltz at 90 BPM", "Waltz time, turning at 90 BPM."]
    assert origins(track) == ["human", "model"]


def test_nothing_is_asked_twice_and_the_cache_gives_the_same(tmp_path: Path) -> None:
    its_tracks = [track for n in range(20) for track in tracks(genre="Rock", tags=[f"{n % 5}", "guitar"])]
    its_tracks = [Track(**{**_fields(track), "id": f"fma_{n}"}) for n, track in enumerate(its_tracks)]
    with chat_server(lambda messages, number: says("Guitar carries this rock piece.")) as chat:
        first = captioned(chat.url, tmp_path, its_tracks, workers=1)
        assert len(chat.asked) == 1  # all those questions are the same
        again = captioned("http://127.0.0.1:9/v1", tmp_path, its_tracks, workers=4)  # nobody listens there
    assert again.tracks == first.tracks
    assert again.reports["llm"]["counts"] == {"from the cache": 20, "accepted": 20}


def _fields(track: Track) -> dict:
    return {name: getattr(track, name) for name in Track.__struct_fields__}


@pytest.mark.parametrize(
    ("first", "least_s"),
    [
        (fails(429, "slow down", Retry_After="1"), 1.0),
        (fails(429, "slow down"), 0),
        (fails(500), 0),
        (fails(503, "loading", Retry_After="Wed, 21 Oct 2015 07:28:00 GMT"), 0),
        (Reply(b"{not JSON"), 0),
        (Reply(b"\xff\xfe"), 0),
        (Reply(b'{"choices": []}'), 0),
        (Reply(b"[]"), 0),
        (says(None), 0),
        (Reply(says(GOOD).body, delay_s=0.8), 0),  # a stall
        (Reply(says(GOOD).body[:-20], headers={"Content-Length": "500"}), 0),
        (fails(400, "Unsupported value: 'temperature' does not support 0"), 0),
    ],
)
def test_a_server_that_recovers_costs_no_caption(tmp_path: Path, first: Reply, least_s: float) -> None:
    with chat_server(lambda messages, number: says(GOOD) if number else first) as chat:
        [track] = captioned(chat.url, tmp_path).tracks
    assert track.texts == [GOOD]
    assert len(chat.asked) == 2
    assert chat.times[1] - chat.times[0] >= least_s
    if first.status == 400:
        assert "temperature" not in chat.asked[1]
        assert "max_tokens" in chat.asked[1]


def test_retry_after_holds_all_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        server, "AnswerLimits", lambda: replace(QUICK, stall=20, whole=20)
    )  # a busy machine stalls, too
    its_tracks = [track for n, tag in enumerate(["dark", "happy", "calm", "sad"]) for track in tracks(tags=[tag])]
    its_tracks = [Track(**{**_fields(track), "id": f"fma_{n}"}) for n, track in enumerate(its_tracks)]

    def answer(messages: list[dict[str, str]], number: int) -> Reply:
        return fails(429, "busy", Retry_After="1") if number == 0 else Reply(says("A rock piece.").body, delay_s=0.2)

    with chat_server(answer) as chat:
        captioned(chat.url, tmp_path, its_tracks, workers=2)
    late = [at - chat.times[0] for at in chat.times[1:]]
    assert len(late) == 4
    assert sum(after < 0.9 for after in late) <= 1  # the one that was under way already


def test_requests_are_paced(tmp_path: Path) -> None:
    its_tracks = [
        Track(**{**_fields(tracks(tags=[tag])[0]), "id": f"fma_{n}"})
        for n, tag in enumerate(["dark", "happy", "calm", "sad", "epic"])
    ]
    with chat_server(lambda messages, number: says("A rock piece.")) as chat:
        captioned(chat.url, tmp_path, its_tracks, requests_per_minute=600, workers=4)
    assert chat.times[-1] - chat.times[0] >= 4 * 0.1 - 0.05


def test_workers_ask_at_the_same_time(tmp_path: Path) -> None:
    its_tracks = [
        Track(**{**_fields(tracks(tags=[tag])[0]), "id": f"fma_{n}"})
        for n, tag in enumerate(["dark", "happy", "calm", "sad", "epic", "fun"])
    ]
    with chat_server(lambda messages, number: Reply(says("A rock piece.").body, delay_s=0.2)) as chat:
        captioned(chat.url, tmp_path, its_tracks, workers=3)
    assert 2 <= chat.most_at_once <= 3


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("**Dark** rock with guitar", "markup"),
        (llm.RULES, "echo of the instructions"),
        (llm.TASKS["writing"] + "\n\nGenre: Rock", "echo of the instructions"),
        ("Sure! Here is a description: dark rock.", "boilerplate"),
        ("Dark rock at 120 BPM.", "number that was not given"),
        ("Dark rock with a saxophone.", "instrument that was not given"),
        ("Dark jazz with guitar.", "genre that was not given"),
    ],
)
def test_what_may_not_stand_is_counted_and_the_template_steps_in(tmp_path: Path, text: str, reason: str) -> None:
    with chat_server(lambda messages, number: says(text)) as chat:
        done = captioned(chat.url, tmp_path)
    [track] = done.tracks
    assert track.texts == ["A Rock track"]
    assert (track.captions[0].origin, track.extra) == ("tags", {})
    assert done.reports["llm"]["reasons"] == {reason: 1}
    assert done.reports["llm"]["counts"] == {"asked": 2, "refused": 1}
    assert done.reports["llm"]["refused"][0]["text"] == text
    assert reason in chat.asked[1]["messages"][-1]["content"]


def test_a_second_answer_may_be_better(tmp_path: Path) -> None:
    with chat_server(lambda messages, number: says(GOOD if len(messages) > 2 else "**Bold** rock track")) as chat:
        done = captioned(chat.url, tmp_path)
    assert done.tracks[0].texts == [GOOD]
    assert done.reports["llm"]["refused"] == []
    assert len(chat.asked) == 2


def test_one_question_without_an_answer_ends_nothing(tmp_path: Path) -> None:
    its_tracks = [
        Track(**{**_fields(tracks(tags=[tag])[0]), "id": f"fma_{n}"}) for n, tag in enumerate(["dark", "sad", "calm"])
    ]

    def answer(messages: list[dict[str, str]], number: int) -> Reply:
        text = messages[1]["content"]
        if "sad" in text:
            return fails(400, "this content is not allowed")
        return says("A calm rock piece.", "length" if "dark" in text else "stop")

    with chat_server(answer) as chat:
        done = captioned(chat.url, tmp_path, its_tracks, workers=1)
        assert [track.caption for track in done.tracks] == ["A Rock track", "A Rock track", "A calm rock piece."]
        assert done.reports["llm"]["counts"]["unanswered"] == 2
        assert (
            "cut off" in done.reports["llm"]["refused"][0]["reason"]
            and "not allowed" in done.reports["llm"]["refused"][1]["reason"]
        )
        assert len(chat.asked) == 3


@pytest.mark.parametrize(
    ("reply", "found"),
    [
        (fails(401, "bad key"), server.KEY_VARIABLE),
        (fails(403), server.KEY_VARIABLE),
        (fails(404, "no such model"), "--llm-model"),
        (Reply(b"", 302, {"Location": "http://127.0.0.1:9/elsewhere"}), "--llm-url"),
        (fails(429, "quota", Retry_After="86400"), "86,400 s"),
        (fails(500, "on fire"), "on fire"),
    ],
)
def test_a_server_that_will_not_answer_ends_the_run(tmp_path: Path, reply: Reply, found: str) -> None:
    its_tracks = tracks(9)
    with chat_server(lambda messages, number: reply) as chat, pytest.raises(UnisonoError) as error:
        captioned(chat.url, tmp_path, its_tracks, workers=2)
    assert found in error.value.message + error.value.hint
    assert len(chat.asked) < 3 * 9
    assert "Bearer" not in error.value.message


def test_nobody_listening_ends_the_run(tmp_path: Path) -> None:
    with pytest.raises(UnisonoError, match="the connection failed"):
        captioned("http://127.0.0.1:9/v1", tmp_path, tracks(9))


def test_no_password_is_taken_from_elsewhere(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password mine\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with chat_server(lambda messages, number: says(GOOD)) as chat:
        captioned(chat.url, tmp_path)
    assert chat.keys == [None]


def test_answers_of_earlier_versions_are_taken_over_once(tmp_path: Path) -> None:
    old = tmp_path / "answers.jsonl"
    lines = [json.dumps({"key": key, "model": "m", "answer": answer}) for key, answer in (("a", "one"), ("b", "two"))]
    old.write_text("\n".join(lines)[:-5])  # a kill cut off the last one
    content = old.read_bytes()
    for path in (old, tmp_path / "answers.sqlite"):
        answers = Answers(path)
        assert (answers.get("a"), answers.get("b")) == ("one", None if path == old else "new")
        answers.add("b", "m", "new")
        answers.close()
    assert old.read_bytes() == content
    old.write_text("\n".join([*lines, lines[0].replace('"a"', '"c"')]))
    answers = Answers(old)
    assert (answers.get("b"), answers.get("c")) == ("new", "one"), "what is known is not replaced, what is new is read"
    answers.close()


def test_an_answer_is_on_disk_once_it_is_added(tmp_path: Path) -> None:
    first = Answers(tmp_path / "answers.sqlite")
    first.add("a", "m", "one")
    second = Answers(tmp_path / "answers.sqlite")
    assert second.get("a") == "one"
    first.close()
    second.close()


def test_a_cache_that_cannot_be_written_ends_the_run(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UnisonoError, match="Cannot write"):
        Answers(tmp_path / "file" / "answers.sqlite")


def write_recipe(folder: Path, count: int) -> Path:
    """A table of the user's own, without captions."""
    moods = ["dark", "happy", "calm", "sad", "epic", "funky", "tender", "bright"]
    rows = [f't{n}.mp3,"{moods[n % 8]},{moods[n // 8 % 8]},guitar",Song {n},{1980 + n % 40},9' for n in range(count)]
    (folder / "own.csv").write_text("file,tags,name,released,length\n" + "\n".join(rows) + "\n")
    recipe = folder / "own.toml"
    recipe.write_text(
        'table = "own.csv"\naudio = "{file}"\n'
        '[columns]\ntags = "tags"\ntitle = "name"\nyear = "released"\nduration = "length"\n'
    )
    return recipe


def unify_command(recipe: Path, output: Path, url: str, *more: str) -> list[str]:
    return [
        "-m", "unisono", "unify", "--no-check-audio", "--datasets", str(recipe), "--output", str(output),
        "--data-root", str(recipe.parent), "--captions", "llm", "varied", "--llm-url", url, "--llm-model", "tiny", *more,
    ]  # fmt: skip


def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, 64)
    env = {**os.environ, "NO_PROXY": "127.0.0.1"}

    def answer(messages: list[dict[str, str]], number: int) -> Reply:
        told = messages[1]["content"].partition("Moods: ")[2].partition("\n")[0].replace(", ", " and ")
        return Reply(says(f"A {told} guitar plays on.").body, delay_s=0.02)

    with chat_server(answer) as chat:
        command = unify_command(recipe, tmp_path / "out.jsonl", chat.url, "--llm-workers", "2")
        process = start(*command, env=env)
        deadline = time.monotonic() + 60
        while len(chat.asked) < 20 and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.communicate(60)
        before = len(chat.asked)
        assert 20 <= before < 60
        assert not (tmp_path / "out.jsonl").exists()
        done = python(*command, env=env)
        assert done.returncode == 0, done.stderr
        assert len(chat.asked) - before <= 64 - before + 3
        whole = unify_command(recipe, tmp_path / "whole.jsonl", chat.url, "--llm-cache", str(tmp_path / "other.jsonl"))
        assert python(*whole, env=env).returncode == 0
    assert (tmp_path / "out.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    report = json.loads((tmp_path / "out.report.json").read_text())
    assert report["llm"]["counts"]["accepted"] == 64
    assert report["datasets"]["own"]["captions"] == {"model": 64, "tags": 64}
