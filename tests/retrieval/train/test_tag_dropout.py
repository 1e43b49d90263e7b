import numpy as np

from unisono.embeddings.file import SplitRows
from unisono.retrieval.train.tag_dropout import with_variants


def rows(count: int = 30) -> SplitRows:
    origins = [["tags"], ["human", "human"]]
    captions = [["A Rock track featuring guitar and drums"], ["my song", "loud"]]
    return SplitRows(
        split="train",
        ids=[f"id_{row}" for row in range(count)],
        embeddings={},
        captions=[caption for row in range(count) for caption in captions[row % 2]],
        caption_of=np.repeat(np.arange(count), [1 + row % 2 for row in range(count)]),
        caption_origin=[origin for row in range(count) for origin in origins[row % 2]],
        texts={"genre": ["Rock"] * count},
        tags=[["guitar", "drums", "energetic"]] * count,
        start_s=np.zeros(count, np.float32),
        duration_s=np.ones(count, np.float32),
    )


def by_row(found: SplitRows) -> list[list[str]]:
    return [
        [caption for caption, of in zip(found.captions, found.caption_of, strict=True) if of == row]
        for row in range(len(found.ids))
    ]


def test_only_music_described_by_tags_gets_more_captions():
    before, after = rows(), with_variants(rows(), 0.4, 4, seed=1)
    assert (np.diff(after.caption_of) >= 0).all()
    for row, (old, new) in enumerate(zip(by_row(before), by_row(after), strict=True)):
        assert new[: len(old)] == old
        assert len(new) == len(set(new)) <= 5
        if row % 2:
            assert new == old
    added = [caption for old, new in zip(by_row(before), by_row(after), strict=True) for caption in new[len(old) :]]
    assert len(set(added)) > 5
    assert any("Rock" not in caption for caption in added) and any("Rock" in caption for caption in added)
    assert any("guitar" in caption and "drums" not in caption for caption in added)
    assert after.caption_origin.count("human") == 30
    assert after.caption_origin.count("tags") == 15 + len(added)


def test_they_depend_on_id_and_seed_alone():
    whole, part = with_variants(rows(30), 0.4, 4, seed=1), with_variants(rows(10), 0.4, 4, seed=1)
    assert by_row(whole)[:10] == by_row(part)
    assert by_row(with_variants(rows(30), 0.4, 4, seed=2)) != by_row(whole)
