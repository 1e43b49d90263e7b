"""Windows of audio for training: some of each excerpt, at places that the seed and the number of the step determine."""

import threading
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from unisono.audio.decode import Decoder, Excerpt
from unisono.audio.faults import SILENT, Fault
from unisono.audio.open import Samples
from unisono.base.seeded import rank_key
from unisono.embeddings.audio_cache import CachedAudio
from unisono.embeddings.encoders.audio import EncoderSpec

SILENT_DRAWS = 4
"""How many places of an excerpt are tried before it counts as silent."""
SMALLEST_DEVIATION = 1e-7


class Waveforms:
    """Draws windows of excerpts, from their files or from a cache of decoded audio; several threads may do so at once."""

    def __init__(
        self,
        excerpts: Sequence[Excerpt],
        spec: EncoderSpec,
        count: int,
        seed: int,
        cache: CachedAudio | None = None,
        keys: Sequence[bytes] = (),
    ) -> None:
        """Prepare to draw.

        Args:
            excerpts: N of them.
            spec: of the encoder that the windows are for.
            count: W, how many windows of an excerpt are drawn.
            seed: of the places.
            cache: holds the decoded audio of all excerpts.
            keys: [N] of the excerpts, in the cache.
        """
        self.excerpts = excerpts
        self.spec = spec
        self.count = count
        self.seed = seed
        self.samples = round(spec.window_s * spec.rate_hz)
        """Of a window."""
        self._cache = cache
        self._keys = keys
        self._of_thread = threading.local()

    def draw(self, row: int, step: int) -> Samples | Fault:
        """Return windows [W, samples] of the excerpt of a row, evenly spaced from a random offset.

        An excerpt that is shorter than a window is repeated until it fills one.
        """
        for attempt in range(SILENT_DRAWS):
            found = self._draw(row, rank_key(self.seed, "window", step, row, attempt) / 2**64)
            if not isinstance(found, Fault):
                break
            if found.reason != SILENT:
                return found
        if isinstance(found, Fault) or not self.spec.whole:
            return found
        deviation = np.sqrt(found.var() + SMALLEST_DEVIATION)
        standardised: Samples = ((found - found.mean()) / deviation).astype(np.float32)
        return standardised

    def _draw(self, row: int, offset: float) -> Samples | Fault:
        room_s = max(self.excerpts[row].duration_s - self.spec.window_s, 0.0)
        windows = np.empty((self.count, self.samples), np.float32)
        for number in range(self.count):
            found = self._window(row, (offset + number) / self.count * room_s)
            if isinstance(found, Fault):
                return found
            windows[number] = found
        return windows

    def _window(self, row: int, begin_s: float) -> Samples | Fault:
        excerpt = self.excerpts[row]
        if self._cache is not None:
            found = self._cache.read(self._keys[row], round(begin_s * self.spec.rate_hz), self.samples)
        else:
            begin_s += excerpt.start_s
            end_s = excerpt.start_s + excerpt.duration_s
            part = Excerpt(excerpt.path, begin_s, min(self.spec.window_s, end_s - begin_s))
            decoded = self._decoded(part)
            if isinstance(decoded, Fault):
                return decoded
            found = decoded
        if not found.any():
            return Fault(SILENT)
        filled: Samples = np.resize(found, self.samples) if len(found) != self.samples else found
        return filled

    def _decoded(self, part: Excerpt) -> Samples | Fault:
        decoder: Decoder | None = getattr(self._of_thread, "decoder", None)
        if decoder is None:
            decoder = self._of_thread.decoder = Decoder({self.spec.rate_hz})
        blocks: list[NDArray[np.float32]] = []
        for block in decoder.blocks(part):
            if isinstance(block, Fault):
                return block
            blocks.append(block[self.spec.rate_hz].copy())
        return np.concatenate(blocks)
