"""Embeddings `tags` and `musicnn` of music that is nothing but one tag each."""

from pathlib import Path

import numpy as np

from tests.making import make_track
from unisono.embeddings.encoders import audio
from unisono.embeddings.encoders.audio._taggers import MSD, MTT
from unisono.embeddings.file import FILE_NAME, EncoderRecord, create_embeddings
from unisono.embeddings.prepare.settings import encoder_record
from unisono.tracks.track import SPLITS

TAGS = MSD.tags + MTT.tags


def write_tagged(
    folder: Path, *, encoder: str = "tags", record: EncoderRecord | None = None, seed: int = 0, windows: int = 0,
    all_windows: bool = False,
) -> Path:  # fmt: skip
    """Write `embeddings.h5` with a track for each of the 100 tags, which is its title, in the split test.

    With `musicnn`, the embeddings are noise. With `windows`, so many of each track are kept, every fourth one: their mean is
    the embedding, but the tag is in the last one only; or all, with `all_windows`.
    """
    rng = np.random.default_rng(seed)
    spec = audio.spec(encoder)
    rows = rng.normal(-4, 0.3, size=(len(TAGS), spec.dim))
    if encoder == "tags":
        rows[np.arange(len(TAGS)), np.arange(len(TAGS))] += 5
    tracks = [
        make_track(
            id=f"tagged_{number}", audio_path=f"/nowhere/{number}.mp3", caption=f"{tag} music", duration=10,
            dataset="tagged", title=tag, tags=[tag], recording=f"tagged:{number}",
        )
        for number, tag in enumerate(TAGS)
    ]  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    each = np.repeat(rows[:, None], max(windows, 1), axis=1)
    if windows:
        tags = np.arange(len(TAGS))
        each[tags, :, tags] = -4
        each[tags, -1, tags] = 1
        rows = each.mean(axis=1)
    with create_embeddings(
        folder / FILE_NAME, {"keep_windows": all_windows or windows} if windows else {}, 0
    ) as writer:
        for split in SPLITS:
            some = len(tracks) if split == "test" else 0
            writer.add_split(split, tracks[:some])
            made = record or encoder_record(spec, "mean", "")
            writer.add_embeddings(split, made, iter([rows[:some].astype(np.float16)]))
            if windows:
                writer.add_windows(split, made, [windows] * some, iter(each[:some].astype(np.float16)))
                if not all_windows:
                    writer.add_window_numbers(split, made, [4 * np.arange(windows)] * some)
    return folder
