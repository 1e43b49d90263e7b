"""Any model of unisono inside mteb (github.com/embeddings-benchmark/mteb): its retrieval tasks of text and audio.

    import mteb
    from unisono.retrieval.evaluate.mteb_model import MtebModel

    mteb.evaluate(MtebModel(u.load_model("checkpoints/muq_best.pt")), mteb.get_tasks(["SongDescriberT2ARetrieval"]))

Definitions differ: mteb's `hit_rate_at_k` is our recall@k and its `recall_at_k` our fraction@k; `mrr_at_1000` counts ranks
beyond 1,000 as 0; `map_at_10` divides by all relevant tracks, ours by at most 10; ties are broken by the ids, ours count
against the model. mteb hands over the audio as its dataset decodes it, whole; windows and pooling are those of the model.
"""

import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from unisono import __version__
from unisono.base.errors import UsageError
from unisono.base.extras import extra
from unisono.embeddings.embed_files import embed_files
from unisono.retrieval.metrics import normalised
from unisono.retrieval.models import Floats, JointModel


class MtebModel:
    """A model as mteb's `EncoderProtocol` describes it."""

    def __init__(self, model: JointModel, device: str = "cpu") -> None:
        """Wrap a model; `device` is where its audio encoder runs."""
        self._model = model
        self._device = device

    @property
    def mteb_model_meta(self) -> Any:
        """What mteb records of the model."""
        with extra("dev", "Evaluating inside mteb"):
            from mteb.models.model_meta import ModelMeta
        label = Path(self._model.label).stem or "model"
        return ModelMeta.create_empty(
            {
                "name": f"unisono/{label}",
                "revision": __version__,
                "modalities": ["text", "audio"],
                "similarity_fn_name": "cosine",
            }
        )

    def encode(self, inputs: Iterable[Mapping[str, Any]], **_: Any) -> Floats:
        """Embed the texts, or the audio, of batches of mteb as [n, D] unit vectors.

        Raises:
            UsageError: the batches hold neither.
        """
        batches = list(inputs)
        if all("audio" in batch for batch in batches):
            return self._embed_audio([item for batch in batches for item in batch["audio"]])
        if all("text" in batch for batch in batches):
            return self._model.embed_text([text for batch in batches for text in batch["text"]])
        raise UsageError("A model of unisono embeds text or audio; this task of mteb has something else.")

    def _embed_audio(self, items: list[Mapping[str, Any]]) -> Floats:
        """Embed decoded audio all at once: some models compare the tracks with each other."""
        with tempfile.TemporaryDirectory() as folder:
            paths = []
            for number, item in enumerate(items):
                samples = np.asarray(item["array"], dtype=np.float32)
                if samples.ndim == 2 and samples.shape[0] < samples.shape[1]:
                    samples = samples.T  # soundfile wants frames x channels
                paths.append(Path(folder) / f"{number}.wav")
                soundfile.write(paths[-1], samples, int(item["sampling_rate"]), subtype="FLOAT")
            embedded = embed_files(paths, self._model.audio_encoder, self._device)
            return self._model.project_audio(embedded.astype(np.float16))  # as in `embeddings.h5`

    def similarity(self, embeddings1: Any, embeddings2: Any) -> Any:
        """Return the cosine of each of one side with each of the other."""
        import torch

        one, other = (normalised(np.asarray(each)) for each in (embeddings1, embeddings2))
        return torch.from_numpy(one @ other.T)

    def similarity_pairwise(self, embeddings1: Any, embeddings2: Any) -> Any:
        """Return the cosine of each pair."""
        import torch

        one, other = (normalised(np.asarray(each)) for each in (embeddings1, embeddings2))
        return torch.from_numpy((one * other).sum(axis=1))
