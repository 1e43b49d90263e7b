"""The time that our MuQ and MERT take, over transformers' own forward pass on the same tensors.

    python -m benchmarks.encoders [--encoders muq mert mert_95m] [--batch-sizes 1 2 4] [--device cuda:0]

The networks have the published sizes and random weights (times do not depend on their values); the windows are noise of the
encoder's window length. Ours is `embed`: standardising, the network, the mean over time. Theirs is the same network called
directly on the whole batch, in the same precision, and averaged: `HubertModel` for MERT; for MuQ
`Wav2Vec2ConformerEncoder` on top of the spectrogram and the convolutions. Both run in turn, several times; the ratio is that
of the medians. Windows per second show the effect of larger batches; on a CPU `embed` runs windows one by one, whatever the
batch size.

On a CPU one thread is used, as in `prepare`, which runs an encoder on each core, and CPU time is measured, so that
other work on the machine has little effect. On a GPU the time until the result has arrived is measured.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import layer_norm
from transformers import HubertModel

from benchmarks.timing import in_turn
from unisono.embeddings.encoders import audio
from unisono.embeddings.encoders.audio import mert, muq

MUQ = muq.MuqSizes(
    mel_bands=128,
    hop_samples=240,
    channels=512,
    mean_db=6.768444971712967,
    deviation_db=18.417922652295623,
    conformer={
        "hidden_size": 1024,
        "num_hidden_layers": 12,
        "num_attention_heads": 16,
        "intermediate_size": 4096,
        "hidden_act": "swish",
        "position_embeddings_type": "rotary",
        "conv_depthwise_kernel_size": 31,
    },
)
MERT_COMMON: dict[str, Any] = {"model_type": "mert_model", "conv_bias": False, "feat_extract_norm": "group"}
MERTS: dict[str, dict[str, Any]] = {
    "mert": {
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_attention_heads": 16,
        "num_hidden_layers": 24,
        "do_stable_layer_norm": True,
    },
    "mert_95m": {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12, "num_hidden_layers": 12},
}

Pair = tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]


def muq_pair(device: str, layers: int | None) -> Pair:
    """Build MuQ and the plain call of its network."""
    layers = layers or int(MUQ.conformer["num_hidden_layers"])
    sizes = replace(MUQ, conformer={**MUQ.conformer, "num_hidden_layers": layers})
    network: Any = muq.build_network(sizes).to_empty(device=device)
    _randomise(network)
    ours = muq.Muq(audio.spec("muq"), network, sizes, device, [layers])

    def theirs(windows: Tensor) -> Tensor:
        frames = network.conv(ours.log_mel(windows))
        found: Tensor = network.conformer(frames).last_hidden_state
        return found.float().mean(dim=1)

    return ours.embed, theirs


def mert_pair(name: str, device: str, layers: int | None) -> Pair:
    """Build a MERT and the plain call of its network."""
    config = mert.hubert_config(MERT_COMMON | MERTS[name], Path(name))
    config.num_hidden_layers = layers or config.num_hidden_layers
    network: Any = HubertModel(config)
    model = network.to(device)
    _randomise(model)
    ours = mert.Mert(audio.spec(name), model, [config.num_hidden_layers])

    def theirs(windows: Tensor) -> Tensor:
        standardised = layer_norm(windows, windows.shape[1:], eps=1e-7)
        found: Tensor = model(standardised).last_hidden_state
        return found.float().mean(dim=1)

    return ours.embed, theirs


def _randomise(network: torch.nn.Module) -> None:
    """Fill a network with random values that keep its output finite, buffers such as `inv_freq` included."""
    for name, tensor in network.state_dict().items():
        if not tensor.is_floating_point():
            tensor.zero_()
        elif "var" in name or "original0" in name or "norm" in name or "inv_freq" in name:
            tensor.fill_(1.0)
        else:
            tensor.normal_(std=0.02)
    network.requires_grad_(False).eval()


def measure(pair: Pair, windows: Tensor, repeats: int) -> tuple[float, float, float]:
    """Return the medians in seconds of ours and theirs, and the largest difference of their results."""
    ours, theirs = pair

    def plainly(windows: Tensor) -> Tensor:
        with torch.inference_mode(), torch.autocast(windows.device.type, torch.bfloat16, windows.is_cuda):
            return theirs(windows)

    difference = (ours(windows) - plainly(windows)).abs().max().item()
    mine, plain = in_turn(
        repeats,
        lambda: ours(windows).sum().item(),  # waits for the device
        lambda: plainly(windows).sum().item(),
        clock=time.perf_counter if windows.is_cuda else time.process_time,
    )
    return mine, plain, difference


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoders", nargs="+", default=["muq", "mert", "mert_95m"])
    parser.add_argument("--batch-sizes", nargs="+", type=int, default=[1, 4])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--layers", type=int, help="instead of the published number")
    parser.add_argument("--window-s", type=float, help="instead of each encoder's own")
    arguments = parser.parse_args()
    if arguments.device == "cpu":
        torch.set_num_threads(1)
    print(f"{arguments.device}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    print("encoder   batch   ours s   theirs s   ratio   windows/s   seconds of audio/s   largest difference")
    for name in arguments.encoders:
        make = muq_pair if name == "muq" else partial(mert_pair, name)
        pair = make(arguments.device, arguments.layers)
        spec = audio.spec(name)
        window_s = arguments.window_s or spec.window_s
        for size in arguments.batch_sizes:
            windows = torch.randn(size, round(window_s * spec.rate_hz), device=arguments.device) / 8
            ours, theirs, difference = measure(pair, windows, arguments.repeats)
            print(
                f"{name:9} {size:5} {ours:8.3f} {theirs:10.3f} {ours / theirs:7.3f} {size / ours:11.2f} "
                f"{size * window_s / ours:20.1f} {difference:20.1e}",
                flush=True,
            )


if __name__ == "__main__":
    main()
