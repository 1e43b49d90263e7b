"""Datasets of one name, and tracks of one id, are told apart or refused; nothing is merged or lost."""

import os
from pathlib import Path

import pytest

from tests.releases import audio, hugging_face
from unisono.base.errors import DataError, UsageError
from unisono.curation.releases import Parsing, find_releases
from unisono.curation.unify import unify
from unisono.sources import own
from unisono.tracks.files import read_tracks
from unisono.tracks.track import Track
from unisono.tracks.workspace import Workspace


def tagged(path: Path, hertz: float, genre: str = "Jazz") -> None:
    from tests.sources.own.test_folder import id3

    audio.tone(path, 1, hertz)
    path.write_bytes(id3({"TCON": genre}) + path.read_bytes())


def unified(*names: str, folder: Path, **options: object) -> list[Track]:
    unify(names, output=folder / "out.json", **options)  # type: ignore[arg-type]
    return read_tracks(folder / "out.json")


@pytest.mark.parametrize("kind", ["folder", "hf"])
def test_folders_of_one_name_are_two_datasets_in_any_order(tmp_path: Path, kind: str) -> None:
    names = []
    for disk, hertz in {"disk1": 300, "disk2": 400}.items():
        folder = tmp_path / disk / "Music"
        if kind == "folder":
            tagged(folder / "01.mp3", hertz)
        else:
            hugging_face.audio_folder(folder, tmp_path / f"source{disk}")
        names.append(f"{kind}:{folder}")
    tracks = unified(*names, folder=tmp_path)
    assert {track.dataset for track in tracks} == {f"{kind}_disk1-music", f"{kind}_disk2-music"}
    assert tracks == unified(*reversed(names), folder=tmp_path)
    assert all(track.dataset == f"{kind}_music" for track in unified(names[0], folder=tmp_path)), "as ever, if alone"


@pytest.mark.parametrize(
    ("one", "other"), [("My Music", "my-music"), ("!!!", "???"), ("a/x", "b/x"), ("a/b/x", "c/b/x")]
)
def test_suffixes_are_distinct(tmp_path: Path, one: str, other: str) -> None:
    for name in (one, other):
        (tmp_path / name).mkdir(parents=True)
    names = [f"folder:{tmp_path / one}", f"folder:{tmp_path / other}"]
    suffixes = own.distinct_suffixes(names)
    assert len(set(suffixes)) == 2 and all(suffixes)
    assert own.distinct_suffixes(names[::-1]) == suffixes[::-1]


def test_one_folder_in_two_spellings_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tagged(tmp_path / "Music" / "01.mp3", 300)
    (tmp_path / "link").symlink_to("Music")
    monkeypatch.chdir(tmp_path)
    tracks = unified(
        "folder:Music", f"folder:{tmp_path}/Music/", f"folder:{tmp_path}/x/../Music", "folder:link", folder=tmp_path
    )
    assert [track.dataset for track in tracks] == ["folder_music"]


def recipe(folder: Path, line: str = "") -> str:
    audio.tone(folder / "a.wav", 1, 300)
    (folder / "t.csv").write_text("file,text\na.wav,x\n")
    path = folder / "mine.toml"
    path.write_text(f'table = "t.csv"\naudio = "{{file}}"\n{line}\n[columns]\ncaption = "text"\n')
    return str(path)


@pytest.mark.parametrize("line", ["", 'name = "same"'])
def test_recipes_of_one_name_are_refused_with_both_places(tmp_path: Path, line: str) -> None:
    one, other = recipe(tmp_path / "a", line), recipe(tmp_path / "b", line)
    with pytest.raises(UsageError) as error:
        unified(one, other, folder=tmp_path)
    assert one in error.value.message and other in error.value.message and "name =" in error.value.hint
    assert len(unified(one, recipe(tmp_path / "b", 'name = "b"'), folder=tmp_path)) == 2


def test_a_recipe_with_the_name_of_a_published_dataset_is_refused_next_to_it(tmp_path: Path) -> None:
    name = recipe(tmp_path, 'name = "fma"')
    with pytest.raises(UsageError, match="are both called 'fma'"):
        find_releases(["fma", name], Parsing(workspace=Workspace(tmp_path)))


def test_a_folder_is_held_out_by_the_name_it_was_asked_for(tmp_path: Path) -> None:
    for number in range(4):
        tagged(tmp_path / "Train" / f"{number}.mp3", 300 + number)
        tagged(tmp_path / "Test" / f"{number}.mp3", 500 + number)
    held_out = f"folder:{tmp_path}/Test/"
    for datasets in (
        [f"folder:{tmp_path}/Train"],
        [f"folder:{tmp_path}/Train", f"folder:{os.path.relpath(tmp_path)}/Test"],
    ):
        tracks = unified(*datasets, folder=tmp_path, hold_out=[held_out])
        assert {track.split for track in tracks if track.dataset == "folder_test"} == {"test"}
        assert len(tracks) == 8


def test_one_id_in_two_datasets_is_refused(tmp_path: Path) -> None:
    names = []
    for name, file in {"a": "b_c.wav", "a_b": "c.wav"}.items():
        folder = tmp_path / name
        names.append(recipe(folder, f'name = "{name}"'))
        (folder / "a.wav").rename(folder / file)
        (folder / "t.csv").write_text(f"file,text\n{file},x\n")
    with pytest.raises(DataError, match=r"b_c\.wav and .*/c\.wav have the same id 'a_b_c\.wav'"):
        unified(*names, folder=tmp_path)


def test_ids_and_names_that_differ_in_case_only_are_two(tmp_path: Path) -> None:
    for name in ("a.mp3", "A.mp3", "Sub/x.mp3", "sub/x.mp3"):
        tagged(tmp_path / "Music" / name, 300 + len(name))
    assert len(unified(f"folder:{tmp_path / 'Music'}", folder=tmp_path)) == 4
