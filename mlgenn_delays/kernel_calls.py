"""Kernels that other kernels call: compiled once, as part of their callers.

Numba compiles a function that another one calls on its own first: it is optimised and made machine
code, with all that it calls in turn, though only its copy in the caller ever runs. A kernel five
calls deep would so be optimised five times over, and be cached five times. Here what is called is
lowered to LLVM's intermediate code and no further, be it a kernel or a function of Numba's own
(`np.full`); the kernel that Python calls is optimised, with all of it, once. A kernel that Python
calls as well is compiled for that apart.

These classes of Numba are its own affair and may change. So before the first kernel is compiled,
two of one line are, one calling the other and NumPy: where that fails, kernels are compiled in
Numba's way, which takes longer and rounds alike (`mlgenn_delays.kernels`).
"""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np


def _of_numba(module: str, name: str) -> Any:
    """A class of Numba's, or `object` if it is not there."""
    try:
        return getattr(import_module(f"numba.core.{module}"), name)
    except (ImportError, AttributeError):
        return object


JITCodeLibrary: Any = _of_numba("codegen", "JITCodeLibrary")
Compiler: Any = _of_numba("compiler", "Compiler")
CPUDispatcher: Any = _of_numba("registry", "CPUDispatcher")
Template: Any = _of_numba("typing.templates", "_OverloadFunctionTemplate")
IntegerLiteral: Any = _of_numba("types", "IntegerLiteral")


class _Whole(JITCodeLibrary):
    """Code of a kernel that Python calls."""

    def add_ir_module(self, module: Any) -> None:
        """Take code in, but do not optimise what unpacks the arguments: tuples of many arrays."""
        if module.name == "wrapper":
            for function in module.functions:
                if not function.is_declaration:
                    function.attributes.add("optnone")
                    function.attributes.add("noinline")  # which it needs
        super().add_ir_module(module)

    def _optimize_functions(self, ll_module: Any) -> None:
        """Simplify what a module defines; Numba makes a pass manager for each declaration, too."""
        ll_module.data_layout = self._codegen._data_layout
        passes, builder = self._codegen._function_pass_manager()
        for function in ll_module.functions:
            if not function.is_declaration:
                passes.run(function, builder)


class _Part(_Whole):
    """Code that is linked into other code and never runs by itself."""

    def _optimize_final_module(self) -> None:
        """Leave it to the library that this one is linked into."""

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._finalized = True


class _CompilerOfWholes(Compiler):
    """Compiles a kernel that Python calls, and in it all that is called."""

    def compile_extra(self, func: Callable[..., Any]) -> Any:
        """Compile a function; see `numba.core.compiler.CompilerBase`."""
        with _parts_within(self.state.targetctx):
            return super().compile_extra(func)

    def define_pipelines(self) -> Any:
        """Return Numba's own passes."""
        state = self.state
        state.library = _Whole(state.targetctx.codegen(), state.func_id.func_qualname)
        state.library.enable_object_caching()
        return super().define_pipelines()


class _CompilerOfParts(Compiler):
    """Stops before machine code."""

    def define_pipelines(self) -> Any:
        state = self.state
        state.flags.no_compile = True
        state.library = _Part(state.targetctx.codegen(), state.func_id.func_qualname)
        return super().define_pipelines()


class _Called(CPUDispatcher):
    """A function as kernels see it that call it."""

    def compile(self, sig: Any) -> None:
        """Make its code, unless that is there; no cache and no timer knows of it."""
        args = tuple(getattr(sig, "args", sig))
        if args not in self.overloads:
            with self._compiling_counter:
                self.add_overload(self._compiler.compile(args, None))

    def add_overload(self, cres: Any) -> None:
        """Let callers find the code that was made for some types of arguments."""
        self.overloads[tuple(cres.signature.args)] = cres
        cres.target_context.insert_user_function(cres.library, cres.fndesc, [cres.library])

    def get_overload(self, sig: Any) -> Any:
        """What `add_overload` made known."""
        return self.overloads[tuple(getattr(sig, "args", sig))].library


def _called(function: Callable[..., Any], options: dict[str, Any]) -> Any:
    wrappers = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, "nopython": True}
    return _Called(function, {}, options | wrappers, pipeline_class=_CompilerOfParts)


@contextmanager
def _parts_within(target: Any) -> Iterator[None]:
    """Make all code a part of other code; what Numba leaves behind is collected afterwards.

    Its representations are full of cycles, and none of them is garbage for long before the end.
    What it imports again for each function has been imported by now.
    """
    codegen = target.codegen()
    jit, library, collects = Template._get_jit_decorator, codegen._library_class, gc.isenabled()
    gc.disable()
    target.load_additional_registries = lambda: None
    Template._get_jit_decorator = lambda self: lambda **options: lambda f: _called(f, options)
    codegen._library_class = _Part
    try:
        yield
    finally:
        Template._get_jit_decorator, codegen._library_class = jit, library
        del target.load_additional_registries
        if collects:
            gc.enable()


def call_as_part(dispatcher: Any, options: dict[str, Any]) -> None:
    """Let kernels that call a kernel take in its code; it has the same options in them."""
    if object in (JITCodeLibrary, Compiler, CPUDispatcher, Template, IntegerLiteral):
        return  # another Numba
    if isinstance(dispatcher, CPUDispatcher):  # there is none with NUMBA_DISABLE_JIT
        _replace(dispatcher, options, works)


@cache
def works() -> bool:
    """Whether this version of Numba can do it."""
    try:
        one: Any = CPUDispatcher(lambda x: np.full(1, x)[0] + 1.0, {}, {"nopython": True})
        _replace(one, {}, lambda: True)
        two: Any = CPUDispatcher(lambda x: one(x), {}, {"nopython": True})
        _replace(two, {}, lambda: True)
        return bool(two(1.0) == 2.0 and not one.signatures)
    except Exception:  # whatever another Numba raises
        return False


def _replace(dispatcher: Any, options: dict[str, Any], may: Callable[[], bool]) -> None:
    """Replace how a kernel is compiled and what callers ask of it, if that may be by then."""
    compiler = dispatcher._compiler
    template, overload = dispatcher.get_call_template, dispatcher.get_overload
    usual = compiler.compile

    @cache
    def called() -> Any:
        if not may():
            return None
        compiler.pipeline_class = _CompilerOfWholes
        return _called(dispatcher.py_func, options)

    def compile_whole(args: Any, result: Any) -> Any:
        called()
        return usual(args, result)

    def ask_template(args: Any, kws: Any) -> Any:
        args = tuple(a.literal_type if isinstance(a, IntegerLiteral) else a for a in args)
        return (called().get_call_template if called() else template)(args, kws)

    def ask_overload(sig: Any) -> Any:
        return (called().get_overload if called() else overload)(sig)

    compiler.compile = compile_whole
    dispatcher.get_call_template, dispatcher.get_overload = ask_template, ask_overload
