"""clap_unfused: CLAP, clap-htsat-unfused, both towers: a smaller network; see `clap`.

Weights: Apache-2.0.
"""

from functools import partial

from unisono.retrieval.models import _towers

SPEC = _towers.tower_spec("clap_unfused", "CLAP, clap-htsat-unfused", "English")
is_here = partial(_towers.is_here, SPEC.name)
build = partial(_towers.TowerModel, SPEC.name)
