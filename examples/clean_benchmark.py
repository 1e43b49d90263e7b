"""Keep a benchmark out of the training: by identity, by file and by words, with a list of licences.

unisono download song_describer fma --fma-size small
python examples/clean_benchmark.py data
"""

import sys
from pathlib import Path

import unisono as u
from unisono.curation.leaks import leaks
from unisono.curation.license_terms import licenses_of

root = Path(sys.argv[1] if len(sys.argv) > 1 else "data")
out = root / "clean_benchmark"

u.unify(["song_describer"], data_root=root, output=out / "benchmark.json", assign_splits=False)
mix = u.unify(
    ["fma", "mtg_jamendo"],
    data_root=root,
    output=out / "mix.json",
    derivatives=True,  # only what may be adapted
)
print(f"{mix.tracks:,} tracks that may be adapted")

report = leaks(out / "mix.json", out / "benchmark.json", match=["ids", "sha256", "text"])
clean = report.clean()
u.write_tracks(clean, out / "train.json")
print(f"{mix.tracks - len(clean):,} of them are music of the benchmark, or described by its words, and were removed")

for licence, tracks in licenses_of(out / "train.json").licenses.items():
    print(f"{tracks:7,} {licence}")
