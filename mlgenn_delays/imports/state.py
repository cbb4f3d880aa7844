"""State dicts: arrays by name, as PyTorch's modules have them, and the modules that they are of."""

import importlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mlgenn_delays import tensors
from mlgenn_delays.errors import InputError
from mlgenn_delays.untrusted import as_damaged, reason

_NESTED = ("state_dict", "model_state_dict")  # of a checkpoint, PyTorch Lightning's say
_REMEDY = "save it again"


@dataclass(frozen=True)
class Module:
    """The arrays of a module by their own names; `name` is the module's."""

    name: str
    arrays: dict[str, np.ndarray]

    def has(self, needed: Iterable[str], others: Iterable[str] = ()) -> bool:
        """Whether its arrays are the needed ones, and no more than the others beside."""
        needed = set(needed)
        return needed <= set(self.arrays) <= needed | set(others)

    def matrix(self, key: str, n_pre: int | None, n_post: int | None = None) -> np.ndarray:
        """Weights (n_post, n_pre), float64; of any number where that is None."""
        weight = self.arrays[key]
        if weight.ndim != 2 or not weight.size:
            raise InputError(
                f"{self.name}.{key} must be a matrix of a linear layer, got shape {weight.shape}; "
                "convolutions cannot be imported"
            )
        self.check_width(key, n_pre)
        if n_post is not None and len(weight) != n_post:
            raise InputError(
                f"{self.name}.{key} must give {n_post} values, got {len(weight)}; it must lead "
                "from a layer to itself"
            )
        return weight.astype(np.float64)

    def check_width(self, key: str, n_pre: int | None) -> None:
        """Reject weights (n_post, n_pre, ...) that take another number than there is."""
        width = self.arrays[key].shape[1]
        if n_pre is not None and width != n_pre:
            raise InputError(
                f"{self.name}.{key} must take the {n_pre} values of the layer before, got {width}; "
                "layers must follow each other in a chain"
            )

    def each(self, key: str, n: int) -> np.ndarray:
        """One value for each of n neurons, float64."""
        array = self.arrays[key].astype(np.float64).ravel()
        if array.size not in (1, n):
            raise InputError(f"{self.name}.{key} must have 1 or {n} values, got {array.size}")
        return np.broadcast_to(array, (n,)).copy()

    def bias(self, n: int) -> np.ndarray | None:
        """The bias of each of n neurons, None if there is none."""
        return self.each("bias", n) if "bias" in self.arrays else None


def read_modules(source: Path | str | Mapping[str, Any]) -> list[Module]:
    """The modules of a state dict, in its order.

    A safetensors file keeps no order: there they are sorted by name, numbers as numbers.
    """
    state = read_state(source)
    found: dict[str, dict[str, np.ndarray]] = {}
    for key, array in state.items():
        name, _, own = key.rpartition(".")
        if name.endswith(".recurrent"):  # the layer within a recurrent module
            name, own = name.removesuffix(".recurrent"), f"recurrent.{own}"
        found.setdefault(name, {})[own] = array
    if not found:
        raise InputError("a state dict must have weights, got none")
    return [Module(name, arrays) for name, arrays in found.items()]


def read_state(source: Path | str | Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The arrays of a state dict, or of a file of one, by name; all finite."""
    given = source if isinstance(source, Mapping) else _read(Path(source))
    for key in _NESTED:
        if isinstance(given.get(key), Mapping):
            given = given[key]
    return {str(key): _array(str(key), value) for key, value in given.items()}


def _read(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        raise InputError(f"there is no state dict {path}; save one with torch.save")
    _, is_tensors = tensors.first_bytes(path)
    if not is_tensors:
        return _unpickled(path)
    with as_damaged(path, _REMEDY):
        found, _ = tensors.read(path)
    numbers = re.compile(r"(\d+)")
    return {
        key: found[key]
        for key in sorted(found, key=lambda key: [
            (int(part), "") if part.isdigit() else (-1, part) for part in numbers.split(key)
        ])
    }  # fmt: skip


def _unpickled(path: Path) -> Mapping[str, Any]:
    """What torch.save wrote, read without running code."""
    try:
        torch = importlib.import_module("torch")
    except ImportError as error:
        raise InputError(
            f"reading {path} needs PyTorch; pip install torch, or save the state dict with "
            "safetensors.torch.save_file"
        ) from error
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of many kinds on damage, or for what is more than arrays
        raise InputError(
            f"{path} must be a state dict that torch.save wrote, got what torch.load(..., "
            f"weights_only=True) rejects ({reason(error)}); save model.state_dict() alone"
        ) from error
    if not isinstance(found, Mapping):
        raise InputError(
            f"{path} must be a state dict, got {type(found).__name__}; save model.state_dict()"
        )
    return found


def _array(key: str, value: Any) -> np.ndarray:
    if hasattr(value, "detach"):  # a tensor; NumPy has no bfloat16
        value = value.detach().cpu()
        value = (value.double() if value.is_floating_point() else value).numpy()
    try:
        array = np.asarray(value)
    except (TypeError, ValueError):  # of lists of different lengths
        array = np.array(None)
    if array.dtype.kind not in "biuf":
        raise InputError(
            f"{key} of a state dict must be numbers, got {type(value).__name__}; give "
            "model.state_dict()"
        )
    if not np.isfinite(array).all():
        raise InputError(f"{key} of a state dict must be finite, got NaN or infinity")
    return array


def unknown(module: Module, wanted: str) -> InputError:
    """The error about a module that cannot be imported."""
    keys = ", ".join(module.arrays)
    return InputError(
        f"module {module.name!r} must be {wanted}, got one with {keys}; it cannot be imported"
    )
