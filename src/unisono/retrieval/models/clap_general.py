"""clap_general: CLAP, larger_clap_general, both towers: music, speech and other sounds; see `clap`.

Weights: Apache-2.0.
"""

from functools import partial

from unisono.retrieval.models import _towers

SPEC = _towers.tower_spec("clap_general", "CLAP, larger_clap_general", "English")
is_here = partial(_towers.is_here, SPEC.name)
build = partial(_towers.TowerModel, SPEC.name)
