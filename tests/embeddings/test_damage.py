"""Damaged and foreign `embeddings.h5`: the same result, or an error that names the place; never anything else."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tests.making import make_record, make_track
from unisono.base.errors import DataError
from unisono.embeddings.file import create_embeddings, open_embeddings
from unisono.embeddings.structure import CHECKSUMS, SEAL
from unisono.embeddings.verify import verify
from unisono.tracks.track import SPLITS

RECORD = make_record("muq", 4)


def write(path: Path) -> Path:
    random_numbers = np.random.default_rng(0)
    with create_embeddings(path, {"seed": 1, "keep_windows": True}, failures=1) as writer:
        writer.add_faults([("ab" * 16, "silent", "/音.wav")])
        for split, count in zip(SPLITS, (6, 0, 3), strict=True):
            tracks = [
                make_track(
                    id=f"{split}_{number}",
                    audio_path=f"/music/{number}.wav",
                    caption=f"piano number {number}",
                    alt_captions=["second"] * (number % 3),
                    duration=9.5 + number,
                    tags=["a", "b"],
                    title="title",
                )
                for number in range(count)
            ]
            writer.add_split(split, tracks)
            keys = [random_numbers.bytes(16) for _ in tracks]
            writer.add_excerpts(split, keys, [random_numbers.bytes(24) for _ in tracks])
            rows = random_numbers.standard_normal((count, 4)).astype(np.float16)
            writer.add_embeddings(split, RECORD, iter([rows]))
            writer.add_windows(split, RECORD, [2] * count, iter([np.repeat(rows, 2, axis=0)]))
            writer.add_window_numbers(split, RECORD, [np.array([1, 3])] * count)
    return path


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("whole") / "embeddings.h5")


@pytest.fixture
def path(tmp_path: Path, whole: Path) -> Path:
    """A file of one's own, to be damaged."""
    mine = tmp_path / "embeddings.h5"
    mine.write_bytes(whole.read_bytes())
    return mine


def everything(path: Path) -> str:
    """What the stages read of a file, in words."""
    with open_embeddings(path) as file:
        found: list[Any] = [file.config, file.failures, file.encoders, file.ids, file.faults(), len(file), repr(file)]
        found += [file["muq"].tolist()]
        for split in SPLITS:
            found += [file.excerpts(split), file.contents(split)]
            found += [array.tolist() for array in vars(file.windows(split, "muq")).values()]
            rows = file.read(split)
            found += [rows.ids, rows.captions, rows.caption_of.tolist(), rows.caption_origin, rows.texts, rows.tags]
            found += [rows.start_s.tolist(), rows.duration_s.tolist(), rows.embeddings["muq"].tolist()]
    return repr(found).replace(str(path), "")


def test_content_that_was_altered_is_named(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["train/muq_embeddings"][2, 1] += 1
    with open_embeddings(path) as file:
        assert file.read("test").ids
        for read in (
            lambda: file.read("train"),
            lambda: file["muq"],
            lambda: file.embeddings("train", "muq"),
            lambda: verify(path),
        ):
            with pytest.raises(DataError, match=r"embeddings\.h5 is damaged.*train/muq_embeddings.*checksums"):
                read()


def without_checksums(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        del file.attrs[CHECKSUMS], file.attrs[SEAL]


def test_files_without_checksums_are_read(path: Path, whole: Path) -> None:
    without_checksums(path)
    assert everything(path) == everything(whole)
    assert verify(path).unchecked == verify(whole).datasets > 40
    assert verify(whole).unchecked == 0
    assert "9 rows" in repr(verify(whole)) and "have no checksum" in repr(verify(path))


def replace(file: h5py.File, name: str, value: Any, **more: Any) -> None:
    attributes = dict(file[name].attrs)
    del file[name]
    file.create_dataset(name, data=value, **more)
    file[name].attrs.update(attributes)


def claim(file: h5py.File, name: str, rows: int) -> None:
    """A dataset in chunks, of which none is stored."""
    del file[name]
    file.create_dataset(name, (rows,), h5py.string_dtype(), chunks=(1000,))


def external(file: h5py.File) -> None:
    del file["train/title"]
    file.create_dataset("train/title", (6,), "S8", external=[("/etc/passwd", 0, 48)])


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((6, 4), np.float16)
    layout[:] = h5py.VirtualSource("other.h5", "x", (6, 4))
    attributes = dict(file["train/muq_embeddings"].attrs)
    del file["train/muq_embeddings"]
    file.create_virtual_dataset("train/muq_embeddings", layout)
    file["train/muq_embeddings"].attrs.update(attributes)


def link(file: h5py.File, name: str, to: Any) -> None:
    del file[name]
    file[name] = to


def altered(file: h5py.File, place: str, **fields: Any) -> None:
    content = json.loads(file[place].attrs["record"])
    file[place].attrs["record"] = json.dumps({**content, **fields})


FOREIGN: dict[str, tuple[Callable[[h5py.File], Any], str]] = {
    "external storage": (external, "train/title.*other files"),
    "virtual": (virtual, "train/muq_embeddings.*other files"),
    "external link": (lambda file: link(file, "train/title", h5py.ExternalLink("/fifo", "x")), "train/title.*link"),
    "soft link": (lambda file: link(file, "val", h5py.SoftLink("/train")), "val.*link"),
    "link to itself": (lambda file: link(file, "val", h5py.SoftLink("/val")), "val.*link"),
    "unknown soft link": (lambda file: link_new(file), "train/more.*link"),
    "one split twice": (lambda file: link(file, "val", file["train"]), "val.*once more"),
    "one dataset twice": (lambda file: link(file, "train/artist", file["train/title"]), "train/title.*once more"),
    "no split": (lambda file: file.pop("test"), "test"),
    "split is a dataset": (lambda file: link(file, "val", [1, 2]), "val.*not a group"),
    "dataset is a group": (lambda file: (file.pop("train/ids"), file.create_group("train/ids")), "ids.*not a dataset"),
    "no captions": (lambda file: file.pop("train/captions"), "train.*lacks captions"),
    "ids are numbers": (lambda file: replace(file, "train/ids", np.arange(6)), "train/ids.*type"),
    "too few ids": (lambda file: replace(file, "train/ids", ["a", "b"]), "train/.*shape"),
    "ids twice": (lambda file: replace(file, "train/ids", ["a"] * 6), "train/ids.*twice"),
    "two axes": (lambda file: replace(file, "train/captions", [["a"], ["b"]]), "train/captions.*shape"),
    "complex": (lambda file: replace(file, "train/muq_embeddings", np.zeros((6, 4), "c8")), "muq_embeddings.*type"),
    "int8": (lambda file: replace(file, "train/muq_embeddings", np.zeros((6, 4), "i1")), "muq_embeddings.*type"),
    "compound": (lambda file: replace(file, "train/start", np.zeros(6, [("a", "f4")])), "train/start.*type"),
    "wrong width": (lambda file: replace(file, "train/muq_embeddings", np.zeros((6, 5), "f2")), "embeddings.*shape"),
    "captions out of range": (lambda file: replace(file, "train/caption_of", np.full(12, 6)), "caption_of.*0 to 5"),
    "negative rows": (lambda file: replace(file, "train/caption_of", np.full(12, -1)), "caption_of.*0 to 5"),
    "descending": (lambda file: replace(file, "train/caption_of", np.arange(12)[::-1] // 2), "caption_of.*ascending"),
    "windows out of range": (lambda file: replace(file, "train/muq_window_of", np.arange(12)), "window_of.*0 to 5"),
    "windows without rows": (lambda file: file.pop("train/muq_window_of"), "windows without"),
    "NaN start": (lambda file: replace(file, "train/start", np.full(6, np.nan, "f4")), "train/start.*finite"),
    "endless": (lambda file: replace(file, "train/duration", np.full(6, np.inf, "f4")), "train/duration.*finite"),
    "tags no JSON": (lambda file: replace(file, "train/tags", ["a"] * 6), "train/tags"),
    "tags no list": (lambda file: replace(file, "train/tags", ['{"a": 1}'] * 6), "train/tags"),
    "no UTF-8": (lambda file: replace(file, "train/title", np.array([b"\xff"] * 6, "S1")), "train/title"),
    "faults no list": (lambda file: replace(file, "faults", ["[1]"]), "faults"),
    "keys too short": (lambda file: replace(file, "train/excerpts", np.zeros((6, 3), "u1")), "excerpts.*shape"),
    "2e9 rows": (lambda file: claim(file, "train/ids", 2_000_000_000), "train/ids.*claims 32,000,000,000 bytes"),
    "1e8 captions": (lambda file: claim(file, "train/captions", 100_000_000), "train/captions.*claims"),
    "config missing": (lambda file: file.attrs.pop("config"), "attributes"),
    "config no object": (lambda file: file.attrs.update(config="[1]"), "attributes.*config"),
    "config a list": (lambda file: file.attrs.update(config=["{}", "{}"]), "attributes.*config"),
    "failures text": (lambda file: file.attrs.update(failures="many"), "attributes"),
    "record missing": (lambda file: file["train/muq_embeddings"].attrs.pop("record"), "muq_embeddings"),
    "record wrong": (lambda file: altered(file, "train/muq_embeddings", dim="many"), "muq_embeddings"),
    "record of another": (lambda file: altered(file, "train/muq_embeddings", name="mert"), "muq_embeddings"),
    "records differ": (lambda file: altered(file, "test/muq_embeddings", revision="2"), "test/muq_embeddings"),
    "encoders differ": (lambda file: file.pop("test/muq_embeddings"), "test"),
}


def link_new(file: h5py.File) -> None:
    file["train/more"] = h5py.SoftLink("/val/ids")


@pytest.mark.parametrize("is_sealed", [True, False], ids=["with checksums", "without"])
@pytest.mark.parametrize("how", FOREIGN)
def test_what_prepare_never_writes_is_refused(path: Path, how: str, is_sealed: bool) -> None:
    alter, says = FOREIGN[how]
    if not is_sealed:
        without_checksums(path)
    with h5py.File(path, "r+") as file:
        alter(file)
    with pytest.raises(DataError, match=says if not is_sealed else r"embeddings\.h5") as caught:
        everything(path)
    assert str(path) in caught.value.message


def test_renamed_and_added_datasets_break_the_seal(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file.move("train/excerpts", "train/excerptz")
    with pytest.raises(DataError, match="names, shapes, types or attributes"):
        open_embeddings(path)


def test_a_compressed_file_of_another_program_is_read(path: Path, whole: Path) -> None:
    without_checksums(path)
    with h5py.File(path, "r+") as file:
        for name in ("train/muq_embeddings", "train/captions", "train/start"):
            replace(file, name, file[name][()], chunks=True, compression="gzip")
    assert everything(path) == everything(whole)
