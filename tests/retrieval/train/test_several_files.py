"""Training on several files of embeddings, and on more than memory holds."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.retrieval.train.synthetic import WordEncoder, write_embeddings
from tests.retrieval.train.test_training import Given, interrupt_at
from unisono.base.errors import DataError, UsageError
from unisono.embeddings.file import FILE_NAME, open_embeddings
from unisono.retrieval import audio_rows
from unisono.retrieval.audio_rows import AudioRows, Blocks
from unisono.retrieval.checkpoint import load
from unisono.retrieval.train.data import BLOCKS_MIXED, Sampler, read
from unisono.retrieval.train.loop import InterruptionError
from unisono.retrieval.train.run import train


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    """Two folders with other music each."""
    found = [tmp_path / "one", tmp_path / "two"]
    for folder, first in zip(found, (0, 1000), strict=True):
        write_embeddings(folder, (40, 8, 2), seed=first, first=first, windows=3)
    return found


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let three excerpts be a block."""
    monkeypatch.setattr(audio_rows, "BLOCK_BYTES", 3 * 2 * 16)


@given(st.lists(st.integers(1, 7), min_size=1, max_size=4), st.data())
def test_parts_are_indexed_as_one_array(lengths: list[int], data: st.DataObject):
    whole = np.arange(2 * sum(lengths), dtype=np.float16).reshape(-1, 1, 2)
    parts = np.split(whole, np.cumsum(lengths)[:-1])
    rows = np.array(data.draw(st.lists(st.integers(0, len(whole) - 1), max_size=9)), dtype=np.int64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(audio_rows, "BLOCK_BYTES", 2 * 2 * 2)
        for found in (AudioRows(parts), AudioRows([Blocks(part, 2) for part in parts])):
            assert found.shape == whole.shape
            assert np.array_equal(found[rows].numpy(), whole[rows])
            assert np.array_equal(found[1:5].numpy(), whole[1:5])


@given(st.integers(2, 900), st.integers(1, 5), st.integers(0, 99))
def test_blocks_are_shuffled_and_excerpts_stay_near_those_of_their_block(count: int, block: int, seed: int):
    sampler = Sampler(np.arange(count), 1, seed, block=block)
    rows = np.concatenate([batch.rows for batch in sampler.epoch(3)])
    assert sorted(rows.tolist()) == list(range(count))
    open_blocks: dict[int, tuple[int, int]] = {}
    for at, number in enumerate((rows // block).tolist()):
        open_blocks[number] = open_blocks.get(number, (at, at))[0], at
    assert all(last - first < BLOCKS_MIXED * block for first, last in open_blocks.values())
    again = Sampler(np.arange(count), 1, seed, block=block).epoch(3)
    assert np.array_equal(rows, np.concatenate([batch.rows for batch in again]))


@pytest.mark.parametrize("windows", [None, 2])
def test_several_files_from_the_disk_go_on_exactly(
    folders: list[Path],
    windows: int | None,
    words: WordEncoder,
    small_blocks: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    given: Given = {
        "audio_encoder": "musicnn",
        "shuffle": "blocks",
        "epochs": 4,
        "batch_size": 10,
        "hidden": 16,
        "audio_windows": windows,
        "checkpoint_dir": tmp_path / "checkpoints",
    }
    last = tmp_path / "checkpoints" / "musicnn_last.pt"
    model = train(folders, **given)
    assert load(last).trained_on.excerpts == 80 and model.training.candidates == 16
    assert load(last).options["data_dir"] == [str(folder) for folder in folders]
    expected = last.read_bytes()
    shutil.rmtree(last.parent)
    with monkeypatch.context() as patch, pytest.raises(InterruptionError):
        interrupt_at(13, patch)
        train(folders, **given)
    with monkeypatch.context() as patch:
        patch.setattr("unisono.base.texts.HELD", 0)  # what is known of the excerpts, and the captions, are on the disk
        train(resume=last)
    assert last.read_bytes() == expected
    with pytest.raises(UsageError, match="is not the one that"):
        train(folders[:1], resume=last)


def test_files_that_do_not_go_together_are_refused(
    folders: list[Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    shutil.copytree(folders[0], tmp_path / "copy")
    other = write_embeddings(tmp_path / "other", dim=17, first=5000)
    mixed = write_embeddings(tmp_path / "mixed", (4, 90, 2), first=10_000)
    with open_embeddings(folders[0]) as first:
        with open_embeddings(tmp_path / "copy") as copy, pytest.raises(DataError) as refused:
            read([first, copy], "musicnn")
        assert f"{folders[0] / FILE_NAME} and {tmp_path / 'copy' / FILE_NAME} hold 50 excerpts" in str(refused.value)
        assert "'synthetic_0'" in str(refused.value)
        with (
            open_embeddings(other) as file,
            pytest.raises(UsageError, match="dim is 16 in the first and 17 in the second"),
        ):
            read([first, file], "musicnn")
        with open_embeddings(mixed) as file:
            file.recordings = lambda split: ["synthetic:1", "synthetic:2"]  # type: ignore[method-assign]
            read([first, file], "musicnn")
    assert "2 recordings are in the train split of" in caplog.text and "such as synthetic:1" in caplog.text
