"""Encoders of which one goes on from what another computes: asked for both, a window passes the shared network once."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from unisono.embeddings.encoders.audio import AudioEncoder, EncoderSpec, FollowingAudioEncoder
from unisono.embeddings.prepare.executors import Failed
from unisono.embeddings.prepare.executors._windows import EmbeddedWindows
from unisono.embeddings.prepare.plan import WorkItem

if TYPE_CHECKING:
    import torch

PLUS = "+"
"""Divides the names of two encoders in the name of the pair."""


class Pair:
    """An encoder and one that follows it, as an encoder whose rows are those of both, side by side."""

    def __init__(self, first: AudioEncoder, second: FollowingAudioEncoder) -> None:
        self._first, self._second = first, second
        self.spec: EncoderSpec = replace(
            first.spec, name=first.spec.name + PLUS + second.spec.name, dim=first.spec.dim + second.spec.dim
        )

    def embed(self, windows: "torch.Tensor") -> "torch.Tensor":
        """Embed windows [B, samples] as [B, D1 + D2]."""
        import torch

        rows = self._first.embed(windows)
        return torch.cat([rows, self._second.embed_after(rows, windows)], dim=1)


def with_pairs(encoders: Mapping[str, AudioEncoder]) -> dict[str, AudioEncoder]:
    """Return encoders, and in addition the pairs among them."""
    pairs = []
    for encoder in encoders.values():
        follows: EncoderSpec | None = getattr(encoder, "follows", None)
        first = encoders.get(follows.name) if follows else None
        if first and first.spec == follows:  # which a tuned one is not
            pairs.append(Pair(first, encoder))  # type: ignore[arg-type]
    return {**encoders, **{pair.spec.name: pair for pair in pairs}}


def paired(item: WorkItem, specs: Mapping[str, EncoderSpec]) -> WorkItem:
    """Return an item with a pair in place of the two encoders that it consists of."""
    names = item.encoders
    for pair in specs:
        parts = _parts(pair, specs)
        if parts and parts <= set(names):
            names = (*(name for name in names if name not in parts), pair)
    return replace(item, encoders=names) if names != item.encoders else item


def parted(found: EmbeddedWindows | Failed, specs: Mapping[str, EncoderSpec]) -> Iterator[EmbeddedWindows | Failed]:
    """Yield what each encoder of a pair has made; what is not of a pair passes."""
    if isinstance(found, Failed) or not _parts(found.encoder, specs):
        yield found
        return
    first, second = found.encoder.split(PLUS)
    yield found._replace(encoder=first, windows=found.windows[:, : specs[first].dim])
    yield found._replace(encoder=second, windows=found.windows[:, specs[first].dim :])


def _parts(name: str, specs: Mapping[str, EncoderSpec]) -> set[str]:
    """Return the names of the encoders of a pair; none if it is not one."""
    parts = set(name.split(PLUS))
    return parts if len(parts) == 2 and parts <= specs.keys() else set()
