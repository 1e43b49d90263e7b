"""A small world without audio: `embeddings.h5` and a checkpoint that fit each other, made in a second.

The music's embeddings are the text embeddings of its captions, rotated and with noise added; the checkpoint's text head
applies the same rotation. So the model finds the music by its captions, the better the less noise there is.
"""

import functools
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from tests.making import make_record, make_track
from unisono.embeddings.encoders import text as text_encoders
from unisono.embeddings.file import EncoderRecord, create_embeddings
from unisono.retrieval.checkpoint import Checkpoint, TrainedOn, digests, save
from unisono.retrieval.heads import Architecture, ProjectionHeads
from unisono.tracks.track import Split, Track

DIM = 64
RECORD = make_record("dsp", DIM)
INSTRUMENTS = ("flute", "violin", "piano", "trumpet")
MOODS = ("happy", "sad", "energetic")
GENRES = ("Rock", "Jazz")


@dataclass
class World:
    """Where the files are."""

    data_dir: Path
    checkpoint: Path
    tracks: dict[Split, list[Track]] = field(default_factory=dict)


_text_encoder = functools.cache(lambda: text_encoders.build("minilm"))


def track(number: int, split: str, folder: Path) -> Track:
    instrument, mood, genre = INSTRUMENTS[number % 4], MOODS[number // 4 % 3], GENRES[number // 12 % 2]
    human = number % 2 == 0
    return make_track(
        id=f"{'song_describer' if human else 'fma'}_{split}{number}",
        audio_path=str(folder / f"Stück {split} {number}.wav"),
        caption=f"A {mood} {genre} piece number {number} for {instrument}",
        alt_captions=[f"Number {number}: {instrument}, {mood}"] if human else [],
        duration=10,
        dataset="song_describer" if human else "fma",
        artist=f"Artist {number % 5}",
        title=f"[{split}] Piece {number}",
        genre=genre,
        tags=[instrument, mood],
        recording=f"r:{split}{number}",
        artist_id=f"a:{split}{number % 5}",
        caption_origin="human" if human else "tags",
        start=30 if number == 3 else 0,
        license="CC-BY-4.0" if human else "CC-BY-NC-4.0",
    )


def make(folder: Path, *, test_tracks: int = 24, blur: float = 0.3) -> World:
    """Make a world of 8 tracks to train, 4 to validate and some to test on."""
    world = World(folder / "embeddings", folder / "checkpoints" / "dsp_best.pt")
    sizes: dict[Split, int] = {"train": 8, "val": 4, "test": test_tracks}
    for split, count in sizes.items():
        world.tracks[split] = [track(number, split, folder / "audio") for number in range(count)]
    turn = np.random.default_rng(0).normal(size=(384, DIM)).astype(np.float32) / np.sqrt(384)
    encoder = _text_encoder()
    rng = np.random.default_rng(1)
    with create_embeddings(world.data_dir / "embeddings.h5", {}, 0) as writer:
        for split, tracks in world.tracks.items():
            writer.add_split(split, tracks)
            captions = [each.caption for each in tracks]
            clear = encoder.embed(captions) @ turn if captions else np.empty((0, DIM))
            noise = rng.normal(size=clear.shape) * blur * np.linalg.norm(clear, axis=1, keepdims=True) / np.sqrt(DIM)
            writer.add_embeddings(split, RECORD, iter([(clear + noise).astype(np.float16)]))
    write_checkpoint(world.checkpoint, turn, world.tracks["train"])
    return world


def _digests(tracks: list[Track]) -> dict[str, np.ndarray]:
    names = {
        "id": [each.id for each in tracks],
        "recording": [each.recording for each in tracks],
        "artist_id": [each.artist_id for each in tracks],
        "caption": [text for each in tracks for text in each.texts],
    }
    return {what: np.unique(digests(found)) for what, found in names.items()}


def write_checkpoint(
    path: Path,
    turn: np.ndarray,
    tracks: list[Track],
    record: EncoderRecord = RECORD,
    val: list[Track] | None = None,
) -> None:
    architecture = Architecture(
        text_dim=384,
        audio_dim=record.dim,
        layers=1,
        projection="text",
        dim=record.dim,
        scaled_dim=record.dim,
        text_head="linear",
        audio_head="linear",
        hidden=8,
        dropout=0,
    )
    heads = ProjectionHeads(architecture)
    with torch.no_grad():
        assert isinstance(heads.text_head, torch.nn.Linear)
        heads.text_head.weight.copy_(torch.from_numpy(turn.T))
        heads.text_head.bias.zero_()
    trained_on = TrainedOn(
        ids_sha256="",
        excerpts=len(tracks),
        captions=sum(len(each.captions) for each in tracks),
        datasets={},
        licenses={},
        origins={},
        digests=_digests(tracks),
        val_digests=_digests(val) if val else {},
    )
    checkpoint = Checkpoint(
        options={},
        audio_encoder=record,
        text_encoder=text_encoders.spec("minilm"),
        architecture=architecture,
        trained_on=trained_on,
        weights=heads.state_dict(),
    )
    save(path, checkpoint)
