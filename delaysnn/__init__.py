"""`mlgenn_delays` under the name of its distribution and command.

Both names mean the same modules and classes: ``delaysnn.network is mlgenn_delays.network``.
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

import mlgenn_delays


class _SameModule(MetaPathFinder, Loader):
    """Imports ``delaysnn.x`` as the module ``mlgenn_delays.x`` itself, not as a copy of it."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        package, _, rest = fullname.partition(".")
        if package != __name__ or fullname.endswith(".__main__"):  # which runs, as a copy
            return None
        found = find_spec(f"{mlgenn_delays.__name__}.{rest}")
        if found is None:
            return None
        spec = ModuleSpec(fullname, self, origin=found.origin, loader_state=found)
        spec.submodule_search_locations = found.submodule_search_locations
        return spec

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return import_module(spec.loader_state.name)

    def exec_module(self, module: ModuleType) -> None:
        # It has run, under its own name; import has just given it the spec of the other.
        assert module.__spec__ is not None
        module.__spec__ = module.__spec__.loader_state


sys.meta_path.insert(0, _SameModule())
sys.modules[__name__] = mlgenn_delays
