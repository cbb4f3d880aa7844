"""The functions of the header, from C."""

import subprocess
from pathlib import Path

import numpy as np
import pytest

from mlgenn_delays.export.artifact import About, Artifact
from mlgenn_delays.export.c import write_c
from mlgenn_delays.network import Exponential, LeakyIntegrator, Network, SpikeInput
from mlgenn_delays.neurons.declare import READOUTS
from tests.export.c.building import COMPILERS, FLAGS
from tests.export.c.cases import CASES, Case, artifact, rounded
from tests.needs import need
from tests.reference.nets import StepRecipe

HEAD = """
#include "delaysnn_model.c"
#include <stdio.h>
#define CHECK(x) do { if (!(x)) { printf("%d: %s\\n", __LINE__, #x); return 1; } } while (0)
int main(void)
{
    static float first[DELAYSNN_OUTPUTS], second[DELAYSNN_OUTPUTS];
    static delaysnn_index neurons[DELAYSNN_LARGEST];
    (void)first; (void)second; (void)neurons;
"""
SPIKES = """
    const delaysnn_index all[6] = {0, 1, 2, 3, 4, 5};
    const delaysnn_index odd[5] = {65535, 3, 9, 0, 1000};
    const delaysnn_index good[2] = {3, 0};
    size_t spikes = 0;
    CHECK(sizeof state == DELAYSNN_STATE_BYTES);
    CHECK(delaysnn_read(first) == 0 && first[0] == 0.0f);
    for (int t = 0; t < 40; t++) {
        delaysnn_step_spikes(all, 6);
        const size_t n = delaysnn_spikes(0, neurons);
        spikes += n;
        for (size_t k = 1; k < n; k++) {
            CHECK(neurons[k - 1] < neurons[k]);
        }
    }
    CHECK(spikes > 5);
    CHECK(delaysnn_spikes(1, neurons) == 0 && delaysnn_spikes(-1, neurons) == 0);
    const int label = delaysnn_read(first);
    CHECK(label == delaysnn_read(NULL) && label == delaysnn_read(second));
    for (int k = 0; k < DELAYSNN_OUTPUTS; k++) {
        CHECK(first[k] == second[k] && first[k] <= first[label]);
    }
    delaysnn_reset();
    CHECK(delaysnn_read(first) == 0 && first[0] == 0.0f && delaysnn_spikes(0, neurons) == 0);
    for (int t = 0; t < 40; t++) {
        delaysnn_step_spikes(odd, 5);
    }
    delaysnn_read(first);
    delaysnn_reset();
    for (int t = 0; t < 40; t++) {
        delaysnn_step_spikes(good, 2);
    }
    delaysnn_read(second);
    CHECK(first[0] != 0.0f && memcmp(first, second, sizeof first) == 0);
    CHECK(state.x_v_output[0] != 0.0f);
    for (int t = 0; t < 3000; t++) {
        delaysnn_step_spikes(NULL, 0);
    }
    CHECK(state.x_v_output[0] == 0.0f && state.current_output_0[0] == 0.0f);
    return 0;
}
"""


def check(folder: Path, compiler: str, body: str) -> None:
    (folder / "main.c").write_text(HEAD + body)
    program = folder / "main"
    subprocess.run(
        [need(compiler), *FLAGS, "-fsanitize=undefined", "-fno-sanitize-recover=all",
         folder / "main.c", "-o", program, "-lm"],
        check=True,
    )  # fmt: skip
    done = subprocess.run([program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("int8", [False, True])
def test_functions_do_what_the_header_says(int8: bool, compiler: str, tmp_path: Path) -> None:
    case = Case(StepRecipe(2000, bias=0.0))
    made, quantised = rounded(case) if int8 else (artifact(case), None)
    write_c(made, tmp_path, quantised=quantised, examples=False)
    check(tmp_path, compiler, SPIKES)


@pytest.mark.parametrize("readout", READOUTS)
def test_a_trial_can_be_read_before_its_end(readout: str, tmp_path: Path) -> None:
    case = next(each for each in CASES if each.recipe.readout == readout and each.more == "")
    write_c(artifact(Case(case.recipe)), tmp_path, examples=False)
    step = "delaysnn_step_spikes(NULL, 0);"
    if case.recipe.current:
        step = "static float x[DELAYSNN_INPUTS]; delaysnn_step_values(x);"
    finite = f"""
    for (int t = 0; t < DELAYSNN_STEPS + 70; t++) {{
        {step}
        const int label = delaysnn_read(first);
        CHECK(label >= 0 && label < DELAYSNN_OUTPUTS && isfinite(first[label]));
    }}
    return 0;
}}
"""
    check(tmp_path, "gcc", finite)


LONG = """
    double sums[2] = {{0.0, 0.0}};
    for (long t = 0; t < {steps}; t++) {{
        delaysnn_step_spikes(NULL, 0);
        const double v[2] = {{(double)state.x_v_output[0], (double)state.x_v_output[1]}};
        const double all = exp(v[0]) + exp(v[1]);
        (void)all;
        for (int k = 0; k < 2; k++) {{
            sums[k] += {what};
        }}
    }}
    delaysnn_read(first);
    for (int k = 0; k < 2; k++) {{
        const double wanted = sums[k] {then};
        CHECK(fabs((double)first[k] - wanted) < 1e-6 * wanted);
    }}
    return 0;
}}
"""
READ_OUT = {
    "sum": ("v[k]", ""),
    "mean": ("v[k]", "/ 400000.0"),
    "expweighted": ("v[k] * exp(-(double)t / 400000.0)", "/ 400000.0"),
    "softmax-sum": ("exp(v[k]) / all", ""),
}


@pytest.mark.parametrize("readout", READ_OUT)
def test_long_trials_are_summed_exactly(readout: str, tmp_path: Path) -> None:
    net = Network()
    net.add("input", SpikeInput(2))
    net.add("output", LeakyIntegrator(2, readout=readout), bias=np.array([0.1, 0.3]))
    net.connect("input", "output", Exponential(), weight=1.0)
    write_c(Artifact.of(net, About(n_steps=400_000, labels=("a", "b"))), tmp_path, examples=False)
    what, then = READ_OUT[readout]
    check(tmp_path, "gcc", LONG.format(steps=400_000, what=what, then=then))
