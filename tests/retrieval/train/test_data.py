from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.altered import altering
from tests.retrieval.train.synthetic import write_embeddings
from unisono.base.errors import DataError, UsageError
from unisono.embeddings.file import EncoderRecord, open_embeddings
from unisono.retrieval.train.data import (
    Sampler,
    SplitData,
    WindowDraw,
    mixing_weights,
    sampled,
    trained_on,
    weights_from,
)
from unisono.retrieval.train.data import read as read_file


def read(path: Path, encoder: str, *, windows: bool = False) -> tuple[EncoderRecord, SplitData, SplitData]:
    with open_embeddings(path) as file:
        data = read_file([file], encoder, windows=windows)
    return data.encoder, data.train, data.val


counts = st.lists(st.integers(1, 4), min_size=2, max_size=30)


def caption_of(captions_of_each: list[int]) -> np.ndarray:
    return np.repeat(np.arange(len(captions_of_each)), captions_of_each)


@given(counts, st.integers(1, 12), st.integers(0, 2**64 - 1), st.integers(0, 50))
def test_an_epoch_holds_each_excerpt_at_most_once_with_a_caption_of_its_own(
    captions_of_each: list[int], batch_size: int, seed: int, epoch: int
):
    described = caption_of(captions_of_each)
    sampler = Sampler(described, batch_size, seed)
    batches = sampler.epoch(epoch)
    rows = np.concatenate([batch.rows for batch in batches])
    assert len(batches) == len(sampler)
    assert len(rows) == len(captions_of_each) // sampler.batch_size * sampler.batch_size
    assert len(set(rows.tolist())) == len(rows)
    assert all((described[batch.captions] == batch.rows).all() for batch in batches)


@given(counts, st.integers(0, 1000), st.integers(0, 50))
def test_batches_depend_on_seed_and_epoch_alone(captions_of_each: list[int], seed: int, epoch: int):
    described = caption_of(captions_of_each)
    one, other = (Sampler(described, 4, seed) for _ in range(2))
    one.epoch(epoch + 1)  # drawing another epoch first changes nothing
    for left, right in zip(one.epoch(epoch), other.epoch(epoch), strict=True):
        assert (left.rows == right.rows).all() and (left.captions == right.captions).all()


def test_the_caption_is_chosen_anew_each_epoch():
    sampler = Sampler(caption_of([4] * 200), 200, 1)
    chosen = [np.sort(sampler.epoch(epoch)[0].captions) for epoch in range(40)]
    times = np.bincount(np.concatenate(chosen), minlength=800)
    assert times.min() >= 1 and times.max() <= 25  # 40 epochs, 10 expected each


@given(st.lists(st.floats(0, 5), min_size=2, max_size=20).filter(any), st.integers(0, 100))
def test_an_excerpt_is_drawn_as_often_as_its_weight_says(weights: list[float], seed: int):
    sampler = Sampler(np.arange(len(weights)), 1, seed, row_weights=np.array(weights))
    rows = np.concatenate([batch.rows for batch in sampler.epoch(0)])
    expected = np.array(weights) / sum(weights) * len(weights)
    drawn = np.bincount(rows, minlength=len(weights))
    assert len(rows) == len(weights)
    assert (np.abs(drawn - expected) < 1 + 1e-6).all()
    assert not drawn[np.array(weights) == 0].any()


def test_captions_of_weight_nothing_are_never_drawn():
    described = caption_of([2] * 50)
    weights = np.tile([0.0, 1.0], 50)
    sampler = Sampler(described, 10, 3, caption_weights=weights)
    for epoch in range(5):
        for batch in sampler.epoch(epoch):
            assert (weights[batch.captions] == 1).all()


@given(st.lists(st.integers(1, 9), min_size=2, max_size=12), st.integers(1, 6), st.integers(0, 1000))
def test_windows_are_an_excerpts_own_and_no_more_than_needed_twice(held: list[int], count: int, seed: int):
    begin = np.concatenate([[0], np.cumsum(held)])
    rows = np.arange(len(held))[::-1]
    chosen = WindowDraw(begin, count)(np.random.default_rng(seed), rows)
    assert chosen.shape == (len(held), count)
    for row, places in zip(rows, chosen, strict=True):
        assert (places >= begin[row]).all() and (places < begin[row + 1]).all()
        times = np.bincount(places - begin[row], minlength=held[row])
        assert times.max() <= -(-count // held[row])


def test_each_window_is_drawn_as_often_as_the_others():
    draw = WindowDraw(np.array([0, 2, 9]), 3)
    rng = np.random.default_rng(0)
    times = np.bincount(np.concatenate([draw(rng, np.arange(2)).ravel() for _ in range(4000)]), minlength=9) / 4000
    assert times[:2] == pytest.approx([1.5, 1.5], abs=0.05)
    assert times[2:] == pytest.approx([3 / 7] * 7, abs=0.05)


def test_windows_change_neither_the_excerpts_nor_the_captions_of_a_batch():
    described = caption_of([2] * 30)
    plain, windowed = (Sampler(described, 7, 5, windows=draw) for draw in (None, WindowDraw(np.arange(0, 93, 3), 2)))
    first, again = windowed.epoch(3), windowed.epoch(3)
    for batch, other, same in zip(plain.epoch(3), first, again, strict=True):
        assert batch.windows is None and other.windows.shape == (7, 2)
        assert (batch.rows == other.rows).all() and (batch.captions == other.captions).all()
        assert (other.windows == same.windows).all() and (other.windows // 3 == other.rows[:, None]).all()
    assert len(set(np.concatenate([windowed.epoch(epoch)[0].windows % 3 for epoch in range(9)]).ravel().tolist())) == 3


@pytest.mark.parametrize("layers", [1, 3])
def test_windows_are_read_from_where_they_lie(tmp_path: Path, layers: int):
    path = write_embeddings(tmp_path, (9, 2, 2), windows=4, layers=layers)
    _, train, _ = read(path, "musicnn", windows=True)
    with open_embeddings(path) as file:
        stored = file.windows("train", "musicnn")
        windows, window_of = stored.embeddings, stored.of
    (part,) = train.windows.embeddings._parts
    assert isinstance(part, np.ndarray) and isinstance(part.base, np.memmap) and not part.flags.owndata
    assert train.windows.begin.tolist() == np.searchsorted(window_of, np.arange(10)).tolist()
    chosen = np.array([[3, 4], [0, 0]])
    expected = windows.astype(np.float32).reshape(-1, layers, 16)[chosen].mean(axis=1)
    assert np.allclose(train.windows.mean(chosen).numpy(), expected)
    everything = WindowDraw(train.windows.begin, 12)(np.random.default_rng(0), np.arange(9))  # 12 = 3 * 4 = 4 * 3 = ...
    assert np.allclose(train.windows.mean(everything).numpy(), train.audio[:].float().numpy(), atol=0.02)


def test_windows_that_cannot_be_trained_on_are_refused(tmp_path: Path):
    with pytest.raises(UsageError, match="holds no windows of musicnn") as refused:
        read(write_embeddings(tmp_path / "plain"), "musicnn", windows=True)
    assert f"--keep-windows --output-dir {tmp_path / 'plain'}_windows" in refused.value.hint
    stats = write_embeddings(tmp_path / "stats", dim=15, windows=None, pooling="stats")
    with pytest.raises(UsageError, match="are pooled by stats"):
        read(stats, "musicnn", windows=True)
    path = write_embeddings(tmp_path / "bad", windows=3)
    with altering(path) as file:
        file["train/musicnn_windows"][5, 2] = np.inf
    with pytest.raises(DataError, match="a window of synthetic_2 is not finite"):
        read(path, "musicnn", windows=True)
    read(path, "musicnn")


def test_mixing(tmp_path: Path):
    _, train, _ = read(write_embeddings(tmp_path, (80, 4, 4)), "musicnn")
    few = np.array([name == "few" for name in train.rows.texts["dataset"]])
    natural, captions = mixing_weights(train.rows, 1.0, {}, {})
    assert (natural == 1).all() and (captions == 1).all()
    warm, _ = mixing_weights(train.rows, 2.0, {}, {})
    assert warm[few].sum() / warm[~few].sum() == pytest.approx((20 / 60) ** 0.5)
    asked, _ = mixing_weights(train.rows, 1.0, {"few": 3.0}, {})
    assert asked[few].sum() == pytest.approx(asked[~few].sum())
    no_tags, captions = mixing_weights(train.rows, 1.0, {}, {"tags": 0.0})
    assert not no_tags[few].any() and captions.sum() == 120
    with pytest.raises(UsageError, match="mix_datasets names 'fma'"):
        mixing_weights(train.rows, 1.0, {"fma": 1.0}, {})
    with pytest.raises(UsageError, match="nothing to train on"):
        mixing_weights(train.rows, 1.0, {"few": 0.0, "many": 0.0}, {})


def test_weights_from_words():
    assert weights_from("mix_datasets", ("fma=0.5", "a=b=2")) == {"fma": 0.5, "a=b": 2.0}
    for word in ("fma", "fma=", "=1", "fma=-1", "fma=x", "fma=inf", "fma=nan"):
        with pytest.raises(UsageError, match="name"):
            weights_from("mix_datasets", (word,))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"counts": (0, 2, 2)}, "train split is empty"),
        ({"counts": (1, 2, 2)}, "one recording only"),
        ({"caption": "music"}, "captions of the train split are the same: 'music'"),
        ({"bad_row": 7}, "1 of 48 musicnn embeddings of the train split are not finite, the first of synthetic_7"),
    ],
)
def test_data_that_teaches_nothing_is_refused(tmp_path: Path, options: dict, says: str):
    path = write_embeddings(tmp_path, **options)
    with pytest.raises(DataError, match=says):
        read(path, "musicnn")


def test_a_missing_encoder_is_named_with_those_there(tmp_path: Path):
    with pytest.raises(UsageError, match="no muq embeddings; it holds: musicnn"):
        read(write_embeddings(tmp_path), "muq")


def test_a_sample_of_val_keeps_captions_with_their_music(tmp_path: Path):
    _, _, val = read(write_embeddings(tmp_path, (8, 30, 2)), "musicnn")
    part = sampled(val, 10, seed=1)
    assert len(part) == 10 and sampled(val, 30, seed=1) is val
    captions: dict[str, set[str]] = {id: set() for id in val.rows.ids}
    for caption, row in zip(val.rows.captions, val.rows.caption_of, strict=True):
        captions[val.rows.ids[row]].add(caption)
    for caption, row in zip(part.rows.captions, part.rows.caption_of, strict=True):
        assert caption in captions[part.rows.ids[row]]
    assert len(part.rows.captions) == 20
    assert (part.audio[:] == val.audio[np.array([val.rows.ids.index(id) for id in part.rows.ids])]).all()


def test_what_was_trained_on_is_recognised(tmp_path: Path):
    _, train, val = read(write_embeddings(tmp_path), "musicnn")
    known = trained_on(train.rows)
    assert known.seen("id", train.rows.ids).all()
    assert not known.seen("id", val.rows.ids).any()
    assert known.seen("recording", ["synthetic:3", "", "synthetic:50", " SYNTHETIC:3 "]).tolist() == [
        True,
        False,
        False,
        True,
    ]
    assert known.datasets == {"few": 12, "many": 36} and known.origins == {"human": 72, "tags": 24}
