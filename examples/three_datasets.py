"""From three datasets to a model that answers in words.

unisono download song_describer fma jamendo_max_caps --fma-size small --shards 1
python examples/three_datasets.py data muq
"""

import sys
from pathlib import Path

import unisono as u

root = Path(sys.argv[1] if len(sys.argv) > 1 else "data")
encoder = sys.argv[2] if len(sys.argv) > 2 else "musicnn"
out = root / "three_datasets"

report = u.unify(
    ["song_describer", "fma", "jamendo_max_caps"],
    data_root=root,
    output=out / "unified.json",
    captions=["template", "keywords"],  # for FMA, which has tags and no captions
)
print(f"{report.tracks:,} tracks; left out: {dict(report.dropped)}")

u.prepare(report.output, output_dir=out / "embeddings", encoders=[encoder])
model = u.train(out / "embeddings", audio_encoder=encoder, checkpoint_dir=out / "checkpoints", overwrite=True)
result = u.evaluate(model, out / "embeddings")

found = result.retrieval["text_to_music"]["all"]
best = found.estimates["recall@10"]
print(f"recall@10 of {found.queries:,} captions among {found.candidates:,}: {best.value:.0%}, chance {best.chance:.0%}")
for hit in model.search("slow solemn choir", top=5):
    print(f"{hit.score:.2f} {hit.track.name}")
