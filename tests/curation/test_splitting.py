"""`unisono unify` keeps what is held out apart from what is trained on, whatever joins them."""

import io
import os
from collections import Counter
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
import soundfile

from tests.making import make_track
from tests.planted import SOURCE_HZ, music
from tests.releases import jamendo_max_caps, song_describer
from unisono.cli import main
from unisono.tracks.files import read_tracks, write_tracks
from unisono.tracks.track import replace

COPY, TOLD = 8, 9
OTHERS = range(2000, 2040)


def unify(*options: object, code: int = 0) -> str:
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said), pytest.raises(SystemExit) as end:
        main(["unify", *map(str, options)])
    assert (end.value.code or 0) == code, said.getvalue()
    return " ".join(said.getvalue().split())


def split_of(path: Path) -> dict[str, str | None]:
    return {track.id: track.split for track in read_tracks(path)}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Song Describer, and JamendoMaxCaps with a copy of one of its songs, with the caption of another, and with twins."""
    data = tmp_path_factory.mktemp("data")
    (data / "raw/jamendo_max_caps").mkdir(parents=True)
    song_describer.build(data / "raw/song_describer")
    sound = music(1)
    soundfile.write(data / "raw/song_describer/audio/34/1004034.2min.mp3", sound, SOURCE_HZ)
    folder = data / "raw/jamendo_max_caps"
    numbers = [COPY, TOLD, *OTHERS]
    rows = [{"id": str(n), "caption": f"Song number {n}", "start_time": 0.0, "end_time": 9.0} for n in numbers]
    rows[1]["caption"] = "Métal énergique: fast drums and distorted guitars!"
    jamendo_max_caps.write_jsonl(folder / "final_caption30sec.jsonl", rows)
    jamendo_max_caps.write_jsonl(
        folder / "2008-01-01.jsonl",
        [jamendo_max_caps.metadata(n, f"Song {n}", f"Artist {n}", artist_id=str(n)) for n in numbers],
    )
    for n in numbers:
        path = folder / f"audio/{n}.mp3"
        path.parent.mkdir(exist_ok=True)
        if n in OTHERS and n % 2:
            os.link(folder / f"audio/{n - 1}.mp3", path)
        else:
            soundfile.write(path, sound[SOURCE_HZ // 2 :] * 0.5 if n == COPY else music(n), SOURCE_HZ)
    return data


def test_what_is_held_out_is_joined_by_sound_and_by_text_if_asked_to(data: Path, tmp_path: Path) -> None:
    output = tmp_path / "unified.json"
    options = ["--data-root", data, "--datasets", "jamendo_max_caps", "--output", output]
    options += ["--hold-out", "song_describer", "--overwrite"]
    copy, told = f"jamendo_max_caps_{COPY}_0-9", f"jamendo_max_caps_{TOLD}_0-9"
    unify(*options)
    plain = split_of(output)
    unify(*options, "--match", "text")
    assert {name for name, split in split_of(output).items() if split != plain[name]} <= {told}
    assert split_of(output)[told] == "test"
    assert plain[copy] == "train", "what follows would say nothing"
    unify(*options, "--match", "decoded")
    decoded = split_of(output)
    assert decoded[copy] == "train"
    assert all(decoded[f"jamendo_max_caps_{n}_0-9"] == decoded[f"jamendo_max_caps_{n + 1}_0-9"] for n in OTHERS[::2])
    assert any(plain[f"jamendo_max_caps_{n}_0-9"] != plain[f"jamendo_max_caps_{n + 1}_0-9"] for n in OTHERS[::2])
    # The song itself is left out for its licence, its copy is held out all the same.
    unify(*options, "--match", "audio", "--licenses", "cc-by-nc-sa")
    heard = split_of(output)
    assert "song_describer_1004034" not in heard
    assert heard[copy] == "test"
    assert all(heard[f"jamendo_max_caps_{n}_0-9"] == heard[f"jamendo_max_caps_{n + 1}_0-9"] for n in OTHERS[::2])
    assert Counter(heard.values())["train"] >= 30
    content = output.read_bytes()
    (data / "heard.sqlite").unlink()  # what was heard is remembered
    unify(*options, "--match", "audio", "--licenses", "cc-by-nc-sa", "--workers", "1")
    assert output.read_bytes() == content


def test_the_splits_of_an_earlier_file_are_kept(data: Path, tmp_path: Path) -> None:
    earlier, later = tmp_path / "earlier.json", tmp_path / "later.json"
    options = ["--data-root", data, "--datasets", "jamendo_max_caps"]
    unify(*options, "--max-samples", "20", "--output", earlier)
    joined = next(n for n in OTHERS if f"jamendo_max_caps_{n}_0-9" not in split_of(earlier))
    artist = f"jamendo-artist:{joined}"
    gone = make_track(id="gone", audio_path="/gone", caption="a", duration=1, artist_id=artist, split="test")
    before = {name: "val" if at < 10 else split for at, (name, split) in enumerate(split_of(earlier).items())}
    write_tracks(earlier, [replace(track, split=before[track.id]) for track in read_tracks(earlier)] + [gone])
    unify(*options, "--output", later, "--keep-splits", earlier)
    after = split_of(later)
    assert list(before.values()).count("val") >= 10
    assert {name: after[name] for name in before} == before
    assert after[f"jamendo_max_caps_{joined}_0-9"] == "test"
    assert "gone" not in after
    new = Counter(split for name, split in after.items() if name not in before)
    assert new == {"train": 17, "val": 2, "test": 3}  # of 21 that are drawn, and the one that is joined


def test_contradictions_are_refused(data: Path, tmp_path: Path) -> None:
    for options in (
        ["--match", "audio", "--no-check-audio"],
        ["--match", "text", "--no-assign-splits"],
        ["--keep-splits", tmp_path / "none.json"],
        ["--keep-splits", tmp_path / "none.json", "--no-assign-splits"],
        ["--match", "colour"],
    ):
        unify("--data-root", data, "--output", tmp_path / "unified.json", *options, code=2)


def test_no_song_of_song_describer_is_trained_on_in_the_real_splits(shared_data: Path, tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    for name in ("mtg_jamendo", "song_describer"):
        (raw / name).symlink_to(shared_data / name)
    output = tmp_path / "unified.jsonl"
    options = ["--data-root", tmp_path, "--output", output, "--no-check-audio", "--hold-out", "song_describer"]
    unify(*options, "--datasets", "mtg_jamendo", "--mtg-split", "1")
    tracks = read_tracks(output)
    held_out = [track for track in tracks if track.dataset == "song_describer"]
    assert len(held_out) == 706
    songs, artists = {track.recording for track in held_out}, {track.artist_id for track in held_out}
    others = [track for track in tracks if track.dataset == "mtg_jamendo"]
    assert sum(track.recording in songs for track in others) == 299
    trained_on = [track for track in others if track.split != "test"]
    assert not any(track.recording in songs or track.artist_id in artists for track in trained_on)
    assert {track.id: track.split for track in others}["mtg_jamendo_17155"] == "test"
