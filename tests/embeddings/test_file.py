"""Reading `embeddings.h5` from Python: with and without `with`, what it shows, and what it refuses."""

import errno
import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tests.making import make_record, make_track
from unisono.base.errors import DataError, UnisonoError, UsageError
from unisono.embeddings.file import EmbeddingsFile, EncoderRecord, create_embeddings, open_embeddings
from unisono.embeddings.writing import ErrorKeepingFile
from unisono.tracks.track import SPLITS, Split

SIZES: dict[Split, int] = {"train": 5, "val": 0, "test": 2}


def record(name: str, dim: int, layers: int = 1) -> EncoderRecord:
    return make_record(name, dim, weights="<w>", license="CC-BY-NC-4.0 <b>", layers=layers)


def rows_of(split: Split, *shape: int) -> np.ndarray:
    generator = np.random.default_rng(SPLITS.index(split))
    return generator.standard_normal((SIZES[split], *shape)).astype(np.float16)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "data" / "embeddings.h5"
    with create_embeddings(found, {"seed": 1}, failures=3) as writer:
        for split, count in SIZES.items():
            tracks = [
                make_track(id=f"{split}_{number}", audio_path="/a", caption="c", alt_captions=["d"], duration=9)
                for number in range(count)
            ]
            writer.add_split(split, tracks)
            writer.add_embeddings(split, record("muq", 4), iter([rows_of(split, 4)]))
            writer.add_embeddings(split, record("mert", 3, 2), iter([rows_of(split, 2, 3)]))
    return found


def test_it_is_used_with_and_without_with(path: Path) -> None:
    with open_embeddings(path) as file:
        assert len(file) == 7
    plain = open_embeddings(path)
    assert plain.failures == 3 and plain.config == {"seed": 1}
    plain.close()
    plain.close()


@pytest.mark.parametrize("given", [Path, str, os.fspath, lambda path: path.parent, lambda path: str(path.parent)])
def test_a_path_may_be_the_file_or_its_folder(path: Path, given: Callable[[Path], Any]) -> None:
    with open_embeddings(given(path)) as file:
        assert file.path == path


def test_an_encoders_embeddings_are_in_the_order_of_the_ids(path: Path) -> None:
    with open_embeddings(path) as file:
        muq, mert, ids = file["muq"], file["mert"], file.ids
        assert list(file) == ["mert", "muq"] and "muq" in file and "dsp" not in file
    assert muq.dtype == mert.dtype == np.float32
    assert muq.shape == (7, 4) and mert.shape == (7, 2, 3)
    assert ids == [f"train_{number}" for number in range(5)] + ["test_0", "test_1"]
    np.testing.assert_array_equal(muq, np.concatenate([rows_of(split, 4) for split in SPLITS]).astype(np.float32))
    np.testing.assert_array_equal(mert[5:], rows_of("test", 2, 3).astype(np.float32))


@pytest.mark.parametrize(
    "use",
    [
        lambda file: file["muq"],
        len,
        lambda file: file.ids,
        lambda file: file.encoders,
        lambda file: file.counts(),
        lambda file: file.read("train"),
        lambda file: file.embeddings("train", "muq"),
        lambda file: file.windows("train", "muq"),
        lambda file: file.excerpts("train"),
        lambda file: file.faults(),
    ],
)
def test_a_closed_file_is_an_error_in_words(path: Path, use: Callable[[EmbeddingsFile], object]) -> None:
    with open_embeddings(path) as file:
        pass
    with pytest.raises(UsageError, match=r"embeddings\.h5 is closed"):
        use(file)


def test_what_was_read_stays_valid_after_closing(path: Path) -> None:
    with open_embeddings(path) as file:
        whole, mapped = file["muq"], file.embeddings("test", "muq")
    np.testing.assert_array_equal(whole[5:], mapped.astype(np.float32))


@pytest.mark.parametrize("read", [lambda file: file["mug"], lambda file: file.embeddings("train", "mug")])
def test_an_unknown_encoder_has_the_nearest_name(path: Path, read: Callable[[EmbeddingsFile], object]) -> None:
    with (
        open_embeddings(path) as file,
        pytest.raises(UsageError, match=r"no mug embeddings; it holds: mert, muq\. Did you mean 'muq'") as caught,
    ):
        read(file)
    assert "unisono prepare --encoders mug" in caught.value.hint


def test_it_shows_encoders_dimensions_and_rows(path: Path) -> None:
    with open_embeddings(path) as file:
        shown, html = repr(file), file._repr_html_()
    assert shown.splitlines() == [
        f"EmbeddingsFile: {path}",
        "  train: 5 rows, 10 captions",
        "  val: 0 rows, 0 captions",
        "  test: 2 rows, 4 captions",
        "  encoder mert: 2 x 3",
        "  encoder muq: 4",
    ]
    assert "CC-BY-NC-4.0 &lt;b&gt;" in html and "<b>" not in html and ">2 x 3<" in html
    assert repr(file) == f"EmbeddingsFile: {path}, closed"
    assert "closed" in file._repr_html_()


def test_a_wrong_path_is_an_error_in_words(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"There is no .*none/embeddings\.h5"):
        open_embeddings(tmp_path / "none")
    with pytest.raises(UsageError, match="Expected a path, found 7"):
        open_embeddings(7)  # type: ignore[arg-type]
    (tmp_path / "a.h5").write_bytes(b"no HDF5")
    with pytest.raises(DataError, match="not a whole HDF5 file"):
        open_embeddings(tmp_path / "a.h5")
    with h5py.File(tmp_path / "b.h5", "w"):
        pass
    with pytest.raises(DataError, match="expected embeddings of format 1, found None"):
        open_embeddings(tmp_path / "b.h5")
    (tmp_path / "b.h5").unlink()  # was closed, so that other systems allow it


def test_a_locked_file_is_called_locked(path: Path) -> None:
    with path.open("r+b") as held:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with pytest.raises(UnisonoError, match=r"embeddings\.h5 is locked: another program") as caught:
            open_embeddings(path)
    assert "HDF5_USE_FILE_LOCKING=FALSE" in caught.value.hint and "prepare" not in caught.value.hint
    open_embeddings(path).close()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL, errno.EIO])
def test_reading_needs_no_locks(path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """As on a network folder without locks."""
    opened = h5py.File

    def without_locks(*arguments: Any, **options: Any) -> h5py.File:
        if options.get("locking") is not False:
            raise OSError(number, f"Unable to synchronously open file (unable to lock file, errno = {number})")
        return opened(*arguments, **options)

    monkeypatch.setattr("unisono.embeddings.file.h5py.File", without_locks)
    with open_embeddings(path) as file:
        assert len(file.ids) == 7


def test_a_file_that_may_not_be_read_is_not_called_damaged(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(errno.EACCES, "Unable to open file (Permission denied)")

    monkeypatch.setattr("unisono.embeddings.file.h5py.File", refuse)
    with pytest.raises(UnisonoError, match=r"Cannot read .*embeddings\.h5: Permission denied"):
        open_embeddings(path)


def test_what_a_full_disk_refuses_is_read_again_until_the_file_is_closed():
    """HDF5 reads again what it wrote, and crashes if that is not there."""
    with ErrorKeepingFile(Path("/dev/full"), "r+b") as file:
        assert file.write(b"abcd") == 4 and file.write(b"xy") == 2
        read = bytearray(6)
        assert file.readinto(read) == 6 and read == b"xycd\0\0"
        with pytest.raises(OSError, match="No space left"):
            file.check()
