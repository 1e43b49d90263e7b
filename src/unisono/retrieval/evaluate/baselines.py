"""Baselines, on the same queries and candidates as the model.

random        random embeddings: chance, with its variance
tag overlap   the tags that a caption names, against the tags of the track as published. It reads tags that the model never
              sees, and it finds captions that were made from these tags almost by definition.
dsp           signal statistics (the encoder `dsp`) and a ridge regression from the text encoder, fitted on the train split
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from unisono.base.log import log
from unisono.embeddings.file import EmbeddingsFile, SplitRows
from unisono.retrieval.evaluate.measured import Measured
from unisono.retrieval.evaluate.ranking import rank_both
from unisono.retrieval.models import JointModel
from unisono.retrieval.pairing import Pairing
from unisono.retrieval.split_rows import read_rows
from unisono.tracks.track import Split
from unisono.tracks.vocabulary import look_up, main_genre, terms_in

Pair = tuple[NDArray[np.floating], NDArray[np.floating]]
"""Embeddings of the texts [T, D] and of the music [N, D]."""

RANDOM_DIM = 512
DSP = "dsp"


def measure_baselines(
    model: JointModel, file: EmbeddingsFile, split: Split | None, rows: SplitRows, pairing: Pairing, *, seed: int
) -> dict[str, dict[str, Measured]]:
    """Measure all baselines for which the file has data, on rows of a split: name -> direction -> numbers.

    The text encoder of the model is the input of the ridge regression.
    """
    found: dict[str, Pair] = {
        "random": random_embeddings(len(pairing.texts), len(rows.ids), seed),
        "tag overlap": tag_overlap(pairing.texts, rows),
    }
    if DSP in file.encoders and file.counts()["train"]:
        found["dsp and ridge regression"] = _dsp(model, file, split, rows, pairing)
    else:
        log.info("No dsp baseline: %s holds no dsp embeddings, or its train split is empty.", file.path)
    return {
        name: {direction: ranking.measure(seed=seed) for direction, ranking in rank_both(pairing, texts, music).items()}
        for name, (texts, music) in found.items()
    }


def random_embeddings(texts: int, music: int, seed: int) -> Pair:
    """Draw random embeddings of texts and music."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(texts, RANDOM_DIM)), rng.normal(size=(music, RANDOM_DIM))


def tag_overlap(texts: Sequence[str], rows: SplitRows) -> Pair:
    """Embed texts and music as the terms that they name, weighted by rarity: [T, terms] and [N, terms]."""
    of_music = [
        {term.text for tag in [*tags, main_genre(genre)] if (term := look_up(tag))}
        for tags, genre in zip(rows.tags, rows.texts["genre"], strict=True)
    ]
    carried = Counter(term for terms in of_music for term in terms)
    column = {term: place for place, term in enumerate(sorted(carried))}
    weight = np.array([np.log(1 + len(rows.ids) / carried[term]) for term in column], dtype=np.float32)

    def embed(named: list[set[str]]) -> NDArray[np.float32]:
        embedded = np.zeros((len(named), max(len(column), 1)), dtype=np.float32)
        for row, terms in enumerate(named):
            places = [column[term] for term in terms if term in column]
            embedded[row, places] = weight[places]
        return embedded

    return embed([terms_in(text) for text in texts]), embed(of_music)


def _dsp(model: JointModel, file: EmbeddingsFile, split: Split | None, rows: SplitRows, pairing: Pairing) -> Pair:
    """Predict the dsp embedding of the music from the text encoder's embedding of its caption."""
    train = file.read("train", [DSP])
    features = train.embeddings[DSP].astype(np.float32)
    mean, std = features.mean(axis=0), features.std(axis=0)
    scale = np.where(std > 1e-6, 1 / np.maximum(std, 1e-6), 0)
    solution = ridge(model.text_encoder.embed(list(train.captions)), ((features - mean) * scale)[train.caption_of])
    there = read_rows(file, split, [DSP])
    row_of = {id: row for row, id in enumerate(there.ids)}
    music = there.embeddings[DSP][[row_of[id] for id in rows.ids]].astype(np.float32)
    return model.text_encoder.embed(list(pairing.texts)) @ solution, (music - mean) * scale


def ridge(inputs: NDArray[np.float32], outputs: NDArray[np.floating]) -> NDArray[np.float64]:
    """Solve the ridge regression of outputs [n, B] on inputs [n, A]: [A, B], with the mean eigenvalue as the penalty."""
    products = inputs.T.astype(np.float64) @ inputs
    penalty = np.trace(products) / len(products) * np.eye(len(products))
    solution: NDArray[np.float64] = np.linalg.solve(products + penalty, inputs.T.astype(np.float64) @ outputs)
    return solution
