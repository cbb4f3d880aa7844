"""Kernels that are called are part of their callers, if this version of Numba lets them be."""

from collections.abc import Callable, Iterator
from typing import Any

import numba
import pytest

from mlgenn_delays import kernel_calls
from tests.needs import needs

pytestmark = needs("compiled kernels")


def called_and_caller() -> tuple[Any, Any]:
    one = numba.njit(lambda x: 2.0 * x)
    kernel_calls.call_as_part(one, {"error_model": "numpy"})
    return one, numba.njit(lambda x: one(x) + 1.0)


def gone(*_: object, **__: object) -> None:
    raise AttributeError("of an earlier Numba")


def other_arguments(self: object, py_func: Callable) -> None:
    """Numba's, without what is given."""


@pytest.fixture
def another() -> Iterator[None]:
    """Let the version of Numba be found out anew, here and after the test."""
    kernel_calls.works.cache_clear()
    yield
    kernel_calls.works.cache_clear()


def test_it_is_not_compiled_by_itself(another: None) -> None:
    one, two = called_and_caller()
    assert two(3.0) == 7.0 and not one.signatures
    assert one(3.0) == 6.0 and len(one.signatures) == 1
    assert kernel_calls.works()


def test_whole_numbers_that_are_constants_make_no_code_of_their_own(another: None) -> None:
    one, two = called_and_caller()
    assert two(3) == 7.0
    template, _, given, _ = one.get_call_template((numba.types.literal(3),), {})
    assert given == (numba.types.int64,) and len(template.cases) == 1


@pytest.mark.parametrize(
    ("owner", "name", "value"),
    [
        (kernel_calls, "CPUDispatcher", object),
        (kernel_calls._Called, "__init__", other_arguments),
        (kernel_calls._Called, "get_overload", lambda self: None),
        (kernel_calls._CompilerOfParts, "define_pipelines", gone),
        (kernel_calls._CompilerOfWholes, "compile_extra", gone),
        (kernel_calls._Whole, "add_ir_module", gone),
        (kernel_calls._Whole, "_optimize_functions", gone),
        (kernel_calls._Part, "_finalize_dynamic_globals", gone),
        (kernel_calls._Part, "_get_module_for_linking", gone),
    ],
)
def test_another_numba_compiles_in_its_own_way(
    another: None, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, value: Any
) -> None:
    monkeypatch.setattr(owner, name, value, raising=False)
    one, two = called_and_caller()
    assert two(3.0) == 7.0 and len(one.signatures) == 1
