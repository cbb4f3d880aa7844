"""What GeNN cannot run, refused with the reason and the nearest thing that works."""

import re
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from mlgenn_delays.engines.genn import gpus
from mlgenn_delays.engines.genn.build import check_compilers
from mlgenn_delays.errors import InputError, nearest

if TYPE_CHECKING:
    from mlgenn_delays.learning import Rule
    from mlgenn_delays.network import Network

# The oldest versions that the engine runs with.
OLDEST = {"pygenn": "5.4", "ml_genn": "2.3.1"}


def installed_version(name: str) -> str | None:
    """Return the version of a package, None if it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def too_old() -> dict[str, str]:
    """Return the versions of those packages that are installed and too old, by name."""
    found = {name: installed_version(name) for name in OLDEST}
    return {
        name: has
        for name, has in found.items()
        if has is not None and _numbers(has) < _numbers(OLDEST[name])
    }


def _numbers(text: str) -> list[int]:
    found = re.match(r"\d+(\.\d+)*", text)
    return [int(part) for part in found[0].split(".")] if found else []


INSTALL = "https://genn-team.github.io"
LONGEST = 65535  # steps: what a delay's 16 bits hold
BACKENDS = ("single_threaded_cpu", "cuda")


def check_backend(backend: str) -> None:
    """Reject a backend that is unknown, or that the installed pygenn or this machine lacks."""
    check_name(backend)
    here = available_backends()
    if backend not in here:
        raise InputError(
            f"backend {backend!r} must be one that pygenn was built with, got pygenn with "
            f"{', '.join(here) or 'none'}; build pygenn where CUDA is installed and CUDA_PATH is "
            f"set ({INSTALL}), or take --backend single_threaded_cpu"
        )
    if backend == "cuda" and gpus.count() == 0:
        raise InputError(
            "backend 'cuda' must have a GPU, got none that NVIDIA's driver can use here "
            "(nvidia-smi, CUDA_VISIBLE_DEVICES); or take --backend single_threaded_cpu"
        )


def check_name(backend: str) -> None:
    """Reject a backend that GeNN does not have."""
    if backend not in BACKENDS:
        raise InputError(
            f"backend must be one of {', '.join(BACKENDS)}, got {backend!r}"
            f"{nearest(backend, BACKENDS)}"
        )


def available_backends() -> list[str]:
    """Return the backends of the installed pygenn; reject missing or too old packages."""
    try:
        import ml_genn  # noqa: F401
        from pygenn.genn_model import backend_modules
    except ImportError as error:
        raise InputError(
            f"the engine 'genn' must have pygenn 5.4 and ml_genn 2.3.1 or later, got "
            f"{type(error).__name__}: {error}; they are on no package registry: install them as "
            f"{INSTALL} says, or run with --engine cpu"
        ) from error
    for name, found in too_old().items():
        raise InputError(
            f"the engine 'genn' must have {name} {OLDEST[name]} or later, got {found}; install it "
            f"as {INSTALL} says, or run with --engine cpu"
        )
    return [name for name in backend_modules if name in BACKENDS]


def check_network(network: "Network", rule: "Rule", backend: str) -> None:
    """Reject a network or a rule that a backend of GeNN cannot run."""
    # `delaysnn doctor` imports this module for its help, too, which is to stay quick.
    from mlgenn_delays.learning import SurrogateBPTT
    from mlgenn_delays.network.delays import longest_steps

    check_backend(backend)
    for p in network.projections.values():
        steps = longest_steps(p.max_delay, network.dt)
        if steps > LONGEST:
            raise InputError(
                f"GeNN must have delays of at most {LONGEST} steps, got {steps} for projection "
                f"{p.name!r}; lower its max_delay or raise dt"
            )
    for population in network.populations.values():
        if population.normalisation is not None:
            raise InputError(
                f"GeNN must have populations without normalisation to learn, got "
                f"{population.name!r}; train it with --engine cpu, then evaluate it with GeNN"
            )
    if isinstance(rule, SurrogateBPTT) and not rule.surrogate.compact:
        raise InputError(
            f"GeNN must have a surrogate of compact support, got {type(rule.surrogate).__name__}; "
            'take Triangle (surrogate = "triangle") or Boxcar, or run with --engine cpu'
        )
    check_compilers(backend)
