"""muq_mulan: MuQ-MuLan-large, both towers (Zhu et al., 2025, arXiv 2501.01108). English and Chinese.

Music: consecutive windows of 10 s, the last one completed with the track's beginning; a track is the mean of their unit
vectors, as the authors compute it. They compare it with a description by the dot product; here it is scaled to length 1, as
all scores here are cosines. Text: no padding, so that a description depends on none of its neighbours. See
`encoders/audio/muq_mulan.py` and `encoders/text/muq_mulan.py`.

Weights: CC BY-NC 4.0, not for commercial use.
"""

from functools import partial

from unisono.retrieval.models import _towers

SPEC = _towers.tower_spec("muq_mulan", "MuQ-MuLan-large", "English, Chinese")
is_here = partial(_towers.is_here, SPEC.name)
build = partial(_towers.TowerModel, SPEC.name)
