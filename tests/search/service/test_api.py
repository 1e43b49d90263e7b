"""The API: each answer is as its description says, and what it says is true."""

import json
import urllib.parse

import jsonschema
import numpy as np
import pytest

from tests.search.service.world import PNG, Shelf, ask, running, tone, track, windowed
from unisono.search.service.audiomuse import ServerIds
from unisono.search.service.endpoints import ENDPOINTS
from unisono.search.service.music import SavedPlaylist

V1 = "/api/v1"


class WithServer(Shelf):
    """A shelf whose playlists a media server keeps, unless its name is `away`."""

    def targets(self):
        return ["subsonic:https://music.example"]

    def save_playlist(self, name, tracks, target):
        return SavedPlaylist(name, target, len(tracks), 0)

    def server_ids(self):
        tracks = self.now.tracks
        return ServerIds({track.id: f"nd-{row}" for row, track in enumerate(tracks)}, {"artist:0": "nd-ar-0"})


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    folder = tmp_path_factory.mktemp("music")
    seconds = [40, 60, 200, 300]
    vectors, windows = windowed(seconds, 10)
    tracks = [
        track(
            f"t/{row} ö", title=f"Title {row}", artist="Some Artist", artist_id=f"artist:{row % 2}", album="A",
            year=1990 + 5 * row, duration_s=each,
            tags=["folk", "rock"][: row % 2 + 1], audio_path=tone(folder / f"{row}.wav", 2),
        )
        for row, each in enumerate(seconds)
    ]  # fmt: skip
    (folder / "cover.png").write_bytes(PNG)
    with running(tracks, music=WithServer(tracks, vectors, windows), folder=folder) as port:
        yield port


ID = urllib.parse.quote("t/1 ö", safe="")
GETS = [
    f"/search?q=calm&q=guitar&without=voice&like={ID}&where=year>=1990&top=2&diversity=0.3&max_per_artist=2",
    "/search?where=tags=folk", f"/similar?id={ID}&top=2", "/tracks?limit=1&offset=1", f"/track?id={ID}", f"/audio?id={ID}",
    f"/audio.mp3?id={ID}",
    f"/cover?id={ID}", "/facets?where=year>=1995", "/facets", "/suggestions", "/playlists", "/playlists?on_servers=true",
    "/about", "/version", "/health", "/metrics",
    "/api/similar_tracks?eliminate_duplicates=true&item_id=nd-0&n=3&radius_similarity=true&server=x",
    "/api/similar_artists?artist=nd-ar-0&include_component_matches=true&n=10",
    "/openapi.json", "/search?colour=red", "/search?top=x", "/search?top=0", "/search?where=colour=red",
    "/search?where=year=1800",
    "/search?q=", "/search?q=" + "a" * 1001,
    "/track?id=9", "/track", "/similar?id=9", "/audio?id=9", "/cover?id=9", "/audio.mp3?id=9",
    "/api/similar_tracks?item_id=nd-9", "/api/similar_tracks", "/api/similar_artists?artist=nobody",
    "/playlist.m3u8?name=none", "/search?like=/etc/x.m3u8", "/search?like=nobody",
]  # fmt: skip
POSTS = [
    ("/search", {"q": ["calm"], "top": 3}),
    ("/feedback", {"id": "t/1 ö", "verdict": "keep", "q": ["calm"]}),
    ("/playlists", {"name": "Évening / 1", "tracks": ["t/1 ö", "t/2 ö"]}),
    ("/playlists", {"name": "x", "tracks": ["t/1 ö"], "target": "subsonic:https://music.example"}),
    ("/login", {"password": "x"}),
    ("/logout", {}),
    ("/search", {"q": "calm"}),
    ("/feedback", {"id": "9", "verdict": "keep"}),
    ("/feedback", {"id": "t/1 ö", "verdict": "love"}),
    ("/playlists", {"name": "../..", "tracks": ["t/1 ö"]}),
]


def checked(port, description, method, route, body=None):
    """Ask, compare the answer with the description, and return it."""
    route = route if route.startswith("/api") else V1 + route
    answer, content = ask(port, route.replace(">", "%3E").replace(" ", "+"), method, body)
    operation = description["paths"][route.partition("?")[0]][method.lower()]
    said = operation["responses"][str(answer.status)]["content"]
    kind = answer.headers["Content-Type"].partition(";")[0]
    assert kind in said or f"{kind.partition('/')[0]}/*" in said
    schema = said.get(kind, {}).get("schema")
    if schema:
        whole = {**schema, "components": description["components"]}
        jsonschema.Draft202012Validator(whole).validate(json.loads(content))
    return answer.status, content


def test_every_answer_is_as_the_description_says(port):
    description = json.loads(ask(port, f"{V1}/openapi.json")[1])
    seen = {("GET", route.partition("?")[0]): 0 for route in GETS}
    for route in GETS:
        status, _ = checked(port, description, "GET", route)
        assert (status == 200) == (route in GETS[:20]), route
        seen["GET", route.partition("?")[0]] += status == 200
    for place, (route, body) in enumerate(POSTS):
        status, _ = checked(port, description, "POST", route, json.dumps(body).encode())
        assert (status == 200) == (place not in (4, 6, 7, 8, 9)), (route, body)
        seen["POST", route] = seen.get(("POST", route), 0) + (status == 200)
    status, content = checked(port, description, "GET", "/playlist.m3u8?name=%C3%89vening%20/%201")
    assert status == 200 and content.startswith(b"#EXTM3U") and content.count(b".wav") == 2
    assert {(each.method, each.path.removeprefix(V1)) for each in ENDPOINTS} == set(seen)


def test_a_question_of_several_parts(port):
    answer, content = ask(port, f"{V1}/search?q=calm&like={ID}&top=3")
    found = json.loads(content)
    assert answer.status == 200 and found["searched"] == 4 and len(found["hits"]) == 3
    first = found["hits"][0]
    assert {"calm", "like Some Artist - Title 1"} == set(first["parts"])
    assert len(first["curve"]) == first["track"]["duration_s"] // 10
    assert first["moment_s"] == max(first["curve"], key=lambda each: each[1])[0]
    assert all(hit["track"]["id"] != "t/1 ö" for hit in found["hits"])


def test_verdicts_are_remembered_for_the_question_and_no_other(port):
    def hits(q):
        return {hit["track"]["id"]: hit["verdict"] for hit in json.loads(ask(port, f"{V1}/search?q={q}")[1])["hits"]}

    before = hits("dark")
    assert len(before) == 4 and not any(before.values())
    for id, verdict in (("t/0 ö", "reject"), ("t/2 ö", "keep")):
        ask(port, f"{V1}/feedback", "POST", json.dumps({"id": id, "verdict": verdict, "q": ["Dark "]}))
    after = hits("dark")
    assert "t/0 ö" not in after and after["t/2 ö"] == "keep"
    assert not any(hits("light").values())
    ask(port, f"{V1}/feedback", "POST", json.dumps({"id": "t/0 ö", "verdict": "", "q": ["dark"]}))
    assert "t/0 ö" in hits("dark")


def test_what_can_be_narrowed_by_is_counted_among_what_is_left(port):
    groups = {
        group["name"]: {facet["label"]: facet["tracks"] for facet in group["facets"]}
        for group in json.loads(ask(port, f"{V1}/facets?where=year%3E=2000&where=duration=60..200")[1])["groups"]
    }
    assert groups["Tags"] == {"folk": 1}
    assert groups["Decade"] == {"1990s": 1, "2000s": 1}, "as if no year were chosen, so that another can be"
    assert groups["Length"] == {"2 to 4 min": 1, "4 to 8 min": 1}
    for group in json.loads(ask(port, f"{V1}/facets")[1])["groups"]:
        for facet in group["facets"]:
            where = urllib.parse.quote(facet["where"])
            assert json.loads(ask(port, f"{V1}/tracks?where={where}")[1])["total"] == facet["tracks"]


def test_a_condition_that_empties_the_list_is_named(port):
    answer, content = ask(port, f"{V1}/search?q=x&where=tags=rokc")
    assert answer.status == 400 and "rock" in json.loads(content)["hint"]


def test_a_new_index_is_searched_without_a_restart():
    music = Shelf([track(0)])
    with running([], music=music) as port:
        assert json.loads(ask(port, f"{V1}/about")[1])["tracks"] == 1
        music.now = Shelf([track(0), track("new")], np.eye(2, 3, dtype=np.float32)).now
        assert json.loads(ask(port, f"{V1}/about")[1])["tracks"] == 2
        found = json.loads(ask(port, f"{V1}/search?q=x")[1])
        assert [hit["track"]["id"] for hit in found["hits"]] == ["0", "new"]


def test_an_empty_library_says_so():
    with running([], music=Shelf([], np.zeros((0, 3), dtype=np.float32))) as port:
        assert ask(port, f"{V1}/about")[0].status == ask(port, f"{V1}/facets")[0].status == 200
        assert json.loads(ask(port, f"{V1}/suggestions")[1]) == {"suggestions": []}
        answer, content = ask(port, f"{V1}/search?q=x")
        assert answer.status == 400 and json.loads(content)["error"] == "There are no tracks."


def test_counters_count(port):
    ask(port, f"{V1}/search?q=x")
    text = ask(port, f"{V1}/metrics")[1].decode()
    assert 'unisono_requests_total{path="/api/v1/search",status="200"}' in text
    assert "unisono_tracks 4.0" in text and "unisono_request_seconds_bucket" in text
    assert "/etc" not in text


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"q=x", "application/x-www-form-urlencoded", 415),
        (b"{}" * 600_000, "application/json", 413),
    ],
)
def test_bodies_of_another_form_are_refused(port, body, kind, status):
    assert ask(port, f"{V1}/search", "POST", body, Content_Type=kind)[0].status == status


def test_a_track_without_a_file_has_no_cover(caplog):
    with running([track(0)]) as port:
        assert ask(port, "/api/v1/cover?id=0")[0].status == 404
    assert not [each for each in caplog.messages if "cover" in each]
