"""Who may ask: passwords, tokens, sessions, names of hosts, and a proxy's prefix."""

import collections
import concurrent.futures
import json
import subprocess
import sys

import pytest

from tests.search.service.world import ask, running, track
from unisono.base.errors import DataError, UsageError
from unisono.commands.serve import ServeOptions, run
from unisono.search.service.auth import FREE_TRIES, Auth, TooManyTriesError

V1 = "/api/v1"
PASSWORD = "correct horse"


@pytest.fixture
def auth(tmp_path):
    auth = Auth(tmp_path / "service.json")
    auth.set_password(PASSWORD)
    return auth


def login(port, password, **headers):
    answer, _ = ask(port, f"{V1}/login", "POST", json.dumps({"password": password}), **headers)
    return answer, (answer.headers["Set-Cookie"] or "").partition(";")[0]


def test_nothing_is_told_without_a_password(auth):
    token = auth.new_token()
    with running([track(0, title="secret")], auth=auth) as port:
        for route in (
            "/search?q=x",
            "/about",
            "/audio?id=0",
            "/tracks",
            "/metrics",
            "/version",
            "/facets",
            "/suggestions",
        ):
            answer, content = ask(port, V1 + route)
            assert answer.status == 401 and b"secret" not in content, route
            assert ask(port, V1 + route, Authorization="Bearer wrong")[0].status == 401
            assert ask(port, V1 + route, Cookie="unisono_session=1e99.x.y")[0].status == 401
            assert ask(port, V1 + route, Authorization=f"Bearer {token}")[0].status != 401
        assert ask(port, "/")[0].status == ask(port, f"{V1}/health")[0].status == 200
        assert login(port, "wrong")[0].status == 401
        answer, cookie = login(port, PASSWORD)
        assert answer.status == 200
        assert "HttpOnly" in answer.headers["Set-Cookie"] and "SameSite=strict" in answer.headers["Set-Cookie"]
        assert ask(port, f"{V1}/search?q=x", Cookie=cookie)[0].status == 200
    stored = auth.path.read_text()
    assert PASSWORD not in stored and token not in stored
    assert auth.path.stat().st_mode & 0o777 == 0o600


def test_sessions_end_when_the_password_changes_in_another_process(auth):
    with running([track(0)], auth=auth) as port:
        cookies = [login(port, PASSWORD)[1] for _ in range(2)]
        assert ask(port, f"{V1}/about", Cookie=cookies[0])[0].status == 200
        ask(port, f"{V1}/logout", "POST", Cookie=cookies[0])
        assert [ask(port, f"{V1}/about", Cookie=cookie)[0].status for cookie in cookies] == [401, 200]
        done = subprocess.run(
            [sys.executable, "-m", "unisono", "serve", "--set-password", "--data-root", auth.path.parent],
            input="another password\n", capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert ask(port, f"{V1}/about", Cookie=cookies[1])[0].status == 401
        assert login(port, PASSWORD)[0].status == 401
        assert login(port, "another password")[0].status == 200
        auth.path.unlink()  # the door does not open because the lock is gone
        assert ask(port, f"{V1}/about")[0].status == 503


def test_guessing_is_slowed_down_for_the_address_that_guesses(tmp_path):
    now = [1000.0]
    auth = Auth(tmp_path / "service.json", clock=lambda: now[0])
    auth.set_password(PASSWORD)
    assert [auth.sign_in("wrong", "a") for _ in range(FREE_TRIES)] == [None] * FREE_TRIES
    with pytest.raises(TooManyTriesError):
        auth.sign_in(PASSWORD, "a")
    assert auth.sign_in(PASSWORD, "b")
    now[0] += 3
    session = auth.sign_in(PASSWORD, "a")
    assert auth.is_session(session)
    now[0] += 31 * 86400
    assert not auth.is_session(session)
    with running([track(0)], auth=auth) as port:
        statuses = [login(port, "wrong")[0].status for _ in range(FREE_TRIES + 1)]
        assert statuses == [401] * FREE_TRIES + [429]
        assert login(port, PASSWORD)[0].headers["Retry-After"] == "2"


def test_many_who_guess_at_once_do_not_stop_the_others(auth):
    with running([track(0)], auth=auth) as port, concurrent.futures.ThreadPoolExecutor(60) as pool:
        statuses = [pool.submit(lambda: login(port, "wrong")[0].status) for _ in range(60)]
        assert ask(port, "/")[0].status == ask(port, f"{V1}/health")[0].status == 200
        counted = collections.Counter(each.result() for each in statuses)
    assert counted[401] < 2 * FREE_TRIES and counted[401] + counted[429] + counted[503] == 60


def test_a_session_that_was_changed_is_none(auth):
    session = auth.sign_in(PASSWORD, "")
    expires, rest = session.split(".", 1)
    for other in (f"{int(expires) + 1}.{rest}", session[:-1], "", "..", "ü", session + "0"):
        assert not auth.is_session(other)


def test_a_damaged_file_is_refused(tmp_path):
    (tmp_path / "service.json").write_text("{")
    with pytest.raises(DataError, match="cannot be read"):
        Auth(tmp_path / "service.json").is_set  # noqa: B018


def test_the_network_is_not_served_without_a_password(tmp_path, monkeypatch):
    monkeypatch.delenv("UNISONO_PASSWORD", raising=False)
    for host in ("0.0.0.0", "::", "192.168.1.2", "nas"):
        with pytest.raises(UsageError, match="set a password first"):
            run(ServeOptions(host=host, data_root=tmp_path, model="tags"))
    with pytest.raises(UsageError, match="at least 8"):
        monkeypatch.setenv("UNISONO_PASSWORD", "short")
        run(ServeOptions(host="0.0.0.0", data_root=tmp_path, model="tags"))


def test_only_its_own_names_are_answered(auth):
    with running([track(0)], hosts=["NAS.local"], any_address=True) as port:
        for host in ("nas.local", "NAS.LOCAL:8765", "192.168.1.5:80", "[fd00::1]:8765", "localhost", "127.0.0.1"):
            assert ask(port, f"{V1}/about", Host=host)[0].status == 200, host
        for host in ("evil.example", "nas.local.evil.example", "192.168.1.5.evil.example", "", "[nas.local]"):
            assert ask(port, f"{V1}/about", Host=host)[0].status == 400, host
        assert b"--allow-host" in ask(port, "/", Host="music.example:80")[1]
    with running([track(0)]) as port:
        assert ask(port, "/", Host="192.168.1.5")[0].status == 400


def test_a_link_of_another_site_may_lead_to_the_page_and_to_nothing_else():
    link = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}
    with running([track(0)]) as port:
        assert ask(port, "/?q=x", **link)[0].status == 200
        assert ask(port, "/?q=x", **{**link, "Sec_Fetch_Dest": "iframe"})[0].status == 403
        for path in (f"{V1}/about", f"{V1}/audio?id=0", "/page.js"):
            assert ask(port, path, **link)[0].status == 403
        body = json.dumps({"q": ["x"]})
        assert ask(port, f"{V1}/search", "POST", body, Origin="http://evil.example")[0].status == 403
        assert ask(port, f"{V1}/search", "POST", body, Origin=f"http://127.0.0.1:{port}")[0].status == 200


def test_behind_a_proxy_under_a_path(auth):
    with running([track(0)], auth=auth, prefix="/music") as port:
        answer, _ = ask(port, "/music?q=x")
        assert answer.status == 308 and answer.headers["Location"] == "music/?q=x"
        assert (
            ask(port, "/music/")[0].status == ask(port, "/")[0].status == ask(port, "/music/page.js")[0].status == 200
        )
        assert ask(port, "/musical/")[0].status == 404
        assert ask(port, f"/music{V1}/about")[0].status == 401
        answer, cookie = login(port, PASSWORD)
        assert "Path=/music" in answer.headers["Set-Cookie"]
        assert ask(port, f"/music{V1}/about", Cookie=cookie)[0].status == 200
        assert json.loads(ask(port, f"/music{V1}/openapi.json")[1])["servers"] == [{"url": "/music"}]
