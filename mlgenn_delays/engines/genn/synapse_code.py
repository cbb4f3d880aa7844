"""GeNN code of projections: what a synapse does when its source sends, forwards and back.

A spike of step t over d steps acts in step t + d + 1. On the backward pass its event comes one step
before that of t, so LambdaI_post[d] is R[t + d + 1] of the target, and LambdaI_post[d + 1] one
step later. With r these:

    feedback of a spike   w (r[d+1] - r[d]) under EventProp,  w sum_k K[k] r[k] under SurrogateBPTT
    Gradient              sum_k K[k] r[k]
    DelayGradient         r[d+1] - r[d] (Dirac),  sum_k dK[k]/dd r[k] (Gaussian)

the host multiplies the last by w. An index that is a sum stands in parentheses of its own, for
GeNN subtracts it as it is written. K is that of `engines.shared.taps`; the host gives 1 / sum g
(Norm) and the mean of (k - d)/width (Mean).

Under a pipelined rule the backward pass has the weights and delays of the batch that goes back,
which is the one before that which goes forwards: copies named LateG and so on of those variables.
"""

import re
from dataclasses import dataclass, field

import numpy as np

from mlgenn_delays.engines.genn.tape import LEARNS
from mlgenn_delays.engines.shared.taps import FAR
from mlgenn_delays.learning import EventProp, Gaussian, Rule
from mlgenn_delays.network import CurrentInput, Network, Projection
from mlgenn_delays.network.delays import longest_steps


def norm_and_mean(delay: np.ndarray, longest: int, width: float) -> tuple[np.ndarray, np.ndarray]:
    """Return 1 / sum g and the mean of (k - d) / width^2 of every delay, (S,) float32 each.

    See `engines.shared.taps`; all in steps. A width of 0 gives ones and zeros. 1 / sum g is 0
    where no whole step is near enough, and the delay then acts over one step alone.
    """
    total, mean = np.ones(len(delay)), np.zeros(len(delay))
    if width > 0:
        centre = np.maximum(delay.astype(np.float64), 0.0)
        low = np.maximum(np.ceil(centre - FAR * width), 0.0)
        high = np.minimum(np.floor(centre + FAR * width), longest)
        empty = high < low
        total[~empty] = 0.0
        for k in range(int((high - low).max(initial=0.0)) + 1):
            tap = low + k
            away = (tap - centre) / width
            g = np.where(tap <= high, np.exp(-0.5 * away * away), 0.0)
            total += g
            mean += g * away / width
        total[empty], mean[empty] = np.inf, 0.0
        mean /= total
    return (1.0 / total).astype(np.float32), mean.astype(np.float32)


@dataclass
class SynapseCode:
    """What a GeNN weight update model is made of."""

    forwards: str  # code of a spike
    backwards: str  # code of an event on the backward pass
    # types of what each synapse has, by name, which the host writes
    variables: dict[str, str] = field(default_factory=dict)
    # names of what the backward pass sums up, for the host to read
    sums: list[str] = field(default_factory=list)
    # names by variable of those that the backward pass has its own copies of
    late: dict[str, str] = field(default_factory=dict)
    values: bool = False  # whether spikes have values, Gain and GainBack of the source
    taps: bool = False  # whether delays act through a kernel of a width that the host sets

    @property
    def types(self) -> dict[str, str]:
        """Types of all that the host writes, and of the backward pass's copies."""
        return self.variables | {own: self.variables[name] for name, own in self.late.items()}


def synapse_code(network: Network, projection: Projection, rule: Rule) -> SynapseCode:
    """Return the code of a projection."""
    source = network.populations[projection.source]
    values = isinstance(source.model, CurrentInput) or bool(rule.dropout.get(source.name))
    feedback = source is not network.input()
    learns_delay = rule.delays is not None and projection.learns_delay
    eventprop = isinstance(rule, EventProp)
    taps = not isinstance(rule, EventProp) and isinstance(rule.kernel, Gaussian)
    code = SynapseCode("", "", {"g": "scalar"}, ["Gradient"], values=values, taps=taps)
    longest = longest_steps(projection.max_delay, network.dt)
    if taps:
        code.variables["d"] = "scalar"
        code.variables |= {"Norm": "scalar", "Mean": "scalar"}
    elif longest:
        code.variables["d"] = "uint8_t" if longest < 256 else "uint16_t"
    if learns_delay:
        code.sums.append("DelayGradient")
    sent = "(g * Gain_pre)" if values else "g"
    whole = f"addToPostDelay({sent}, {'d' if longest else '0'});"
    code.forwards = _tapped_forwards(sent, longest) if taps else whole
    code.backwards = _read_taps(longest) if taps else _read(longest, eventprop or learns_delay)
    if feedback:
        code.backwards += f"\n        addToPre(g * {'slope' if eventprop else 'reached'});"
    share = " * GainBack_pre" if values else ""
    learn = f"\n        Gradient += reached{share};"
    if learns_delay:
        learn += f"\n        DelayGradient += slope{share};"
    spiked = f"Flag_pre & {LEARNS}" if feedback and not eventprop else None
    code.backwards += f"\n        if ({spiked}) {{{learn}\n        }}" if spiked else learn
    if rule.pipelined:
        code.late = {name: f"Late{name.title()}" for name in code.variables}
        code.backwards = re.sub(r"\w+", lambda m: code.late.get(m[0], m[0]), code.backwards)
    return code


def _read(longest: int, slope: bool) -> str:
    at, after = ("d", "(d + 1)") if longest else ("0", "1")
    code = f"\n        const scalar reached = LambdaI_post[{at}];"
    return code + (f"\n        const scalar slope = LambdaI_post[{after}] - reached;" * slope)


def _bounds(longest: int) -> str:
    """Return the steps over which a Gaussian kernel acts, from low to high."""
    return f"""
        const scalar centre = fmax(d, 0.0);
        const int whole = min((int)floor(centre + 0.5), {longest});
        const int low = max((int)ceil(centre - {FAR} * KernelWidth), 0);
        const int high = min((int)floor(centre + {FAR} * KernelWidth), {longest});"""


def _tapped_forwards(sent: str, longest: int) -> str:
    return f"""{_bounds(longest)}
        if (KernelWidth == 0 || Norm == 0) {{
            addToPostDelay({sent}, whole);
        }}
        else {{
            for (int k = low; k <= high; k++) {{
                const scalar away = (k - centre) / KernelWidth;
                addToPostDelay({sent} * Norm * exp(-0.5 * away * away), k);
            }}
        }}"""


def _read_taps(longest: int) -> str:
    return f"""{_bounds(longest)}
        scalar reached = 0;
        scalar slope = 0;
        if (KernelWidth == 0 || Norm == 0) {{
            reached = LambdaI_post[whole];
            slope = (KernelWidth == 0) ? LambdaI_post[(whole + 1)] - reached : 0;
        }}
        else {{
            for (int k = low; k <= high; k++) {{
                const scalar away = (k - centre) / KernelWidth;
                const scalar share = Norm * exp(-0.5 * away * away) * LambdaI_post[k];
                reached += share;
                slope += share * ((away / KernelWidth) - Mean);
            }}
        }}"""
