"""Follow a folder of music, search it in words, and keep what was found as a playlist.

python examples/my_music.py ~/Music "calm acoustic guitar"
"""

import sys
from pathlib import Path

import unisono as u
from unisono.search.playlist import write_playlist
from unisono.search.query import Query

folder = sys.argv[1] if len(sys.argv) > 1 else "~/Music"
words = sys.argv[2] if len(sys.argv) > 2 else "calm acoustic guitar"
model = sys.argv[3] if len(sys.argv) > 3 else "tags"  # needs no GPU and no download

with u.open_library("data/library") as library:
    library.add(folder, model=model)
    report = library.sync()  # again whenever something has changed: only what is new is embedded
    print(f"{report.embedding.embedded:,} new tracks embedded")
    hits = library.search(Query(words, without="vocals", max_per_artist=2, top=20))

for hit in hits[:5]:
    print(f"{hit.percentile:5.1f} % {hit.track.name}  ({', '.join(hit.why)})")
write_playlist(Path("found.m3u8"), [hit.track for hit in hits])
