"""clap: CLAP, larger_clap_music_and_speech, both towers (Wu et al., 2023, arXiv 2211.06687). English only.

Music: windows of 10 s, each a unit vector; a track is their mean, scaled to length 1 again. (In training a random 10 s stood
for a longer track.) Text: at most 77 tokens. See `encoders/audio/clap.py` and `encoders/text/clap.py`.

Weights: Apache-2.0.
"""

from functools import partial

from unisono.retrieval.models import _towers

SPEC = _towers.tower_spec("clap", "CLAP, larger_clap_music_and_speech", "English")
is_here = partial(_towers.is_here, SPEC.name)
build = partial(_towers.TowerModel, SPEC.name)
