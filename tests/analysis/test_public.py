"""The public names: functions, not the modules of the same name, and quickly there."""

import subprocess
import sys
from types import ModuleType

import pytest

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
        "import sys, mlgenn_delays.training as t; dir(t);"
        "print({'numpy', 'numba', 'rich', 'safetensors'} & set(sys.modules));"
        "import mlgenn_delays.analysis as a; a.analyse;"
        "t.Trainer, t.RunDirectory, t.History, t.describe_environment;"
        "print({'numba', 'rich', 'scipy', 'matplotlib', 'sklearn'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\nset()\n"
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = analysis.nothing
