"""What speaks against a model: too little to learn from, no better than chance, used on other music than it learned from.

How far music is from that of the training is measured by the mean over its dimensions of |x - mean| / standard deviation,
with the mean and the deviation of the train split. The distances of the train split itself are computed without the excerpt
in question, so that they are those of music that the model has not seen.
"""

from collections import Counter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unisono.retrieval.audio_rows import AudioRows
from unisono.retrieval.checkpoint import Checkpoint
from unisono.retrieval.metrics import TEXT_TO_MUSIC, Relevance, chance
from unisono.retrieval.pairing import Pairing

FEW_RECORDINGS = 50
MOST = 0.5
"""Share of the excerpts from which one caption is that of most of the music."""
QUANTILE = 0.99
"""Music farther from the mean than this share of the train split is unlike it."""
FAR_SHARE = 0.2
"""Share of unlike music (1 % is normal) from which it is said."""
ENOUGH = 50
"""Excerpts from which a train split tells what is unlike it."""
BLOCK = 8192


def of_data(pairing: Pairing) -> list[str]:
    """Return in sentences why little can be learned from the captions and the music of a train split."""
    found, recordings = [], pairing.recordings
    if recordings < FEW_RECORDINGS:
        found.append(
            f"The train split holds only {recordings} recording{'' if recordings == 1 else 's'}, too few to learn what "
            "descriptions of other music mean. Add datasets: unisono unify --datasets ..."
        )
    last = int(pairing.caption_of.max(initial=0)) + 1
    excerpts = int((np.bincount(pairing.caption_of) > 0).sum())
    pairs = pairing.text_of * last + pairing.caption_of
    pairs.sort()
    is_new = np.append(True, pairs[1:] != pairs[:-1])
    described_by = np.bincount(pairs[is_new] // last)
    count = int(described_by.max())
    if count > MOST * excerpts:
        text = pairing.texts[int(described_by.argmax())]
        found.append(
            f"{_shortened(text)} is the caption of {count:,} of {excerpts:,} excerpts: nothing tells them apart. "
            "Use captions that describe each piece of music; unisono check lists those that many share."
        )
    return found


def mrr_by_luck(relevance: Relevance, recordings: int) -> float:
    """Return the MRR below which about 97.5 % of random rankings stay (normal approximation).

    Queries about the same one of the `recordings` are not independent.
    """
    count = relevance.candidates
    variance = 0.0
    for relevant, queries in Counter(relevance.counts.tolist()).items():
        r = np.arange(1, count - relevant + 2)  # ranks that the best relevant candidate can have
        below = np.concatenate([[1.0], np.cumprod(1 - relevant / (count - r[:-1] + 1))])
        probability = below * relevant / (count - r + 1)
        mean = (probability / r).sum()
        variance += queries * ((probability / r**2).sum() - mean**2)
    return float(chance(relevance)["mrr"] + 1.96 * np.sqrt(max(variance, 0) / relevance.queries / max(recordings, 1)))


def of_model(checkpoint: Checkpoint) -> list[str]:
    """Return in sentences what speaks against a trained model."""
    found = list(checkpoint.progress.get("warnings", []))
    best, luck = checkpoint.metrics.get(TEXT_TO_MUSIC), checkpoint.progress.get("mrr_by_luck", 0.0)
    if best and luck and best["mrr"] <= luck:
        expected = checkpoint.progress.get("chance", {}).get("mrr", luck)
        found.append(
            f"The model finds music no better than chance: its MRR on the val split is {best['mrr']:.3f}, chance is "
            f"{expected:.3f}, and up to {luck:.3f} may be luck. Do not use it. Check that the captions describe their music "
            "(unisono check, unisono describe), add data, or train for more epochs."
        )
    return found


def measure_music(audio: Tensor | AudioRows) -> dict[str, Tensor]:
    """Return what tells music that is unlike a train split [N, L, A]; nothing of a small one."""
    count = len(audio)
    if count < ENOUGH:
        return {}
    places = [slice(start, start + BLOCK) for start in range(0, count, BLOCK)]
    mean = torch.stack([audio[place].double().sum(dim=0) for place in places]).sum(dim=0) / count
    variance = torch.stack([(audio[place].double() - mean).square().sum(dim=0) for place in places]).sum(dim=0) / count
    divisor = variance.where(variance > 0, torch.ones_like(variance))
    own = []
    for place in places:
        squares = (audio[place].double() - mean).square() / divisor
        # without the excerpt itself: z^2 N / (N - 1 - z^2)
        own.append((squares * count / (count - 1 - squares).clamp(min=1e-3)).sqrt().mean(dim=(1, 2)))
    limit = torch.quantile(torch.cat(own)[: 1 << 23], QUANTILE)
    return {"mean": mean.float(), "std": variance.sqrt().float(), "limit": limit.float().reshape(1)}


def unlike(music: dict[str, Tensor], embeddings: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Return for each embedding [N, A] or [N, L, A] whether it is unlike the train split."""
    mean, std = (music[name].double().cpu() for name in ("mean", "std"))
    std = std.where(std > 0, torch.ones_like(std))
    found = np.zeros(len(embeddings), dtype=bool)
    for start in range(0, len(embeddings), BLOCK):
        block = torch.from_numpy(np.asarray(embeddings[start : start + BLOCK], dtype=np.float64))
        distance = ((block.reshape(len(block), *mean.shape) - mean) / std).abs().mean(dim=(1, 2))
        found[start : start + BLOCK] = (distance > music["limit"].double().cpu()).numpy()
    return found


def of_music(music: dict[str, Tensor], embeddings: NDArray[np.floating]) -> str:
    """Return in a sentence that music is unlike that of the training, if it is."""
    if not music or not len(embeddings):
        return ""
    share = float(unlike(music, embeddings).mean())
    if share < FAR_SHARE:
        return ""
    return (
        f"{share:.0%} of this music is unlike the music that the model was trained on (of that, {1 - QUANTILE:.0%} is): "
        "expect worse results. Train on music more like it: unisono train --data-dir ..."
    )


def _shortened(text: Any) -> str:
    return f"“{text if len(text) <= 60 else text[:57] + '...'}”"
