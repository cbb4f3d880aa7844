"""GeNN code of populations that learn by `EventProp`.

The forward pass leaves I + bias - v_thresh > 0 on the tape where a neuron spiked, else 0; REST in
a refractory step, LAST_REST in the last of them, whose current is on a second tape. With P the
adjoint of V carried back and G what comes back from the targets, at a spike

    p = (P I_end - (tau_mem/dt) G) / slope + CountGradient

and elsewhere p = P; then dL/dI = (1 - Alpha) p and P = Alpha p.
"""

import numpy as np

from mlgenn_delays.engines.genn.tape import EVENT, HERE, IN_TIME, NEXT, SENT, THEN, NeuronCode
from mlgenn_delays.engines.shared.numerics import MIN_SLOPE
from mlgenn_delays.network import LIF

REST, LAST_REST = -1.0, -2.0


def add_eventprop(code: NeuronCode, model: LIF, dt: float) -> None:
    """Add the code of a `LIF`, forwards and back."""
    rest, own = model.refractory_steps(dt), model.values()
    alpha = np.exp(-dt / own["tau_mem"])
    code.add_spikes()
    code.add_states(["V"])
    code.add_adjoints(["P"])
    constants = {
        "Alpha": alpha, "In": 1.0 - alpha, "Vthresh": own["v_thresh"],
        "TauMem": own["tau_mem"] / dt, "MinSlope": float(MIN_SLOPE) * own["v_thresh"],
    }  # fmt: skip
    code.add_constants(constants)
    move = f"""
            V = (Alpha * V) + (In * {code.current});
            if (V >= Vthresh) {{
                mark = fmax({code.current} - Vthresh, MinSlope);
                V = 0;
                Count++;
                flag += {SENT};
                SPIKED
            }}"""
    restart = "(mark + Vthresh)"
    first, last = "", ""
    if rest:
        code.add_refractory(rest)
        code.add_adjoints(["Restart"])
        code.arrays["Release"] = "scalar*"
        move = f"""
            if (Wait > 0) {{
                Wait--;
                mark = (Wait == 0) ? {LAST_REST} : {REST};
                Release[{HERE}] = {code.current};
            }}
            else {{{move.replace("SPIKED", "Wait = Refractory;")}
            }}"""
        restart, last = "Restart", "Restart = 0;"
        first = f"""
            if (mark == {LAST_REST}) {{
                Restart = Release[{THEN}];
            }}"""
    code.forwards = f"""
            scalar mark = 0;{move.replace("SPIKED", "")}
            Tape[{HERE}] = mark;"""
    code.backwards = f"""
            const scalar mark = Tape[{THEN}];{first}
            scalar p = 0;
            if (mark > 0) {{
                P = ((P * {restart}) - (TauMem * {code.feedback})) / mark + CountGradient;
                {last}
            }}
            if (mark >= 0) {{
                p = P;
                P *= Alpha;
            }}
            {code.receive("(In * p)")}
            if ({IN_TIME} && Tape[{NEXT}] > 0) {{
                flag = {EVENT};
            }}"""
