"""What the network of a run costs, in the few numbers that lists and tables of runs show."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mlgenn_delays.runs.columns import COLUMNS, FORMATS, OPERATIONS
from mlgenn_delays.runs.files import COST
from mlgenn_delays.untrusted import read_json

_Size = Annotated[int, Field(ge=0, le=2**63 - 1)]


class _Counted(BaseModel):
    effective: Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Bytes(BaseModel):
    stored: _Size
    state: _Size


class _Cost(BaseModel):
    model_config = ConfigDict(strict=True)

    per_inference: _Counted
    footprint: dict[str, _Bytes]


def cost_numbers(cost: Any) -> dict[str, float | int | None]:
    """Effective operations per inference and bytes by format, of a cost ready for JSON.

    None of what is not known; ValueError for something else.
    """
    found: dict[str, float | int | None] = dict.fromkeys(COLUMNS)
    if cost is None:
        return found
    read = _Cost.model_validate(cost)
    found[OPERATIONS] = read.per_inference.effective
    for name, size in read.footprint.items():
        if name in FORMATS:
            found[f"bytes_{name}"] = size.stored + size.state
    return found


def read_cost(run: Path) -> dict[str, float | int | None]:
    """The same of a run, None of all where nobody counted, or the file is damaged."""
    try:
        return cost_numbers(read_json(run / COST))
    except (OSError, ValueError, ValidationError):
        return cost_numbers(None)
