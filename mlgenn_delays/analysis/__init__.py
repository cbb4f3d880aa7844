"""What emerged in trained networks, as numbers and figures.

The names are imported at once, not when first asked for: several are called as the modules that
they are in, which would take their place as soon as another module imports those. What takes long
to import (Numba, SciPy, matplotlib) is imported by the functions that need it.
"""

from mlgenn_delays.analysis.activity import activity, tuning
from mlgenn_delays.analysis.afferents import Afferents, Places, receptive_fields
from mlgenn_delays.analysis.analyse import Analysis, Settings, analyse
from mlgenn_delays.analysis.changes import balance, moved
from mlgenn_delays.analysis.clusters import clusters
from mlgenn_delays.analysis.figures import pictures
from mlgenn_delays.analysis.findings import findings
from mlgenn_delays.analysis.grouping import grouping
from mlgenn_delays.analysis.lifetimes import lifetimes
from mlgenn_delays.analysis.neighbours import Reach
from mlgenn_delays.analysis.planted import Recovery, chance, recovered
from mlgenn_delays.analysis.survival import across, staying

__all__ = [
    "Afferents",
    "Analysis",
    "Places",
    "Reach",
    "Recovery",
    "Settings",
    "across",
    "activity",
    "analyse",
    "balance",
    "chance",
    "clusters",
    "findings",
    "grouping",
    "lifetimes",
    "moved",
    "pictures",
    "receptive_fields",
    "recovered",
    "staying",
    "tuning",
]
