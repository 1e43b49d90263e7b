"""The time that the text towers of the joint models take, over transformers' own forward pass of the same tensors.

    python -m benchmarks.text_towers [--towers clap muq_mulan clamp3] [--tokens 24] [--captions 32]

The networks have the published sizes (but a small vocabulary, which is only looked up) and random weights. Ours is what
`embed` does with tokenised captions: batches of one length, on a thread for each core, scaled to length 1. Theirs is
transformers' class called on the batch with its mask: `ClapTextModelWithProjection`; `XLMRobertaModel` and a projection; for
MuQ-MuLan `XLMRobertaModel` and the further layers, which are in no library. Both run in turn, several times; the ratio is
that of the medians of processor time.
"""

import argparse
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from transformers import ClapTextConfig, ClapTextModelWithProjection, XLMRobertaConfig, XLMRobertaModel

from benchmarks.timing import in_turn
from unisono.embeddings.encoders.text import _transformer
from unisono.embeddings.encoders.text._mulan import MulanText
from unisono.embeddings.encoders.text._towers import unit

WORDS = 1000
ROWS = _transformer.CPU_ROWS
Pair = tuple[Callable[[Tensor], Tensor], Callable[[Tensor, Tensor], Tensor], int]


def clap(layers: int) -> Pair:
    """Return our forward pass, theirs, and the number of dimensions."""
    config: Any = ClapTextConfig(vocab_size=WORDS, num_hidden_layers=layers)
    config._attn_implementation = "eager"
    model: Any = _randomised(ClapTextModelWithProjection(config))
    return (
        lambda ids: model(input_ids=ids).text_embeds,
        lambda ids, mask: model(input_ids=ids, attention_mask=mask).text_embeds,
        config.projection_dim,
    )


def _xlm_roberta(layers: int) -> Any:
    config: Any = XLMRobertaConfig(
        vocab_size=WORDS, max_position_embeddings=514, type_vocab_size=1, num_hidden_layers=layers
    )
    config._attn_implementation = "sdpa"
    return XLMRobertaModel(config, add_pooling_layer=False)


def muq_mulan(layers: int) -> Pair:
    """Return our forward pass, theirs, and the number of dimensions."""
    network: Any = _randomised(MulanText(_xlm_roberta(layers), 768, 512, 8, 8, 64, 4))

    def theirs(ids: Tensor, mask: Tensor) -> Tensor:
        states = network.model(input_ids=ids, attention_mask=mask).last_hidden_state
        for attention, feed_forward in network.transformer["layers"]:
            states = states + attention(states)
            states = states + feed_forward(states)
        projected: Tensor = network.text_to_latents(states.mean(dim=1))
        return projected

    return network, theirs, 512


def clamp3(layers: int) -> Pair:
    """Return our forward pass, theirs, and the number of dimensions."""
    model: Any = _randomised(_xlm_roberta(layers))
    project: Any = _randomised(torch.nn.Linear(768, 768))

    def theirs(ids: Tensor, mask: Tensor) -> Tensor:
        states = model(input_ids=ids, attention_mask=mask).last_hidden_state
        pooled = (states * mask[..., None]).sum(dim=1) / mask.sum(dim=1, keepdim=True)
        projected: Tensor = project(pooled)
        return projected

    return lambda ids: project(model(input_ids=ids).last_hidden_state.mean(dim=1)), theirs, 768


TOWERS = {"clap": clap, "muq_mulan": muq_mulan, "clamp3": clamp3}


def _randomised(network: torch.nn.Module) -> torch.nn.Module:
    for tensor in network.parameters():
        tensor.data.normal_(std=0.02) if tensor.dim() > 1 else tensor.data.fill_(1.0)
    return network.requires_grad_(False).eval()


def measure(pair: Pair, tokens: Tensor, repeats: int) -> tuple[float, float]:
    """Return the medians in seconds of ours and theirs, for token ids [n, T]."""
    forward, theirs, dim = pair
    lists = tokens.tolist()

    def ours() -> Any:
        return unit(
            _transformer.embed_in_fixed_shapes(
                lists, dim, lambda some: forward(torch.tensor(some)), torch.device("cpu")
            )
        )

    @torch.no_grad()
    def plainly() -> Any:
        parts = [tokens[begin : begin + ROWS] for begin in range(0, len(tokens), ROWS)]
        found = [theirs(part, torch.ones_like(part)) for part in parts]
        return torch.nn.functional.normalize(torch.cat(found), dim=-1)

    mine, plain = in_turn(repeats, ours, plainly)
    return mine, plain


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--towers", nargs="+", default=list(TOWERS), choices=list(TOWERS))
    parser.add_argument("--tokens", type=int, default=24)
    parser.add_argument("--captions", type=int, default=32)
    parser.add_argument("--layers", type=int, default=12, help="instead of the published number")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(
        f"CPU, one thread a batch, torch {torch.__version__}, {arguments.captions} captions of {arguments.tokens} tokens"
    )
    print("tower       ours s   theirs s   ratio   captions/s")
    for name in arguments.towers:
        tokens = torch.randint(4, WORDS, (arguments.captions, arguments.tokens))
        ours, theirs = measure(TOWERS[name](arguments.layers), tokens, arguments.repeats)
        print(
            f"{name:10} {ours:7.3f} {theirs:10.3f} {ours / theirs:7.3f} {arguments.captions / ours:12.1f}", flush=True
        )


if __name__ == "__main__":
    main()
