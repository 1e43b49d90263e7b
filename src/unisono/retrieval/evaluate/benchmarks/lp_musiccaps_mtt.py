"""LP-MusicCaps-MTT as mteb has it: four captions by a model for each of 300 clips of MagnaTagATune."""

from unisono.retrieval.evaluate.benchmarks import BenchmarkCard, JudgedFiles

CARD = BenchmarkCard(
    name="lp-musiccaps-mtt",
    title="LP-MusicCaps-MTT",
    music="lp-musiccaps-mtt",
    homepage="https://huggingface.co/datasets/hubxrt/LPMusicCapsMTT_t2a",
    dataset="hf:hubxrt/LPMusicCapsMTT_t2a@33c5efd45927bcf67cda707d33365387571c7054",
    judged=JudgedFiles(),
    revision="33c5efd45927bcf67cda707d33365387571c7054",
    license="CC BY-NC 4.0 by mteb and the project; a card of the same captions says MIT: a contradiction",
    split="test",
    queries=1200,
    candidates=300,
    protocol="Each caption is a query; its clip of 10 s is relevant. Captions were made from tags by a language model.",
    overlaps=(
        "MagnaTagATune: the clips and the tags; musicnn's MTT tagger, and so the model `tags`, was trained on it",
    ),
)
