"""The public names: functions, not the modules of the same name, and quickly there."""

import subprocess
import sys
from types import ModuleType

import mlgenn_delays.analysis as analysis


def test_names_are_never_modules():
    import mlgenn_delays.analysis.clusters
    import mlgenn_delays.analysis.grouping  # noqa: F401

    for name in analysis.__all__:
        found = getattr(analysis, name)
        assert not isinstance(found, ModuleType) and found.__doc__, name
    assert len(set(analysis.__all__)) == len(analysis.__all__) == 21


def test_nothing_heavy_is_imported():
    code = (
        "import sys, mlgenn_delays.analysis as a; a.analyse; "
        "print([m for m in ('numba', 'scipy', 'matplotlib', 'sklearn') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
