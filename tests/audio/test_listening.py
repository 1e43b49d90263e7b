"""Listening: the same samples have one hash in whatever file, nothing is decoded twice, broken files end nothing."""

import io
import json
import signal
import sqlite3
import time
from contextlib import closing, redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.loaded import python, start
from tests.making import make_track
from tests.planted import SECONDS, SOURCE_HZ, music, retag_mp3, write_copy, write_mp3
from unisono.audio import listening
from unisono.audio.cache import NAME
from unisono.audio.listening import listen
from unisono.cli import main
from unisono.curation.same_sound import audio_matches, duplicates
from unisono.tracks.files import read_tracks, write_tracks
from unisono.tracks.track import Track


def track(path: Path, **fields) -> Track:
    known = {"id": path.name, "audio_path": str(path), "duration": SECONDS}
    return make_track(**known | {"caption": f"The one piece that is called {path.name}"} | fields)


def hashes(*paths: Path) -> list[str]:
    return [heard.decoded for heard in listen([track(path) for path in paths])]


def run(*words: object, code: int = 0) -> str:
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said), pytest.raises(SystemExit) as end:
        main([*map(str, words)])
    assert (end.value.code or 0) == code, said.getvalue()
    return " ".join(said.getvalue().split())


def test_tags_change_no_hash(tmp_path: Path) -> None:
    mp3, flac, ogg = (tmp_path / f"plain.{ending}" for ending in ("mp3", "flac", "ogg"))
    sound = np.column_stack([music(1), music(2)])
    write_mp3(mp3, np.repeat(sound, 2, axis=0), 44_100, 128)
    for path, options in ((flac, {"subtype": "PCM_16"}), (ogg, {})):
        soundfile.write(path, sound, SOURCE_HZ, **options)
        with soundfile.SoundFile(tmp_path / f"tagged{path.suffix}", "w", SOURCE_HZ, 2, **options) as tagged:
            tagged.title, tagged.artist, tagged.comment = "Another title", "Somebody", "c" * 5000
            tagged.write(sound)
    retag_mp3(mp3, tmp_path / "tagged.mp3")
    retag_mp3(mp3, tmp_path / "front.mp3", cover_bytes=200_000, version_1=False)
    kinds = [(mp3, "tagged.mp3"), (mp3, "front.mp3"), (flac, "tagged.flac"), (ogg, "tagged.ogg")]
    for plain, tagged in kinds:
        assert plain.read_bytes() != (tmp_path / tagged).read_bytes()
        one, other = hashes(plain, tmp_path / tagged)
        assert one == other != ""
    assert len({*hashes(mp3, flac, ogg)}) == 3


def test_lossless_formats_have_one_hash_and_a_sample_another(tmp_path: Path) -> None:
    sound = np.round(music(1) * 32767).astype(np.int16)
    for name, options in {
        "a.wav": {"subtype": "PCM_16"},
        "b.flac": {"subtype": "PCM_16"},
        "c.wav": {"subtype": "PCM_24"},
        "d.aiff": {"subtype": "PCM_16"},
        "e.wav": {"subtype": "FLOAT"},
    }.items():
        written = sound.astype(np.float32) / 32768 if name == "e.wav" else sound
        soundfile.write(tmp_path / name, written, SOURCE_HZ, **options)
    assert len({*hashes(*sorted(tmp_path.iterdir()))}) == 1
    changed = sound.copy()
    changed[-1] += 1
    soundfile.write(tmp_path / "changed.wav", changed, SOURCE_HZ)
    soundfile.write(tmp_path / "rate.wav", sound, 2 * SOURCE_HZ)
    soundfile.write(tmp_path / "stereo.wav", np.column_stack([sound[::2], sound[1::2]]), SOURCE_HZ)
    assert len({*hashes(*(tmp_path / name for name in ("a.wav", "changed.wav", "rate.wav", "stereo.wav")))}) == 4


def test_an_excerpt_is_known_by_its_own_samples(tmp_path: Path) -> None:
    sound = np.round(music(1, 20) * 32767).astype(np.int16)
    soundfile.write(tmp_path / "song.flac", sound, SOURCE_HZ)
    soundfile.write(tmp_path / "clip.wav", sound[5 * SOURCE_HZ : 15 * SOURCE_HZ], SOURCE_HZ)
    tracks = [track(tmp_path / "song.flac", start=5.0), track(tmp_path / "clip.wav"), track(tmp_path / "song.flac")]
    heard = listen(tracks)
    assert heard[0].decoded == heard[1].decoded != heard[2].decoded


def test_each_pair_has_its_strongest_evidence(tmp_path: Path) -> None:
    original, other, retagged, encoded, copied = (tmp_path / f"{name}.mp3" for name in "abcde")
    write_mp3(original, np.repeat(music(1), 2), 44_100, 128)
    write_mp3(other, np.repeat(music(2), 2), 44_100, 128)
    retag_mp3(original, retagged)
    write_mp3(encoded, np.repeat(music(1), 2), 44_100, 64)
    copied.write_bytes(original.read_bytes())
    heard = listen([track(path) for path in (original, other, retagged, encoded, copied)])
    first, second = heard[:2], heard[2:]
    found = [(match.first, match.second, match.kind) for match in audio_matches(first, second, ["audio"])]
    assert found == [(0, 0, "decoded"), (0, 1, "audio")]
    found = [(match.first, match.second, match.kind) for match in audio_matches(first, second, ["decoded"])]
    assert found == [(0, 0, "decoded")]
    assert duplicates(heard) == [(0, 2), (0, 3), (0, 4)]
    assert [len(each.bits) for each in heard.fingerprints([4, 1])] == [len(heard[at].fingerprint.bits) for at in (4, 1)]


def test_nothing_is_decoded_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [tmp_path / f"{number}.wav" for number in range(4)]
    for number, path in enumerate(paths):
        soundfile.write(path, music(number, 4), SOURCE_HZ)
    (tmp_path / "broken.wav").write_bytes(b"nothing that sounds")
    paths.append(tmp_path / "broken.wav")
    tracks = [track(path, id=f"{path.name} {caption}") for path in paths for caption in range(3)]
    decoded: list[str] = []
    hear = listening.hear
    monkeypatch.setattr(
        listening, "hear", lambda decoder, excerpt: decoded.append(excerpt.path) or hear(decoder, excerpt)
    )
    once = listen(tracks, 2, tmp_path)
    assert sorted(decoded) == sorted(map(str, paths))
    again = listen(tracks, 1, tmp_path)
    assert len(decoded) == len(paths)
    for one, other in zip(once, again, strict=True):
        assert (one.decoded, one.fault) == (other.decoded, other.fault)
        for mine, theirs in zip(one.fingerprint, other.fingerprint, strict=True):
            np.testing.assert_array_equal(mine, theirs)
    soundfile.write(paths[1], music(9, 4), SOURCE_HZ)
    assert listen(tracks, 1, tmp_path)[3].decoded != once[3].decoded
    assert decoded[len(paths) :] == [str(paths[1])]


@pytest.mark.parametrize("there", ["rubbish", "folder"])
def test_listening_goes_on_where_nothing_can_be_kept(tmp_path: Path, there: str) -> None:
    soundfile.write(tmp_path / "a.wav", music(1, 4), SOURCE_HZ)
    if there == "rubbish":
        (tmp_path / NAME).write_bytes(b"no database" * 1000)
    else:
        (tmp_path / NAME).mkdir()
    assert duplicates(listen([track(tmp_path / "a.wav", id=name) for name in "ab"], data_root=tmp_path)) == [(0, 1)]


def test_a_killed_run_is_continued(tmp_path: Path) -> None:
    for number in range(3):
        soundfile.write(tmp_path / f"{number}.wav", music(number, 4), SOURCE_HZ)
    tracks = [
        track(tmp_path / f"{number % 3}.wav", id=str(number), duration=3 + number / 1000, caption="x")
        for number in range(600)
    ]
    write_tracks(tmp_path / "many.json", tracks)
    write_tracks(tmp_path / "few.json", tracks[:1])
    words = ["leaks", "many.json", "few.json", "--match", "decoded", "--data-root", "data"]
    often = "from unisono.base import store; store.SAVED_EVERY_S = 0.1"
    code = f"{often}; from unisono.cli import main; main({words})"
    cache = tmp_path / "data" / NAME

    def kept() -> int:
        if not cache.exists():
            return 0
        with closing(sqlite3.connect(f"file:{cache}?mode=ro", uri=True, timeout=10)) as connection:
            return (
                connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
                and (connection.execute("SELECT count(*) FROM entries").fetchone()[0])
            )

    for how in (signal.SIGKILL, signal.SIGINT):
        before = kept()
        process = start("-c", code, cwd=tmp_path)
        end = time.monotonic() + 60
        while kept() < before + 20 and process.poll() is None and time.monotonic() < end:
            time.sleep(0.02)
        process.send_signal(how)
        said = process.communicate(timeout=60)[1]
        assert process.returncode not in (0, 1), said
        assert "Traceback" not in said
    assert 40 <= kept() < 600
    done = python("-c", code, cwd=tmp_path)
    assert done.returncode == 1
    assert "1 of the 600 records" in " ".join(done.stderr.split())
    assert kept() == 600


def test_leaks_and_dedupe_listen_if_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    paths = [tmp_path / f"original{number}.wav" for number in (1, 2)]
    for number, path in enumerate(paths):
        soundfile.write(path, music(number), SOURCE_HZ)
    copied, lossless = tmp_path / "copy.mp3", tmp_path / "lossless.flac"
    write_copy(copied, music(0), 4)
    soundfile.write(lossless, soundfile.read(paths[1], dtype="int16")[0], SOURCE_HZ)
    (tmp_path / "noise.mp3").write_bytes(b"not a sound" * 100)
    train, benchmark = tmp_path / "train.json", tmp_path / "benchmark.json"
    write_tracks(train, map(track, paths))
    write_tracks(benchmark, map(track, [copied, lossless, tmp_path / "gone.mp3", tmp_path / "noise.mp3"]))
    assert "No leaks" in run("leaks", train, benchmark)
    said = run("leaks", train, benchmark, "--match", "audio", "--report", "report.json", code=1)
    assert "2 of 6 records could not be listened to" in said
    assert "gone.mp3: audio file missing" in said and "noise.mp3: not an audio file" in said
    report = json.loads((tmp_path / "report.json").read_text())
    assert [(row["first"], row["second"], row["match"]) for row in report["matches"]] == [
        ("original1.wav", "copy.mp3", "audio"),
        ("original2.wav", "lossless.flac", "decoded"),
    ]
    assert [item["id"] for item in report["unheard"]] == ["gone.mp3", "noise.mp3"]
    assert "--strict: 2 records" in run("leaks", train, benchmark, "--match", "audio", "--strict", code=3)
    assert "original1" not in run("leaks", train, benchmark, "--match", "decoded", code=1)
    run("leaks", train, benchmark, "--match", "audio", "--remove")
    assert list(read_tracks(tmp_path / "train.clean.json")) == []
    write_tracks(train, map(track, [*paths, copied, lossless, tmp_path / "gone.mp3"]))
    assert "5 records left" in run("dedupe", train)
    assert "3 records left" in run("dedupe", train, "--audio")
    report = json.loads((tmp_path / "train.deduped.report.json").read_text())
    assert report["unheard"] == [{"id": "gone.mp3", "reason": "audio file missing", "detail": ""}]
    assert any("the samples" in reason for choice in report["choices"] for reason in choice["by"])
    assert "--strict" in run("dedupe", train, "--audio", "--strict", code=1)
