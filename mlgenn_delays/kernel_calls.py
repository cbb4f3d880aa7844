"""Kernels that other kernels call: compiled once, as part of their callers.

Numba compiles a function that another one calls on its own first: it is optimised and made machine
code, with all that it calls in turn, though only its copy in the caller ever runs. A kernel five
calls deep would so be optimised five times over, and be cached five times. Here what is called is
lowered to LLVM's intermediate code and no further; the kernel that Python calls is optimised, with
all of it, once. A kernel that Python calls as well is compiled for that apart.

These classes of Numba are its own affair and may change. So before the first kernel is compiled,
two of one line are: where that fails, kernels are compiled in Numba's way, which takes longer and
rounds alike (`mlgenn_delays.kernels`).
"""

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any


def _of_numba(module: str, name: str) -> Any:
    """A class of Numba's, or `object` if it is not there."""
    try:
        return getattr(import_module(f"numba.core.{module}"), name)
    except (ImportError, AttributeError):
        return object


JITCodeLibrary: Any = _of_numba("codegen", "JITCodeLibrary")
Compiler: Any = _of_numba("compiler", "Compiler")
CPUDispatcher: Any = _of_numba("registry", "CPUDispatcher")


class _Library(JITCodeLibrary):
    """Code that is linked into other code and never runs by itself."""

    def _optimize_final_module(self) -> None:
        """Leave it to the library that this one is linked into."""

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._finalized = True


class _Compiler(Compiler):
    """Stops before machine code."""

    def define_pipelines(self) -> Any:
        state = self.state
        state.flags.no_compile = True
        state.library = _Library(state.targetctx.codegen(), state.func_id.func_qualname)
        return super().define_pipelines()


class _Called(CPUDispatcher):
    """A kernel as other kernels see it."""

    def add_overload(self, cres: Any) -> None:
        """Let callers find the code that was made for some types of arguments."""
        self.overloads[tuple(cres.signature.args)] = cres
        cres.target_context.insert_user_function(cres.library, cres.fndesc, [cres.library])

    def get_overload(self, sig: Any) -> Any:
        """What `add_overload` made known."""
        return self.overloads[tuple(getattr(sig, "args", sig))].library


def call_as_part(dispatcher: Any, options: dict[str, Any]) -> None:
    """Let kernels that call a kernel take in its code; it has the same options in them."""
    if object in (JITCodeLibrary, Compiler, CPUDispatcher):
        return  # another Numba
    if isinstance(dispatcher, CPUDispatcher):  # there is none with NUMBA_DISABLE_JIT
        _replace(dispatcher, options, works)


@cache
def works() -> bool:
    """Whether this version of Numba can do it."""
    try:
        one: Any = CPUDispatcher(lambda x: x + 1.0, {}, {"nopython": True})
        _replace(one, {}, lambda: True)
        two: Any = CPUDispatcher(lambda x: one(x), {}, {"nopython": True})
        return bool(two(1.0) == 2.0 and not one.signatures)
    except Exception:  # whatever another Numba raises
        return False


def _replace(dispatcher: Any, options: dict[str, Any], may: Callable[[], bool]) -> None:
    """Replace what callers ask of a kernel, if that may be when the first of them asks."""
    wrappers = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, "nopython": True}
    usual = dispatcher.get_call_template, dispatcher.get_overload

    @cache
    def answers() -> tuple[Any, Any]:
        if not may():
            return usual
        called = _Called(dispatcher.py_func, {}, options | wrappers, pipeline_class=_Compiler)
        return called.get_call_template, called.get_overload

    dispatcher.get_call_template = lambda args, kws: answers()[0](args, kws)
    dispatcher.get_overload = lambda sig: answers()[1](sig)
