"""Compare two losses over several seeds, on the same music, with a test of significance.

unisono prepare --encoders muq
python examples/compare_models.py data/processed_embeddings muq
"""

import sys
from pathlib import Path

import unisono as u
from unisono.retrieval.evaluate.significance import compare_all

data = Path(sys.argv[1] if len(sys.argv) > 1 else "data/processed_embeddings")
encoder = sys.argv[2] if len(sys.argv) > 2 else "muq"
seeds = int(sys.argv[3]) if len(sys.argv) > 3 else 3
out = Path("checkpoints/compared")

results = []
with u.open_embeddings(data) as embeddings:
    for loss in ("infonce", "siglip"):
        for seed in range(seeds):
            model = u.train(
                embeddings,
                audio_encoder=encoder,
                loss=loss,
                seed=seed,
                checkpoint_dir=out / f"{loss}-{seed}",
                overwrite=True,
            )
            results.append((loss, u.evaluate(model, embeddings)))

print(compare_all(results, measures=["recall@10", "mrr"]))  # .table().markdown() or .latex() for a paper
