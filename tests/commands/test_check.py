"""What is planted is found, and what is sound is left alone."""

import io
import json
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.audio.test_speech import RATE_HZ as SPEECH_HZ
from tests.audio.test_speech import babble
from tests.making import make_track
from unisono.audio.quality import listen
from unisono.base.errors import DataError
from unisono.cli import main
from unisono.commands.check import check
from unisono.curation.caption_quality import contradiction, shared, short
from unisono.embeddings.file import create_embeddings
from unisono.tracks.files import read_tracks, write_tracks
from unisono.tracks.track import SPLITS, Track

RATE_HZ = 8000


def track(name: str, **fields) -> Track:
    return make_track(**{"id": name, "audio_path": f"/{name}.wav", "caption": "A calm song", "duration": 1.0} | fields)


def wave(kind: str, seconds: float = 4.0) -> np.ndarray:
    time_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    tone = 0.5 * np.sin(2 * np.pi * 220 * time_s)
    return {
        "tone": tone,
        "silent": np.zeros_like(tone),
        "hiss": 1e-5 * np.random.default_rng(0).standard_normal(len(tone)),
        "clipped": np.clip(tone * 8, -1, 1),
        "loud": tone * 1.99,  # reaches full scale for single samples only
        "nan": np.where(time_s > 2, np.nan, tone),
    }[kind]


@pytest.mark.parametrize(
    ("kind", "finding"),
    [
        ("tone", []),
        ("silent", ["silent"]),
        ("hiss", ["silent"]),
        ("clipped", ["clipped"]),
        ("loud", []),
        ("nan", ["unreadable"]),
    ],
)
def test_planted_faults_of_the_audio(tmp_path: Path, kind: str, finding: list[str]) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.stack([wave(kind)] * 2, axis=1), RATE_HZ, subtype="FLOAT")
    assert [item.kind for item in listen(track("a", audio_path=str(path), duration=4.0))] == finding


def test_durations_and_files_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, wave("tone"), RATE_HZ)
    assert [item.kind for item in listen(track("a", audio_path=str(path), start=3.0, duration=1.0))] == []
    assert [item.kind for item in listen(track("a", audio_path=str(path), start=3.0, duration=9.0))] == ["duration"]
    assert [item.kind for item in listen(track("a", audio_path=str(path), start=9.0))] == ["duration", "unreadable"]
    assert [item.kind for item in listen(track("a"))] == ["unreadable"]
    (tmp_path / "b.wav").write_bytes(b"no audio")
    assert [item.kind for item in listen(track("b", audio_path=str(tmp_path / "b.wav")))] == ["unreadable"]


@pytest.mark.parametrize(
    ("tags", "caption", "found"),
    [
        (["instrumental"], "A woman sings over strings", True),
        (["instrumental"], "A piece for strings, no vocals", False),
        (["instrumental"], "There are no drums, and vocals everywhere", False),  # in doubt, nothing is said
        (["instrumental"], "A piece for strings", False),
        (["instrumental", "choir"], "A choir sings", False),
        (["female vocals"], "A piece without any vocals", True),
        (["female vocals"], "This is an instrumental for piano", True),
        (["female vocals"], "A woman sings in an instrumental frame", False),
        (["slow"], "A fast-paced punk song", True),
        (["slow"], "It begins slow and ends fast", False),
        (["fast"], "A slow ballad", True),
        (["rock"], "A slow ballad", False),
    ],
)
def test_contradictions(tags: list[str], caption: str, found: bool) -> None:
    assert bool(contradiction(track("a", tags=tags, caption=caption))) == found
    assert not contradiction(track("a", tags=tags, caption=caption, caption_origin="tags"))


def test_short_and_shared_captions() -> None:
    assert short(track("a", caption="Nice!")) == "'Nice!'"
    assert not short(track("a", caption="A calm song"))
    tracks = [track(f"t{n}", caption="The very same words!" if n < 4 else f"Words of number {n}") for n in range(9)]
    tracks.append(track("excerpt", caption="the very same words", recording="r:1"))
    tracks.append(track("made", caption="the very same words", caption_origin="tags"))
    assert [at for at, _ in shared(tracks, 5)] == [0, 1, 2, 3, 9]
    assert list(shared(tracks, 6)) == []


def test_the_command_reports_and_drops(tmp_path: Path) -> None:
    for kind in ("tone", "silent", "clipped"):
        soundfile.write(tmp_path / f"{kind}.wav", wave(kind), RATE_HZ)
    path = tmp_path / "unified.json"
    write_tracks(
        path,
        [track(kind, audio_path=str(tmp_path / f"{kind}.wav"), duration=4.0) for kind in ("tone", "silent", "clipped")],
    )
    said = io.StringIO()
    soundfile.write(tmp_path / "talk.wav", babble(0, 30), SPEECH_HZ)
    more = [*read_tracks(path), track("talk", audio_path=str(tmp_path / "talk.wav"), duration=30.0)]
    write_tracks(path, more)
    with redirect_stdout(said), redirect_stderr(said), pytest.raises(SystemExit) as end:
        main(["check", str(path), "--drop", "silent", "unreadable"])
    assert not end.value.code, said.getvalue()
    assert "clipped" in said.getvalue() and "1 left out" in said.getvalue()
    assert [item.id for item in read_tracks(tmp_path / "unified.checked.json")] == ["tone", "clipped", "talk"]
    findings = json.loads((tmp_path / "unified.check.json").read_text())["findings"]
    assert {name: list(found) for name, found in findings.items()} == {
        "silent": ["silent"],
        "clipped": ["clipped"],
        "speech": ["talk"],
    }


def test_what_only_the_audio_shows_is_not_dropped_without_it(tmp_path: Path) -> None:
    write_tracks(tmp_path / "unified.json", [track("a")])
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said), pytest.raises(SystemExit) as end:
        main(["check", str(tmp_path / "unified.json"), "--no-audio", "--drop", "speech", "short-caption"])
    assert end.value.code == 2 and "--drop speech needs the audio" in " ".join(said.getvalue().split())
    assert not (tmp_path / "unified.checked.json").exists()


def test_embeddings_are_compared_with_their_checksums(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "embeddings.h5"
    with create_embeddings(path, {}, 0) as writer:
        for split in SPLITS:
            writer.add_split(split, [track(f"{split}_{number}", audio_path="/a.wav") for number in range(3)])
    check(path)
    assert "is whole: 9 rows, 45 datasets" in capsys.readouterr().out.replace("\n", " ")
    content = path.read_bytes()
    path.write_bytes(content.replace(b"train_1", b"train_7"))
    with pytest.raises(DataError, match="train/ids"):
        check(path)
    path.write_bytes(content[:-100])
    with pytest.raises(DataError, match=r"embeddings\.h5"):
        check(path)
