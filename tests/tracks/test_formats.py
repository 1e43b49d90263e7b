"""Every format that is registered reads what it writes, in bounded memory and whole or not at all."""

import inspect
from pathlib import Path
from typing import Any

import pytest

from tests.releases import audio
from unisono.base.errors import DataError, UsageError
from unisono.base.tally import Dropped
from unisono.tracks import formats
from unisono.tracks.formats import Sharding
from unisono.tracks.record import to_track
from unisono.tracks.track import Caption, Track
from unisono.tracks.unpacked import AudioFolder


@pytest.fixture(scope="module")
def tracks(tmp_path_factory: pytest.TempPathFactory) -> list[Track]:
    folder = tmp_path_factory.mktemp("formats")
    made = []
    for number in range(5):
        audio.tone(folder / f"{number}.wav", 0.2, 200 + 100 * number, rate_hz=8000)
        made.append(
            Track(
                id=f"d_{number}/ü",
                audio_path=str(folder / f"{number}.wav"),
                duration=0.2,
                captions=(
                    Caption(f'Größe {number},\n"quoted"', "human"),
                    Caption("second", (None, "tags")[number % 2]),
                ),
                dataset="d",
                tags=["a,b", "c"][: number % 3],
                start=0.1 if number == 2 else 0.0,
                split="train",
                extra={"year": "1999", "nested": {"a": [1, None]}} if number else {},
            )
        )
    return made


def test_every_name_belongs_to_a_file_or_a_folder() -> None:
    assert sorted(formats.names()) == sorted([*formats.FILES.values(), *formats.FOLDERS])
    assert set(formats.UNIFIED) <= set(formats.FILES.values())


@pytest.mark.parametrize("name", formats.names())
def test_what_is_written_is_read(name: str, tracks: list[Track], tmp_path: Path) -> None:
    path = tmp_path / "out"
    if name in formats.FOLDERS:
        path.mkdir()
    assert formats.get(name).write(path, iter(tracks), Sharding(with_audio=True)) == 5
    reading: Any = formats.get(name).read(path, None)
    assert list(map(to_track, reading)) == tracks
    if name in formats.FOLDERS:
        assert formats.of_folder(path) == name
        unpacked = AudioFolder(tmp_path / "audio")
        for track, original in zip(formats.get(name).read(path, unpacked), tracks, strict=True):
            assert not isinstance(track, Dropped)
            assert Path(track.audio_path).read_bytes() == Path(original.audio_path).read_bytes()


@pytest.mark.parametrize("name", formats.names())
def test_no_tracks_are_fine_and_no_captions_are_not(name: str, tmp_path: Path) -> None:
    path = tmp_path / "out"
    if name in formats.FOLDERS:
        path.mkdir()
    assert formats.get(name).write(path, iter([]), Sharding()) == 0
    assert list(formats.get(name).read(path, None)) == []
    other = tmp_path / "other"
    if name in formats.FOLDERS:
        other.mkdir()
    with pytest.raises(DataError, match="'x' has no caption"):
        formats.get(name).write(other, [Track(id="x", audio_path="/x", duration=1.0)], Sharding(with_audio=False))


@pytest.mark.parametrize("name", [name for name in formats.names() if name != "json"])
def test_reading_takes_no_more_than_it_needs(name: str, tracks: list[Track], tmp_path: Path) -> None:
    path = tmp_path / "out"
    if name in formats.FOLDERS:
        path.mkdir()
    formats.get(name).write(path, iter(tracks), Sharding(with_audio=True))
    reading: Any = formats.get(name).read(path, None)
    assert inspect.isgenerator(reading)
    first: Any = next(reading)
    assert to_track(first) == tracks[0]
    reading.close()


def test_an_unknown_format_is_named_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"no format 'parket'. Did you mean 'parquet'\?"):
        formats.get("parket")
