"""An estimate of the energy of an inference: counted operations times a table of joules for each.

A measurement needs the hardware. The table is `energy.toml`, with the source of every number;
another one of the same form takes its place.
"""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from mlgenn_delays.cost.cost import Cost
from mlgenn_delays.errors import InputError
from mlgenn_delays.untrusted import first_problem, parse_toml, read_text, reason

TABLE = Path(__file__).with_name("energy.toml")
_Picojoules = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Platform(BaseModel):
    """Energy per operation [pJ]; None of what the platform cannot do.

    Attributes:
        source: Where the numbers are from, and what they include.
        mac: Of a multiply-accumulation.
        ac: Of an accumulation.
        update: Of a membrane update.
        idle: Of a step of a neuron whose voltage does not change.
        spike: Of a spike, besides its accumulations.

    Example:
        >>> from mlgenn_delays.cost import Platform
        >>> Platform(source="my chip, measured", ac=2.0, update=5.0).idle
        0.0
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: Annotated[str, Field(min_length=1)]
    mac: _Picojoules | None = None
    ac: _Picojoules | None = None
    update: _Picojoules
    idle: _Picojoules = 0.0
    spike: _Picojoules = 0.0


def read_platforms(path: Path | str | None = None) -> dict[str, Platform]:
    """Read a table of energy per operation.

    Arguments:
        path: A TOML file with a table per platform, as `Platform` has it; None for the package's.

    Raises:
        InputError: The file is missing or no such table.

    Example:
        >>> from mlgenn_delays.cost import read_platforms
        >>> read_platforms()["loihi"].ac
        23.6
    """
    file = TABLE if path is None else Path(path)
    try:
        platforms = TypeAdapter(dict[str, Platform]).validate_python(parse_toml(read_text(file)))
    except FileNotFoundError as error:
        raise InputError(f"there is no table of energy {file}; give a TOML file") from error
    except ValidationError as error:
        raise InputError(
            f"{file} must be a table of energy per operation: {first_problem(error)}; {TABLE} "
            "shows its form"
        ) from error
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read the table of energy {file}: {reason(error)}") from error
    if not platforms:
        raise InputError(f"{file} must have a table per platform, got none; {TABLE} shows its form")
    return platforms


def estimate_energy(cost: Cost, platforms: dict[str, Platform]) -> dict[str, float | None]:
    """Estimate the energy of an inference on each platform [J].

    Arguments:
        cost: Of `measure_cost`.
        platforms: Of `read_platforms`.

    Returns:
        By platform; None where it cannot do an operation that the network needs.

    Raises:
        InputError: The cost has no membrane updates.

    Example:
        >>> from mlgenn_delays import Network, load_dataset
        >>> from mlgenn_delays.cost import estimate_energy, measure_cost, read_platforms
        >>> data = load_dataset("digits", options={"both": True})["test"]
        >>> cost = measure_cost(Network.load("run/network.safetensors"), data)
        >>> estimate_energy(cost, read_platforms())["loihi"] < 1e-3
        True
    """
    if cost.updates is None:
        raise InputError(
            "a cost must have membrane updates to estimate energy, got one of an evaluation; take "
            "measure_cost"
        )
    return {name: _estimate(cost, cost.updates, each) for name, each in platforms.items()}


def _estimate(cost: Cost, updates: float, platform: Platform) -> float | None:
    operations = ((cost.macs, platform.mac), (cost.acs, platform.ac))
    total = 0.0
    for count, energy in operations:
        if count and energy is None:
            return None
        total += count * (energy or 0.0)
    idle = cost.steps * sum(cost.neurons.values()) - updates
    total += updates * platform.update + idle * platform.idle
    total += sum(cost.spikes.values()) * platform.spike
    return total * 1e-12
