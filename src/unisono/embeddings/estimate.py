"""What a run costs before it begins: disk, hours of cores or GPUs, and GPU memory, from measured rates.

Seconds of one core were measured for a second of audio, on one core of a two-core AMD EPYC, with random weights of the real
size for the larger encoders; they differ by a third between runs. Nothing has been measured on a GPU: its hours are the
encoder's operations over an assumed rate, and its memory is the weights and a batch of windows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from unisono.embeddings.encoders.audio import spec

GPU_FLOPS = 50e12
"""Operations a second that a GPU is assumed to sustain: a third of what an A100 can do in TF32 at best."""
CORE_FLOPS = 40e9
"""Of one core, on the matrix products of a training step."""
DECODE_CORE_S = 0.0015
"""Seconds of a core to decode and resample a second of audio (mp3 or Ogg Vorbis, 44.1 kHz stereo: 0.0007 to 0.0015)."""
CAPTION_BYTES = 400
"""On disk, of one caption with what evaluation needs of it."""
BATCH_WINDOWS = 4
"""In the memory that is stated; `prepare` finds the batch that fits, and a larger one is faster."""
ACTIVATION_BYTES = 30e6
"""Of a second of audio in a batch, roughly, in the larger encoders."""


@dataclass(frozen=True)
class EncoderCost:
    """What one second of audio costs."""

    core_s: float
    """Seconds of one core."""
    flops: float = 0
    """Operations; 0: not counted."""
    parameters: float = 0


COSTS = {
    "clap": EncoderCost(0.05, 5e9, 68e6),
    "clap_general": EncoderCost(0.05, 5e9, 68e6),
    "dsp": EncoderCost(0.001),
    "latent": EncoderCost(0.95, 42e9, 16e6),
    "mert": EncoderCost(0.74, 53.9e9, 315e6),
    "mert_95m": EncoderCost(0.33, 20.9e9, 94e6),
    "musicfm": EncoderCost(0.49, 41.8e9, 330e6),
    "musicnn": EncoderCost(0.015, 0.7e9, 0.8e6),
    "muq": EncoderCost(0.49, 41.8e9, 325e6),
    "muq_mulan": EncoderCost(0.49, 41.8e9, 325e6),
    "tags": EncoderCost(0.03, 1.4e9, 1.6e6),
}
"""Encoder -> cost; musicfm, which has the conformer of muq, counts as muq, and so does muq_mulan."""


@dataclass(frozen=True)
class Requirements:
    """What embedding and training cost."""

    disk_bytes: float
    """Of the embeddings, with the captions."""
    core_hours: float | None
    """Of CPU cores, without any GPU; None: an encoder's cost is not known."""
    gpu_hours: float | None
    """Of one GPU; decoding needs `decode_core_hours` at the same time."""
    gpu_bytes: float | None
    """Of GPU memory."""
    decode_core_hours: float
    machine_hours: float | None = None
    """Of a machine whose rate was measured."""


def estimate(
    tracks: int,
    audio_hours: float,
    encoders: Sequence[str],
    *,
    captions_per_track: float = 1,
    epochs: int = 0,
    measured: float | None = None,
) -> Requirements:
    """Return what it costs to embed this number of hours of excerpts with audio encoders, and to train heads on them.

    `measured`: hours of audio that a machine embeds in an hour, as `benchmarks/prepare.py` measures it.

    Raises:
        UsageError: there is no such encoder.
    """
    specs = [spec(name) for name in encoders]
    costs = [COSTS.get(each.name) for each in specs]
    seconds = 3600 * audio_hours
    disk = tracks * (sum(2 * each.dim * each.layers for each in specs) + CAPTION_BYTES * captions_per_track)
    decode = seconds * DECODE_CORE_S / 3600
    machine = audio_hours / measured if measured else None
    heads = 6 * 1.5e6 * tracks * epochs  # forward and backward through about 1.5 million weights
    if any(cost is None for cost in costs):
        return Requirements(disk, None, None, None, decode, machine)
    known = [cost for cost in costs if cost]
    core = seconds * sum(cost.core_s for cost in known) / 3600 + heads / CORE_FLOPS / 3600 + decode
    gpu = (seconds * sum(cost.flops for cost in known) + heads) / GPU_FLOPS / 3600
    of_encoders = [
        4 * cost.parameters + BATCH_WINDOWS * min(each.window_s, 30) * ACTIVATION_BYTES * (cost.parameters > 2e6)
        for cost, each in zip(known, specs, strict=True)
    ]
    memory = max(of_encoders, default=0)
    return Requirements(disk, core, gpu, memory, decode, machine)
