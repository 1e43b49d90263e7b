"""CLaMP 3 SAAS, audio tower: a track as a sequence, in a space shared with text (Wu et al., 2025, arXiv 2502.10362).

MERT-v1-95M (see `mert`) over windows of 5 s: the mean of its 13 hidden states over time. The audio is standardised as a
whole before it is cut, the last window stays short, and is left out if shorter than 1 s, as in the authors' code
(github.com/sanderwood/clamp3 @ 9016d2b). A BERT of 12 layers reads the windows as a sequence, with a vector of zeros at each
end, in segments of 128; the last segment is the last 128. The mean of its states is projected to the shared space. Both
networks are transformers' own, `HubertModel` and `BertModel`.

The embedding of a track is the mean of the segments' vectors, weighted by their lengths, as the authors compute it. The
embeddings of its windows are the states of the BERT, projected: vectors of the same space, in the context of the track.

Weights: MIT, but MERT's are CC BY-NC 4.0, not for commercial use. Revision, size and sha256 are those that public
repositories agree on. The text tower is `encoders/text/clamp3.py`; that of scores is not read.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from unisono.base.errors import DataError
from unisono.embeddings.encoders.audio import EncoderSpec, mert, mert_95m
from unisono.embeddings.encoders.audio._network import Network
from unisono.embeddings.encoders.weights import XLM_R_TOKENIZER, HubFile, HubWeights, load_tensors, locate

if TYPE_CHECKING:
    import torch

WEIGHTS = HubWeights(
    repo="sander-wood/clamp3",
    revision="791815a04a3a2bd9ab64cf590ba8307930c179e6",
    weights=HubFile(
        name="weights_clamp3_saas_h_size_768_t_model_FacebookAI_xlm-roberta-base_t_length_128_a_size_768_a_layers_12_"
        "a_length_128_s_size_768_s_layers_12_p_size_64_p_length_512.pth",
        size=2_571_027_658,
        sha256="5033f868e3977be3945ee416b5a1718d5589a173c7ba8982231d8c94a6441d80",
        saved_as="clamp3.pth",
    ),
    others=(
        XLM_R_TOKENIZER,
        mert_95m.WEIGHTS.others[0].within(mert_95m.WEIGHTS, saved_as="mert_config.json"),
        mert_95m.WEIGHTS.weights.within(mert_95m.WEIGHTS, saved_as="mert.bin"),
    ),
)

SPEC = EncoderSpec(
    name="clamp3",
    title="CLaMP 3 SAAS, audio tower",
    rate_hz=24_000,
    window_s=5.0,
    hop_s=5.0,
    tail="short",
    shortest_s=1.0,
    whole=True,
    dim=768,
    weights_license="MIT, CC-BY-NC-4.0",
    noncommercial=True,
    source=WEIGHTS.repo,
    revision=WEIGHTS.revision,
    size=WEIGHTS.weights.size + mert_95m.WEIGHTS.weights.size,
)

SEGMENT = 128
"""Windows, or tokens of text, that are read at once."""
HEAD_DIM = 64


def build(device: str = "cpu", weights: Path | None = None) -> "Clamp3":
    """Build the encoder; see `unisono.embeddings.encoders.audio.build`."""
    import torch
    from transformers import BertConfig, BertModel

    from unisono.embeddings.encoders.audio._torch import fill

    found = locate(SPEC.name, WEIGHTS, weights)
    of_mert = found.weights.with_name("mert.bin")
    listener = mert.build_network(mert.hubert_config(found.json("mert_config.json"), of_mert))
    fill(listener, load_tensors(of_mert), of_mert, "MERT-v1-95M")
    tensors = tower_tensors(found.weights, "audio")
    try:
        layers = "model.encoder.layer."
        hidden, shared = tensors["proj.weight"].shape[1], tensors["proj.weight"].shape[0]
        config: Any = BertConfig(
            vocab_size=1,
            hidden_size=hidden,
            num_hidden_layers=1 + max(int(name.split(".")[3]) for name in tensors if name.startswith(layers)),
            num_attention_heads=hidden // HEAD_DIM,
            intermediate_size=tensors[f"{layers}0.intermediate.dense.weight"].shape[0],
            max_position_embeddings=SEGMENT,
        )
    except (KeyError, ValueError) as error:
        raise DataError(f"{found.weights} is not of {SPEC.title}: {error!r} is missing.") from error
    config._attn_implementation = "sdpa"
    with torch.device("meta"):
        reader: Any = torch.nn.ModuleDict(
            {"model": BertModel(config, add_pooling_layer=False), "proj": torch.nn.Linear(hidden, shared)}
        )
    fill(reader, tensors, found.weights, SPEC.title, unused=("pooler.", "position_ids", "token_type_ids"))
    return Clamp3(found.described(SPEC, dim=shared), listener.to(device), reader.to(device))


def tower_tensors(path: Path, tower: str) -> dict[str, Any]:
    """Read the tensors of one tower: those of its network as `model.*`, those of its projection as `proj.*`.

    Raises:
        DataError: the file is cut short, or of another model.
    """
    tensors = load_tensors(path).get("model")
    if not isinstance(tensors, dict):
        raise DataError(f"{path} is not of CLaMP 3: it has no part `model`.")
    return {name.removeprefix(f"{tower}_"): tensor for name, tensor in tensors.items() if name.startswith(f"{tower}_")}


def segments(length: int) -> list[tuple[int, int, int]]:
    """Return begin, end and weight of the segments of a sequence: of 128 each, the last one is the last 128.

    The weight is the number of places that a segment adds.
    """
    begins = range(0, length, SEGMENT)
    found = [(begin, min(begin + SEGMENT, length), min(SEGMENT, length - begin)) for begin in begins]
    _, end, weight = found[-1]
    return [*found[:-1], (max(0, end - SEGMENT), end, weight)]


class Clamp3(Network):
    """The audio tower. What it makes of windows is the mean of MERT's hidden states, over layers and time."""

    def __init__(self, spec: EncoderSpec, listener: Any, reader: Any) -> None:
        import torch

        from unisono.embeddings.encoders.audio._torch import LayerMeans

        self.spec = spec
        self.network = torch.nn.ModuleDict({"listener": listener, "reader": reader})
        self.listener = listener
        self.reader = reader
        self.means = LayerMeans(listener.encoder.layers, list(range(len(listener.encoder.layers) + 1)), average=True)

    @property
    def stages(self) -> "list[torch.nn.Module]":
        """The parts of both networks, from front to back."""
        of = self.reader["model"]
        return [*mert.stages_of(self.listener), of.embeddings, *of.encoder.layer, self.reader["proj"]]

    def forward(self, windows: "torch.Tensor") -> "torch.Tensor":
        """Run MERT over windows [B, samples] at once; differentiable."""
        return self.means.during(lambda: self.listener(windows).last_hidden_state)

    def read(self, rows: "torch.Tensor") -> "torch.Tensor":
        """Read the few windows [B, W, F] of each track as a sequence, as `join` does: [B, D]; differentiable."""
        import torch

        ends = rows.new_zeros(len(rows), 1, rows.shape[2])
        states = self.reader["model"](inputs_embeds=torch.cat([ends, rows, ends], dim=1)).last_hidden_state
        vectors: torch.Tensor = self.reader["proj"](states).float().mean(dim=1)
        return vectors

    def join(self, rows: "torch.Tensor") -> "tuple[torch.Tensor, torch.Tensor]":
        """Read the windows [W, F] of a track as a sequence.

        Returns:
            The vector of the track [D], and those of its windows in their context [W, D].
        """
        import torch

        ends = rows.new_zeros(1, rows.shape[1])
        sequence = torch.cat([ends, rows, ends])
        found = segments(len(sequence))
        whole, states = [], []
        with torch.inference_mode():
            for begin, end, added in found:
                hidden = self.reader["model"](inputs_embeds=sequence[None, begin:end]).last_hidden_state
                vectors = self.reader["proj"](hidden[0]).float()
                whole.append(vectors.mean(dim=0) * added)
                states.append(vectors[-added:])
        track: torch.Tensor = torch.stack(whole).sum(dim=0) / len(sequence)
        return track, torch.cat(states)[1:-1]
