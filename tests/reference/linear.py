"""EventProp in continuous time, for neurons that are linear between spikes: exact gradients.

With z' = flow z between events and z = jump z where edge.z = 0 (`tests.reference.circuits`), the
adjoint y = dL/dz obeys -y' = flow^T y. Backwards across an event, f = z' just before and after:

    arrival     nothing; dL/dw += y_I,  dL/dd += w y_I',  G of the spike that arrives += w y_I'
    wake        J of its spike += y.(f- - f+)
    spike       J += y+.(jump f- - f+) + G;   y- = jump^T y+ - edge J / (edge.f-)

and a parameter q has the integral of y.(dflow/dq z) between events, and at a spike

    y+.(djump/dq z-) - J (dedge/dq.z-) / (edge.f-)
"""

from collections import defaultdict

import numpy as np
from scipy.linalg import expm_frechet

from mlgenn_delays.network import Network
from tests.reference import circuits
from tests.reference.circuits import Circuit
from tests.reference.eventprop import share_delays
from tests.reference.exact import Events, Gradients, Moment, Outcome, run
from tests.reference.forward import softmax


class Adjoint:
    """Of one neuron, at the event last gone through on the way back.

    Attributes:
        y: dL/dz just after it, or just before once it is gone through.
        time: Its time [ms].
        motion: The neuron's system.
        slopes: Derivative of the system by each parameter.
    """

    def __init__(self, circuit: Circuit, name: str, j: int, end: Moment, total: float) -> None:
        self.motion = circuits.real(circuits.motion(circuit, name, j))
        self.slopes = {
            key: circuits.slope(circuits.motion(circuit, name, j, key))
            for key in circuit.kinds[name].parameters
        }
        self.y, self.time, self.total = np.zeros(len(end.after)), end.time, total

    def back(self, moment: Moment) -> dict[str, float]:
        """Go back to just after an event; return what each parameter has from there on."""
        u, final = self.time - moment.time, self.y
        matrix = self.motion.rest if moment.resting else self.motion.flow
        self.y = circuits.flow(matrix.T, self.total).move(final, u)
        self.time = moment.time
        out = {}
        for key, slope in self.slopes.items():
            by = slope.rest if moment.resting else slope.flow
            if by.any() and u > 0 and final.any():
                change = expm_frechet(matrix * u, by * u, compute_expm=False)
                out[key] = float(final @ change @ moment.after)
        return out


def gradients(
    given: Network | Circuit,
    events: Events,
    total: float,
    label: int,
    parameters: bool = False,
) -> Gradients:
    """Return the gradients of one trial, by parameters too if wanted."""
    circuit = given if isinstance(given, Circuit) else Circuit(given)
    outcome = run(circuit, events, total, label)
    adjoints = _at_end(circuit, outcome, total, label, parameters)
    out = Gradients.zeros(circuit)
    by_time: dict[int, float] = defaultdict(float)  # J of each spike as far as it is known
    for moment in reversed(outcome.moments):
        adjoint = adjoints[moment.name, moment.j]
        for key, value in adjoint.back(moment).items():
            out.parameter[moment.name, key][moment.j] += value
        if moment.what == "arrival":
            _arrival(adjoint, moment, out, by_time)
        elif moment.what == "wake":
            f = (adjoint.motion.rest - adjoint.motion.flow) @ moment.after
            by_time[moment.cause] += float(adjoint.y @ f)
        elif moment.what == "spike":
            _spike(adjoint, moment, out, by_time[moment.cause])
    for (name, j), adjoint in adjoints.items():
        start = np.zeros(len(adjoint.y))
        start[adjoint.motion.size + len(circuit.incoming(name))] = 1.0
        first = Moment("start", name, j, 0.0, start, start, False)
        for key, value in adjoint.back(first).items():
            out.parameter[name, key][j] += value
    for name, q in circuit.network.projections.items():
        out.delay[name] = share_delays(q, out.delay[name])
    if not parameters:
        out.parameter.clear()
    return out


def _at_end(
    circuit: Circuit, outcome: Outcome, total: float, label: int, parameters: bool
) -> dict[tuple[str, int], Adjoint]:
    by_logit = softmax(outcome.logits)
    by_logit[label] -= 1.0
    out = {}
    for moment in outcome.moments:
        if moment.what == "end":
            adjoint = Adjoint(circuit, moment.name, moment.j, moment, total)
            if moment.name == circuit.network.output().name:
                adjoint.y[-1] = by_logit[moment.j] / total
            if not parameters:
                adjoint.slopes = {}
            out[moment.name, moment.j] = adjoint
    return out


def _arrival(adjoint: Adjoint, moment: Moment, out: Gradients, by_time: dict[int, float]) -> None:
    edge = moment.edge
    assert edge is not None
    matrix = adjoint.motion.rest if moment.resting else adjoint.motion.flow
    later = edge.weight * float(-(matrix.T @ adjoint.y)[edge.slot])
    out.weight[edge.projection][edge.s] += adjoint.y[edge.slot]
    out.delay[edge.projection][edge.s] += later
    if moment.cause >= 0:
        by_time[moment.cause] += later


def _spike(adjoint: Adjoint, moment: Moment, out: Gradients, later: float) -> None:
    motion, y = adjoint.motion, adjoint.y
    before = motion.flow @ moment.before
    after = (motion.rest if moment.resting else motion.flow) @ moment.after
    later += float(y @ (motion.jump @ before - after))
    steep = float(motion.edge @ before)
    for key, slope in adjoint.slopes.items():
        by = y @ slope.jump @ moment.before - later * (slope.edge @ moment.before) / steep
        out.parameter[moment.name, key][moment.j] += float(by)
    adjoint.y = motion.jump.T @ y - motion.edge * later / steep
