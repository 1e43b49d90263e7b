"""Each way in which a server can misbehave: in the end the file is there, byte for byte, or a message says why not."""

import hashlib
import random
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import trustme

from tests.sources.download import server as misbehaviour
from tests.sources.download.server import Behaviour, Server, serving
from unisono.sources.base import RemoteFile
from unisono.sources.download.transfer import WORTH_A_THREAD, FetchError, StoppedError, Transfer
from unisono.sources.download.web import TransferPolicy, Web

CONTENT = random.Random(7).randbytes(300_000)
OTHER = random.Random(8).randbytes(300_000)
QUICK = TransferPolicy(connect=2, stall=0.3, retries=4, first_pause=0.01, longest_pause=0.05, longest_wait=1)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        server.files["/a"] = CONTENT
        yield server


def remote(server: Server, *paths: str, content: bytes = CONTENT, checksum: str | None = None) -> RemoteFile:
    if checksum is None:
        checksum = "md5:" + hashlib.md5(content).hexdigest()
    return RemoteFile(
        name="a.bin", urls=tuple(server.url + path for path in paths or ("/a",)), size=len(content), checksum=checksum
    )


def fetch(
    file: RemoteFile, folder: Path, *, accept_changed: bool = False, patience: TransferPolicy = QUICK
) -> Transfer:
    transfer = Transfer(file, folder / file.name, Web(patience, 2), accept_changed=accept_changed)
    transfer.run()
    return transfer


def assert_whole(folder: Path, content: bytes = CONTENT) -> None:
    assert [path.name for path in folder.iterdir()] == ["a.bin"]
    assert (folder / "a.bin").read_bytes() == content


RECOVERABLE: dict[str, list[Behaviour]] = {
    "well-behaved": [],
    "hangs up at once": [misbehaviour.hang_up] * 3,
    "cuts at random": [misbehaviour.cut(n) for n in (1, 70_000, 0, 99_999, 5, 60_000, 17, 1000, 2)],
    "cuts, then ignores Range": [misbehaviour.cut(200_000), misbehaviour.ignore_range],
    "cuts, then sends another part": [misbehaviour.cut(200_000), misbehaviour.wrong_part],
    "cuts, then does not say which part it sends": [misbehaviour.cut(200_000), misbehaviour.no_content_range],
    "cuts, then cannot continue": [misbehaviour.cut(200_000), misbehaviour.status(416)],
    "announces more than it sends": [misbehaviour.announce(len(CONTENT) + 1000)],
    "announces less than there is": [misbehaviour.announce(len(CONTENT) // 2)],
    "announces less, and ignores Range": [misbehaviour.announce(50_000), misbehaviour.ignore_range],
    "announces nothing": [misbehaviour.without_length(len(CONTENT))],
    "announces nothing, and cuts": [misbehaviour.without_length(n) for n in (1000, 100_000)],
    "overloaded": [misbehaviour.status(code) for code in (429, 500, 502, 503)],
    "asks for patience": [misbehaviour.status(429, Retry_After="0"), misbehaviour.status(503, Retry_After="0")],
    "sends a web page": [misbehaviour.web_page] * 2,
    "stalls": [misbehaviour.stall(100_000), misbehaviour.stall(0)],
    "trickles": [misbehaviour.trickle],
    "redirects": [misbehaviour.redirect("/a")] * 3,
    "damages": [misbehaviour.damaged] * 3,
}


@pytest.mark.parametrize("how", RECOVERABLE)
def test_it_gets_the_file_in_the_end(server: Server, tmp_path: Path, how: str) -> None:
    server.script["/a"] = list(RECOVERABLE[how])
    # Whoever waits for a stall waits briefly; elsewhere a busy machine must not seem to stall.
    fetch(remote(server), tmp_path, patience=QUICK if how in ("stalls", "trickles") else replace(QUICK, stall=20))
    assert_whole(tmp_path)
    assert not server.script["/a"], "the server did not come to misbehave"


@pytest.mark.parametrize("how", RECOVERABLE)
def test_a_later_run_gets_the_file_when_the_first_gave_up(server: Server, tmp_path: Path, how: str) -> None:
    """Every request of the first run but the first fails for good."""
    server.script["/a"] = [*(RECOVERABLE[how][:1] or [misbehaviour.cut(1234)]), misbehaviour.status(403)]
    once = TransferPolicy(connect=2, stall=0.3, retries=1, first_pause=0.01)
    try:
        fetch(remote(server), tmp_path, patience=once)
    except FetchError:
        assert not (tmp_path / "a.bin").exists()
        server.script["/a"] = []
        fetch(remote(server), tmp_path)
    assert_whole(tmp_path)


HOPELESS: dict[str, tuple[Behaviour, str]] = {
    "forbidden": (misbehaviour.status(403), "403"),
    "not there": (misbehaviour.status(404), "404"),
    "overloaded for ever": (misbehaviour.status(503), "503"),
    "asks for too much patience": (misbehaviour.status(429, Retry_After="86400"), "come back in 86,400 s"),
    "redirects in a circle": (misbehaviour.redirect("/a"), "circle"),
    "sends web pages only": (misbehaviour.web_page, "web page"),
    "never ends its header": (misbehaviour.trickle_header, "no answer came within 0.3 s"),
    "announces nothing, and always cuts": (misbehaviour.without_length(1000), "does not say how many there are"),
    "stalls for ever": (misbehaviour.stall(0), "nothing came for 0.3 s"),
    "hangs up for ever": (misbehaviour.hang_up, "connection failed"),
    "damages for ever": (misbehaviour.damaged, "not the published file"),
    "is part of nothing": (misbehaviour.no_content_range, "which part"),
}


@pytest.mark.parametrize("how", HOPELESS)
def test_it_gives_up_with_the_reason(server: Server, tmp_path: Path, how: str) -> None:
    server.otherwise, reason = HOPELESS[how]
    start = time.monotonic()
    with pytest.raises(FetchError, match=reason) as failure:
        fetch(remote(server), tmp_path)
    assert server.url + "/a" in failure.value.message
    assert time.monotonic() - start < 10
    assert not (tmp_path / "a.bin").exists()


@pytest.mark.parametrize("how", HOPELESS)
def test_the_next_mirror_takes_over(server: Server, tmp_path: Path, how: str) -> None:
    server.files["/b"] = CONTENT
    server.script["/a"] = [HOPELESS[how][0]] * 30
    fetch(remote(server, "/a", "/b"), tmp_path)
    assert_whole(tmp_path)


def test_mirrors_continue_each_other(server: Server, tmp_path: Path) -> None:
    server.files["/b"] = CONTENT
    server.script["/a"] = [misbehaviour.cut(250_000), misbehaviour.status(404)]
    fetch(remote(server, "/a", "/b"), tmp_path)
    assert_whole(tmp_path)
    assert server.requests[-1][1]["Range"] == "bytes=250000-"


def test_mirrors_do_not_continue_what_no_checksum_can_vouch_for(server: Server, tmp_path: Path) -> None:
    server.files["/b"] = OTHER
    server.script["/a"] = [misbehaviour.cut(250_000), misbehaviour.status(404)]
    fetch(remote(server, "/a", "/b", checksum=""), tmp_path)
    assert_whole(tmp_path, OTHER)


def test_only_the_rest_is_asked_for(server: Server, tmp_path: Path) -> None:
    server.script["/a"] = [misbehaviour.cut(200_000), misbehaviour.status(403)]
    with pytest.raises(FetchError, match="403") as failure:
        fetch(remote(server), tmp_path)
    assert "200,000 bytes are kept" in failure.value.hint
    fetch(remote(server), tmp_path)
    assert_whole(tmp_path)
    assert server.requests[-1][1]["Range"] == "bytes=200000-"
    assert server.requests[-1][1]["If-Range"] == misbehaviour.tag(CONTENT)


@pytest.mark.parametrize("checksum", [None, ""])
@pytest.mark.parametrize("then", [misbehaviour.well, misbehaviour.ignore_if_range])
def test_a_file_changed_between_two_tries_is_fetched_anew(
    server: Server, tmp_path: Path, checksum: str | None, then: Behaviour
) -> None:
    server.files["/a"] = OTHER
    server.script["/a"] = [misbehaviour.cut(100_000), misbehaviour.status(403)]
    with pytest.raises(FetchError):
        fetch(remote(server, checksum=checksum), tmp_path)
    server.files["/a"] = CONTENT
    server.script["/a"] = [then]
    fetch(remote(server, checksum=checksum), tmp_path)
    assert_whole(tmp_path)


def test_pieces_of_two_versions_never_stay_together(server: Server, tmp_path: Path) -> None:
    """Where neither tags nor dates tell, the checksum does."""
    server.files["/a"] = OTHER
    server.script["/a"] = [misbehaviour.cut(100_000), misbehaviour.status(403)]
    with pytest.raises(FetchError):
        fetch(remote(server), tmp_path)
    server.files["/a"] = CONTENT
    server.script["/a"] = [misbehaviour.ignore_if_range_without_tag]
    fetch(remote(server), tmp_path)
    assert_whole(tmp_path)


def test_a_part_left_by_something_else_is_used_if_it_fits(server: Server, tmp_path: Path) -> None:
    (tmp_path / "a.bin.part").write_bytes(CONTENT[:123_456])
    fetch(remote(server), tmp_path)
    assert_whole(tmp_path)
    assert server.requests[-1][1]["Range"] == "bytes=123456-"


@pytest.mark.parametrize("left", [OTHER[:1000], CONTENT + b"more", b""])
def test_a_part_that_does_not_fit_is_replaced(server: Server, tmp_path: Path, left: bytes) -> None:
    (tmp_path / "a.bin.part").write_bytes(left)
    (tmp_path / "a.bin.part.json").write_text("no JSON")
    fetch(remote(server), tmp_path)
    assert_whole(tmp_path)


def test_a_whole_part_needs_no_request(server: Server, tmp_path: Path) -> None:
    (tmp_path / "a.bin.part").write_bytes(CONTENT)
    fetch(remote(server), tmp_path)
    assert_whole(tmp_path)
    assert not server.requests


@pytest.mark.parametrize("changed", [OTHER, OTHER[:200_000], OTHER + OTHER[:50_000]], ids=["same size", "less", "more"])
def test_a_file_changed_upstream_is_told_from_a_damaged_one(server: Server, tmp_path: Path, changed: bytes) -> None:
    server.files["/a"] = changed
    got = hashlib.md5(changed).hexdigest()
    with pytest.raises(FetchError, match="the publisher has changed the file") as failure:
        fetch(remote(server), tmp_path)
    assert hashlib.md5(CONTENT).hexdigest() in failure.value.message
    assert got in failure.value.message
    assert f"{len(changed):,} bytes" in failure.value.message
    assert "--accept-new-checksum" in failure.value.hint
    assert not (tmp_path / "a.bin").exists()

    before = len(server.requests)
    transfer = fetch(remote(server), tmp_path, accept_changed=True)
    assert transfer.accepted
    assert_whole(tmp_path, changed)
    assert len(server.requests) == before, "what was got is kept, and not fetched a third time"


def test_a_change_that_upstream_takes_back_is_forgotten(server: Server, tmp_path: Path) -> None:
    server.files["/a"] = OTHER
    with pytest.raises(FetchError, match="changed"):
        fetch(remote(server), tmp_path)
    server.files["/a"] = CONTENT
    fetch(remote(server), tmp_path)
    assert_whole(tmp_path)


def test_the_mirror_that_has_the_published_file_is_preferred(server: Server, tmp_path: Path) -> None:
    server.files["/b"] = CONTENT
    server.files["/a"] = OTHER
    fetch(remote(server, "/a", "/b"), tmp_path)
    assert_whole(tmp_path)


def test_accepting_changes_does_not_accept_damage(server: Server, tmp_path: Path) -> None:
    server.script["/a"] = [misbehaviour.damaged, misbehaviour.damaged]
    assert not fetch(remote(server), tmp_path, accept_changed=True).accepted
    assert_whole(tmp_path)


def test_an_unknown_length_and_a_cut_are_no_change_by_the_publisher(server: Server, tmp_path: Path) -> None:
    server.otherwise = misbehaviour.without_length(1000)
    file = replace(remote(server), size=0)
    with pytest.raises(FetchError, match="does not say how many there are") as failure:
        fetch(file, tmp_path)
    assert "--accept-new-checksum" not in failure.value.hint
    server.otherwise = misbehaviour.well
    fetch(file, tmp_path)
    assert_whole(tmp_path)


def test_endless_data_is_cut_off(server: Server, tmp_path: Path) -> None:
    server.files["/a"] = CONTENT * 30
    with pytest.raises(FetchError, match="more than twice"):
        fetch(remote(server), tmp_path)
    assert (tmp_path / "a.bin.part").stat().st_size < 4 * len(CONTENT) + 2_000_000


@pytest.mark.parametrize("size_known", [True, False])
def test_without_a_checksum_the_size_decides(server: Server, tmp_path: Path, size_known: bool) -> None:
    server.script["/a"] = [misbehaviour.cut(100_000)]
    file = remote(server, content=CONTENT if size_known else b"", checksum="")
    fetch(file, tmp_path)
    assert_whole(tmp_path)


def test_an_empty_file(server: Server, tmp_path: Path) -> None:
    server.files["/a"] = b""
    fetch(remote(server, content=b""), tmp_path)
    assert_whole(tmp_path, b"")


@pytest.mark.parametrize("kind", ["md5", "sha1", "sha256", "git"])
def test_checksums_of_all_kinds(server: Server, tmp_path: Path, kind: str) -> None:
    header = b"blob %d\0" % len(CONTENT) if kind == "git" else b""
    checksum = hashlib.new("sha1" if kind == "git" else kind, header + CONTENT).hexdigest()
    server.script["/a"] = [misbehaviour.cut(100_000)]
    fetch(remote(server, checksum=f"{kind}:{checksum}"), tmp_path)
    assert_whole(tmp_path)


def test_a_certificate_that_cannot_be_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with serving(context) as server:
        server.files["/a"] = CONTENT
        with pytest.raises(FetchError, match="certificate cannot be trusted"):
            fetch(remote(server), tmp_path)
        authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "authority.pem"))
        fetch(remote(server), tmp_path / "..")
    assert (tmp_path.parent / "a.bin").read_bytes() == CONTENT


def test_nobody_listens(server: Server, tmp_path: Path) -> None:
    file = remote(server)
    server.shutdown()
    server.server_close()
    with pytest.raises(FetchError, match="connection failed"):
        fetch(file, tmp_path)


def test_retry_after_is_waited_for(server: Server, tmp_path: Path) -> None:
    server.script["/a"] = [misbehaviour.status(429, Retry_After="1")]
    start = time.monotonic()
    fetch(remote(server), tmp_path)
    assert time.monotonic() - start >= 1


def test_stopping_keeps_what_came(server: Server, tmp_path: Path) -> None:
    server.script["/a"] = [misbehaviour.cut(100_000), misbehaviour.status(503, Retry_After="1")]
    stop = threading.Event()
    file = remote(server)
    transfer = Transfer(file, tmp_path / "a.bin", Web(QUICK, 1), stop=stop)
    threading.Timer(0.2, stop.set).start()
    with pytest.raises(StoppedError):
        transfer.run()
    assert (tmp_path / "a.bin.part").read_bytes() == CONTENT[:100_000]


def test_progress_adds_up(server: Server, tmp_path: Path) -> None:
    server.script["/a"] = [misbehaviour.cut(100_000), misbehaviour.ignore_range, *[misbehaviour.damaged] * 2]
    counts: list[int] = []
    Transfer(remote(server), tmp_path / "a.bin", Web(QUICK, 1), advance=counts.append).run()
    assert sum(counts) == len(CONTENT)


def test_connections_are_kept(server: Server, tmp_path: Path) -> None:
    web = Web(QUICK, 2)
    for number in range(50):
        (tmp_path / str(number)).mkdir()
        Transfer(remote(server), tmp_path / str(number) / "a.bin", web).run()
    assert server.connections == 1


def test_large_files_are_hashed_by_another_thread(server: Server, tmp_path: Path) -> None:
    content = random.Random(9).randbytes(WORTH_A_THREAD + 1_000_000)
    server.files["/a"] = content
    server.script["/a"] = [misbehaviour.cut(WORTH_A_THREAD // 2), misbehaviour.damaged, misbehaviour.cut(10_000_000)]
    fetch(remote(server, content=content), tmp_path)
    assert_whole(tmp_path, content)
    assert not [thread for thread in threading.enumerate() if thread.name == "hash"]


@pytest.mark.parametrize("checksum", ["", None])
def test_a_packed_answer_is_not_stored_unless_a_checksum_vouches_for_it(
    server: Server, tmp_path: Path, checksum: str | None
) -> None:
    def packed(handler: misbehaviour.Handler, content: bytes) -> None:
        handler.answer(200, content, {"Content-Encoding": "gzip"})

    server.otherwise = packed
    file = remote(server, checksum=checksum)
    if checksum is None:
        fetch(file, tmp_path)
        assert_whole(tmp_path)
        return
    with pytest.raises(FetchError, match="it sends the file packed"):
        fetch(file, tmp_path)


@pytest.mark.parametrize("header", ["Content-Length", "Content-Range"])
def test_numbers_of_thousands_of_digits_end_nothing(server: Server, tmp_path: Path, header: str) -> None:
    def endless(handler: misbehaviour.Handler, content: bytes) -> None:
        value = "9" * 5000
        handler.answer(206, content, {header: f"bytes 0-1/{value}" if header == "Content-Range" else value})
        handler.hang_up()

    server.script["/a"] = [endless] * 99
    server.files["/b"] = CONTENT
    fetch(remote(server, "/a", "/b"), tmp_path)
    assert_whole(tmp_path)


@pytest.mark.parametrize("target", ["http://[::1", "http://", "ftp://x/y", "http://a b/"])
def test_redirects_to_nonsense_are_no_reason_to_end(server: Server, tmp_path: Path, target: str) -> None:
    server.script["/a"] = [misbehaviour.redirect(target)] * 99
    server.files["/b"] = CONTENT
    fetch(remote(server, "/a", "/b"), tmp_path)
    assert_whole(tmp_path)


def test_no_redirect_leaves_encryption() -> None:
    import requests

    session = Web(QUICK, 1).session
    request = requests.Request("GET", "http://example.org/b").prepare()
    response = requests.Response()
    response.request = requests.Request("GET", "https://example.org/a").prepare()
    with pytest.raises(requests.exceptions.InvalidSchema, match="from https to"):
        session.rebuild_auth(request, response)


@pytest.mark.parametrize("behaviour", [misbehaviour.well, misbehaviour.trickle_header])
def test_the_proxy_of_the_environment_is_used(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, behaviour: Behaviour
) -> None:
    for name in ("NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTP_PROXY", server.url)
    monkeypatch.setenv("http_proxy", server.url)
    server.otherwise = behaviour
    file = replace(remote(server), urls=("http://elsewhere.invalid/a",))
    if behaviour is misbehaviour.well:
        fetch(file, tmp_path)
        assert_whole(tmp_path)
    else:
        with pytest.raises(FetchError, match=r"no answer came within 0\.3 s"):
            fetch(file, tmp_path)
    assert server.requests
