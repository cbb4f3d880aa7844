"""What an inference costs, for `delaysnn evaluate --cost`: counted, and printed."""

from typing import TYPE_CHECKING, Any

from mlgenn_delays.errors import InputError

from .console import say

if TYPE_CHECKING:
    from mlgenn_delays.cost import Platform
    from mlgenn_delays.data import Data
    from mlgenn_delays.export.artifact import About
    from mlgenn_delays.network import Network


def platforms_of(cost: bool, energy: str | None, split: str) -> "dict[str, Platform]":
    """The energy of operations by platform, empty if nobody asks for the cost."""
    if not cost:
        if energy is not None:
            raise InputError(f"--energy must come with --cost, got {energy!r} alone; add --cost")
        return {}
    if split == "all":
        raise InputError("--split must be one split with --cost, got all; name one")
    from mlgenn_delays.cost import read_platforms

    return read_platforms(energy)


def count_cost(
    network: "Network", about: "About", data: "Data", platforms: "dict[str, Platform]",
    threads: int | None,
) -> dict[str, Any]:  # fmt: skip
    """Count what an inference costs, and estimate its energy, ready for JSON."""
    from mlgenn_delays.cost import estimate_energy, measure_cost

    counted = measure_cost(network, data, threads=threads, about=about)
    energy = {
        name: {"joules": joules, "source": platforms[name].source}
        for name, joules in estimate_energy(counted, platforms).items()
    }
    return counted.as_dict() | {"estimated_energy": energy}


def show_cost(cost: dict[str, Any]) -> None:
    """Print what an inference costs: operations, memory, and estimated energy."""
    from mlgenn_delays.runs.summary import amount

    from .tables import show, table

    names = {
        "dense": "synaptic operations, dense",
        "effective": "synaptic operations, effective",
        "macs": "  multiply-accumulations",
        "acs": "  accumulations",
        "membrane_updates": "membrane updates",
        "spikes": "spikes of neurons",
    }
    counted = table("", "per inference", f"per step ({cost['steps']} steps)")
    for key, name in names.items():
        values = (cost[part][key] for part in ("per_inference", "per_step"))
        counted.add_row(name, *("-" if value is None else amount(value) for value in values))
    show(counted)
    sizes = table("memory", "stored", "state", "bytes")
    for name, size in cost["footprint"].items():
        numbers = (size["stored"], size["state"], size["stored"] + size["state"])
        sizes.add_row(name, *(f"{number:,}" for number in numbers))
    show(sizes)
    activation, delays = cost["activation_sparsity"], cost["delays"]
    sparsity = f"sparsity: connections {100 * cost['connection_sparsity']:.1f} %"
    say(sparsity + ("" if activation is None else f", activation {100 * activation:.1f} %"))
    say(
        f"delays: {delays['mean']:,.1f} events in flight in the mean, {delays['most']:,} at most; "
        f"rings of arrivals {delays['rings']:,} bytes, histories {delays['histories']:,}"
    )
    known = {name: each["joules"] for name, each in cost["estimated_energy"].items()}
    energies = [f"{name} {'-' if j is None else f'{1e6 * j:.3g} uJ'}" for name, j in known.items()]
    say(f"energy per inference, estimated (sources in --json): {', '.join(energies)}")
