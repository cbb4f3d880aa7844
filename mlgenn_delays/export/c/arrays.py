"""Arrays of the C program and the smallest types that hold them."""

from dataclasses import dataclass

import numpy as np

from mlgenn_delays.export.c.text import rows

BYTES = {
    "uint8_t": 1, "uint16_t": 2, "uint32_t": 4, "int8_t": 1, "int16_t": 2, "int32_t": 4,
    "float": 4,
}  # fmt: skip


def unsigned(largest: int) -> str:
    """Return the smallest type that holds 0..largest."""
    return next(k for k in ("uint8_t", "uint16_t", "uint32_t") if largest < 256 ** BYTES[k])


def signed(largest: int) -> str:
    """Return the smallest type that holds -largest..largest."""
    return next(k for k in ("int8_t", "int16_t", "int32_t") if largest < 256 ** BYTES[k] // 2)


def _extent(shape: tuple[int, ...]) -> str:
    return "".join(f"[{n}]" for n in shape)


@dataclass(frozen=True)
class Constant:
    """An array that never changes.

    Attributes:
        name: In C.
        kind: Type in C.
        values: Of one or two dimensions, not empty.
    """

    name: str
    kind: str
    values: np.ndarray

    @property
    def bytes(self) -> int:
        """Its size."""
        return BYTES[self.kind] * self.values.size

    def source(self) -> str:
        """Return its definition."""
        extent = _extent(self.values.shape)
        return f"static const {self.kind} {self.name}{extent} = {{\n{rows(self.values)}\n}};\n"


@dataclass(frozen=True)
class Field:
    """A part of the state.

    Attributes:
        name: In C.
        kind: Type in C.
        shape: Dimensions, none for a single value.
        about: What it holds.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    about: str

    @property
    def bytes(self) -> int:
        """Its size."""
        return BYTES[self.kind] * int(np.prod(self.shape, dtype=np.int64))

    def source(self) -> str:
        """Return its declaration."""
        return f"    {self.kind} {self.name}{_extent(self.shape)}; /* {self.about} */\n"


def integers(name: str, values: np.ndarray) -> Constant:
    """Return an array of whole numbers >= 0 in the smallest type."""
    return Constant(name, unsigned(int(values.max())), values)


def reals(name: str, values: np.ndarray) -> Constant:
    """Return an array of float32."""
    return Constant(name, "float", values.astype(np.float32))


def state_bytes(fields: list[Field]) -> int:
    """Return the size of a struct of these, those of the widest type first."""
    return -(-sum(field.bytes for field in fields) // 4) * 4
