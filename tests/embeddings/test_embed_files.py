"""Embedding files in memory gives what `prepare` stores."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.broken_audio import write_broken, write_music
from tests.embeddings.encoders import tiny
from tests.embeddings.prepare.conftest import Folder
from unisono.audio.decode import Excerpt
from unisono.base.errors import DataError, UsageError
from unisono.embeddings.embed_files import embed_files
from unisono.embeddings.file import open_embeddings
from unisono.embeddings.prepare.pooling import pool


@pytest.mark.parametrize("pooling", ["mean", "stats"])
@pytest.mark.parametrize("encoder", ["dsp", "musicnn"])
def test_the_rows_are_those_that_prepare_stores(tmp_path: Path, encoder: str, pooling: str) -> None:
    folder = Folder(tmp_path)
    for number in range(4):
        folder.add(f"t{number}", 2.5 + 9 * number)
    folder.records.append({**folder.records[3], "id": "t9", "start": 5.0, "duration": 11.0})
    folder.write()
    path = folder.prepare(encoders=(encoder,), pooling=pooling, keep_windows=True)
    with open_embeddings(path) as file:
        stored = dict(zip(file.ids, file[encoder], strict=True))
        record = file.encoders[encoder]
    files = [Path(record["audio_path"]) for record in folder.records[:4]]
    found = embed_files([*files, Excerpt(str(files[3]), 5.0, 11.0)], record)
    assert found.dtype == np.float32 and found.shape == (5, record.dim)
    for row, each in zip(found, folder.records, strict=True):
        # The stored row was rounded once from float64, so a tie in float32 may fall to the other side.
        ulp = np.spacing(np.abs(stored[each["id"]]).astype(np.float16)).astype(np.float32)
        assert (np.abs(row.astype(np.float16).astype(np.float32) - stored[each["id"]]) <= ulp).all()
        assert (row.astype(np.float16) == stored[each["id"]]).mean() > 0.99
    assert len({row.astype(np.float16).tobytes() for row in found}) == 5
    if pooling == "mean":  # a single window is stored as it is: the same bits, rounded once
        np.testing.assert_array_equal(found[0].astype(np.float16), stored["t0"].astype(np.float16))


def test_the_pooled_bits_are_those_before_rounding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Folder(tmp_path)
    folder.add("t0", 34.0)
    folder.write()
    before: list[np.ndarray] = []

    def watching(*arguments: object) -> np.ndarray:
        before.append(pool(*arguments))  # type: ignore[arg-type]
        return before[-1]

    monkeypatch.setattr("unisono.embeddings.prepare.executors.pool", watching)
    with open_embeddings(folder.prepare()) as file:
        record = file.encoders["dsp"]
    (row,) = embed_files(folder.records[0]["audio_path"], record)
    np.testing.assert_array_equal(row, before[0].astype(np.float32))


def test_layers_are_those_of_the_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "weights" / "mert").mkdir(parents=True)
    tiny.write_mert(tmp_path / "weights" / "mert")
    monkeypatch.setenv("UNISONO_WEIGHTS", str(tmp_path / "weights"))
    folder = Folder(tmp_path)
    folder.add("t0", 4.0)
    folder.write()
    with open_embeddings(folder.prepare(encoders=("mert",), layers=("mert=1,3",))) as file:
        record, stored = file.encoders["mert"], file["mert"]
    found = embed_files(folder.records[0]["audio_path"], record)
    assert found.shape == (1, 2, tiny.DIM)
    np.testing.assert_array_equal(found.astype(np.float16), stored.astype(np.float16))


def test_what_cannot_be_embedded_is_named(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.add("t0", 4.0)
    folder.write()
    with open_embeddings(folder.prepare()) as file:
        record = file.encoders["dsp"]
    good = folder.records[0]["audio_path"]
    for how, reason in (("silent", "silent"), ("empty", "empty"), ("missing", "missing")):
        bad = write_broken(tmp_path / f"{how}.wav", how)
        with pytest.raises(DataError, match=f"{how}.wav: .*{reason}"):
            embed_files([good, bad], record)
    with pytest.raises(DataError, match=r"dsp here differs.*\n  revision: '7' there, '1' now"):
        embed_files(good, replace(record, revision="7"))
    with pytest.raises(UsageError, match=r"no audio encoder 'dps'\. Did you mean 'dsp'"):
        embed_files(good, replace(record, name="dps"))
    with pytest.raises(UsageError, match="Expected a path, found 3"):
        embed_files([3], record)  # type: ignore[list-item]
    assert embed_files([], record).shape == (0, record.dim)
    write_music(tmp_path / "ok.wav", 3)
    assert embed_files(str(tmp_path / "ok.wav"), record).shape == (1, record.dim)
