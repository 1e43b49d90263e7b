"""clamp3: CLaMP 3 SAAS, towers for audio and text (Wu et al., 2025, arXiv 2502.10362). About a hundred languages.

Music: a track is read as a sequence of windows of 5 s, as the authors do. Text: segments of 128 tokens. See
`encoders/audio/clamp3.py` and `encoders/text/clamp3.py`.

Weights: MIT, but MERT, through which it hears, is CC BY-NC 4.0, not for commercial use.
"""

from functools import partial

from unisono.retrieval.models import _towers

SPEC = _towers.tower_spec("clamp3", "CLaMP 3 SAAS", "about 100")
is_here = partial(_towers.is_here, SPEC.name)
build = partial(_towers.TowerModel, SPEC.name)
