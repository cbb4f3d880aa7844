"""What the header says of memory and operations against the compiled program."""

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mlgenn_delays.bits import FLOAT
from mlgenn_delays.export.artifact import About, Artifact, Measured
from mlgenn_delays.export.c import quantise, write_c
from mlgenn_delays.export.c.layout import History
from mlgenn_delays.export.c.make import make_layout
from mlgenn_delays.network import (
    LIF,
    CurrentInput,
    Delta,
    EulerLI,
    EulerLIF,
    Exponential,
    LeakyIntegrator,
    Network,
    Normal,
    SpikeInput,
    Uniform,
)
from tests.export.c.building import FLAGS, either, macros
from tests.export.c.cases import CASES, Case, rounded
from tests.needs import need


def compiled(folder: Path, compiler: str) -> Path:
    file = folder / "model.o"
    source = folder / "delaysnn_model.c"
    subprocess.run([need(compiler), *FLAGS, "-O1", "-c", source, "-o", file], check=True)
    return file


def symbols(file: Path, kinds: str) -> int:
    """Return the bytes of an object file's symbols of some kinds."""
    lines = subprocess.run([need("nm"), "-S", file], capture_output=True, text=True, check=True)
    found = re.findall(r"^\S+ (\S+) (\S) ", lines.stdout, re.M)
    return sum(int(size, 16) for size, kind in found if kind in kinds)


def sections(file: Path) -> dict[str, int]:
    lines = subprocess.run([need("size"), "-A", file], capture_output=True, text=True, check=True)
    return {name: int(n) for name, n in re.findall(r"^(\.\S+)\s+(\d+)", lines.stdout, re.M)}


def header(folder: Path) -> dict[str, str]:
    return macros((folder / "delaysnn_model.h").read_text())


@pytest.mark.parametrize("case", [CASES[k] for k in (0, 1, 3, 4, 8, 12, 16, 17, 20)], ids=str)
@pytest.mark.parametrize("kind", [FLOAT, "int8", "int4", "ternary"])
def test_the_object_file_has_the_bytes_of_the_header(case: Case, kind: str, tmp_path: Path) -> None:
    made, quantised = rounded(case, kind)
    figures = write_c(made, tmp_path, quantised=quantised, examples=False)
    said, file = header(tmp_path), compiled(tmp_path, either(case.recipe.seed))
    assert int(said["CONSTANT_BYTES"]) == figures.constant_bytes
    assert int(said["STATE_BYTES"]) == figures.state_bytes
    # Compilers may turn an array of very few numbers into code.
    assert figures.constant_bytes - 40 <= symbols(file, "rR") <= figures.constant_bytes
    assert symbols(file, "bBdDC") == figures.state_bytes
    found = sections(file)
    assert found[".bss"] + found.get(".data", 0) <= figures.state_bytes + 64
    in_rom = sum(n for name, n in found.items() if name.startswith(".rodata"))
    arrays = 8 * len(made.network.projections) + 8
    assert in_rom <= figures.constant_bytes + 32 * arrays


def seed_net(channels: int = 40, hidden: int = 256, max_delay: float = 25.0) -> Network:
    net = Network(seed=3)
    net.add("input", CurrentInput(channels))
    net.add("hidden", EulerLIF(hidden))
    net.add("output", EulerLI(10))
    common = {"delay": Uniform(0.0, max_delay), "max_delay": max_delay}
    net.connect("input", "hidden", Delta(), weight=Normal(0.1, 0.1), synapses=160, **common)
    net.connect("hidden", "output", Delta(), weight=Normal(0.1, 0.1), synapses=40, **common)
    return net


def of(net: Network, steps: int = 200, **about: object) -> Artifact:
    labels = tuple(f"class{k}" for k in range(net.output().n))
    return Artifact.of(net, About(n_steps=steps, labels=labels, **about))  # type: ignore[arg-type]


def whole(net: Network, steps: int = 200) -> Artifact:
    """Return the artifact of a network of which nothing is left out."""
    made = of(net, steps)
    for name, n in made.sizes.items():
        if made.network.populations[name].n < n:
            break
    else:
        return made
    bare = net.copy()
    for p in bare.projections.values():
        p.granularity, p.delay = "synapse", np.round(p.delay)
    kept = {p.name: np.arange(p.n) for p in bare.spiking()}
    return Artifact(bare, kept, {n: p.n for n, p in bare.populations.items()}, made.about)


def test_a_small_current_net_is_small(tmp_path: Path) -> None:
    figures = write_c(whole(seed_net()), tmp_path, examples=False)
    assert figures.neurons == 266 and figures.synapses == 200
    assert figures.constant_bytes < 4000
    assert figures.state_bytes < 7000


def test_inputs_or_arrivals_are_kept_whichever_are_fewer() -> None:
    few, many = make_layout(whole(seed_net()), None), make_layout(whole(seed_net(300, 20)), None)
    assert few.histories["input"].slots == 26 and not few.from_source("input")
    assert "input" not in many.histories and many.from_source("input")
    assert few.state_bytes < 26 * 256 * 4


def dense_net(inputs: int, outputs: int, weight: object = 1.0, **options: object) -> Artifact:
    net = Network()
    net.add("input", SpikeInput(inputs))
    net.add("output", LeakyIntegrator(outputs))
    net.connect("input", "output", Delta(), weight=weight, **options)  # type: ignore[arg-type]
    return of(net)


SIGNS = np.where(np.arange(400) % 2, 1.0, -1.0).repeat(2)


@pytest.mark.parametrize(
    ("made", "kind"),
    [
        # 258 weights of 127 sum to 32766, one more to 32893.
        (dense_net(258, 3), "int16_t"),
        (dense_net(259, 3), "int32_t"),
        (dense_net(1, 3), "int8_t"),
        (dense_net(400, 2, SIGNS), "int16_t"),
    ],
)
def test_sums_of_integers_take_the_smallest_type_that_holds_them(made: Artifact, kind: str) -> None:
    network, quantised = quantise(made.network)
    layout = make_layout(Artifact(network, made.kept, made.sizes, made.about), quantised)
    assert [ring.kind for ring, _ in layout.rings.values()] == [kind]


def test_tables_store_no_more_than_they_must() -> None:
    table = make_layout(dense_net(20, 3, delay=4.0), None).senders[0].table
    assert table.rows is None and table.delay is None and table.one_delay == 4
    own = {"granularity": "axon", "delay": Uniform(0.0, 9.0), "max_delay": 9.0}
    table = make_layout(dense_net(20, 3, **own), None).senders[0].table
    assert table.by_row and table.delay is not None and table.delay.values.shape == (20,)
    table = make_layout(dense_net(20, 300, density=0.2, **own), None).senders[0].table
    assert table.rows is not None and table.index is not None
    assert (table.rows.kind, table.index.kind) == ("uint16_t", "uint16_t")
    table = make_layout(dense_net(20, 3, synapses=59), None).senders[0].table
    assert table.rows is None and table.weight.values.size == 60


def test_what_does_not_exist_takes_no_memory() -> None:
    net = Network()
    net.add("input", SpikeInput(5))
    net.add("hidden", LIF(4))
    net.add("output", LeakyIntegrator(3))
    net.connect("input", "hidden", Exponential(), weight=1.0)
    net.connect("hidden", "output", Exponential(), weight=1.0)
    layout = make_layout(of(net), None)
    names = {field.name for field in layout.fields()}
    assert not any(name.startswith(("held", "at_")) for name in names)
    assert not any(array.name.startswith(("bias", "delay")) for array in layout.constants())
    net.populations["hidden"].model = LIF(4, tau_refrac=300.0)
    net.populations["hidden"].bias[:] = 1.0
    layout = make_layout(of(net), None)
    assert {field.name: field.kind for field in layout.fields()}["held_hidden"] == "uint16_t"
    assert "bias_hidden" in {array.name for array in layout.constants()}


def test_synapses_that_act_after_the_end_are_left_out() -> None:
    delays = np.array([0.0, 8.0, 9.0, 1e9])
    made = dense_net(4, 1, delay=delays, max_delay=1e9)
    short = Artifact(
        made.network, made.kept, made.sizes, made.about.model_copy(update={"n_steps": 10})
    )
    layout = make_layout(short, None)
    assert layout.synapses == 2
    assert [sender.longest for sender in layout.senders] == [8]


def test_operations_are_those_of_the_network(tmp_path: Path) -> None:
    made = dense_net(20, 3)
    figures = write_c(made, tmp_path, examples=False)
    # An addition for the arrivals, 3 to integrate, 4 to read out.
    assert figures.silent == 3 * 8
    assert (figures.input_spike.mean, figures.input_spike.most) == (3.0, 3)
    assert figures.worst == 24 + 60
    assert any("24 a silent step" in line for line in figures.lines())


def test_the_header_says_what_the_network_is(tmp_path: Path) -> None:
    made = of(seed_net(), recipe="small", measured=(Measured(split="test", accuracy=0.925, n=40),))
    figures = write_c(made, tmp_path, examples=False)
    said, text = header(tmp_path), (tmp_path / "delaysnn_model.h").read_text()
    assert (said["INPUTS"], said["OUTPUTS"], said["STEPS"]) == ("40", "10", "200")
    assert (said["RECIPE"], said["ACCURACY"], said["WEIGHTS"]) == (
        '"small"', "0.925", '"float32"'
    )  # fmt: skip
    assert int(said["SYNAPSES"]) == made.network.n_synapses() == figures.synapses
    assert int(said["OPERATIONS_WORST"]) == figures.worst
    assert int(said["OPERATIONS_SILENT"]) == figures.silent
    assert "Accuracy, test split of 40 examples: 92.50 %" in text
    write_c(of(seed_net()), tmp_path / "other", examples=False)
    assert "ACCURACY" not in macros((tmp_path / "other" / "delaysnn_model.h").read_text())


@pytest.mark.parametrize(
    ("kind", "density", "bits"),
    [
        ("int8", 1.0, 8),
        ("int4", 1.0, 4),
        ("int4", 0.1, 4),
        ("ternary", 1.0, 2),
        ("ternary", 0.1, 1),
    ],
)
def test_weights_take_the_bits_of_their_kind(kind: str, density: float, bits: int) -> None:
    made = dense_net(30, 20, Normal(0.0, 1.0), density=density)
    network, quantised = quantise(made.network, kind, "projection")
    layout = make_layout(replace(made, network=network), quantised)
    (table,) = (sender.table for sender in layout.senders)
    assert (table.rows is None) == (density == 1.0)
    assert table.weight.bytes == -(-table.entries * bits // 8)
    assert not any(array.name.startswith("scale") for array in layout.constants())
    network, quantised = quantise(made.network, kind, "neuron")
    layout = make_layout(replace(made, network=network), quantised)
    scales = [array for array in layout.constants() if array.name.startswith("scale")]
    assert [array.bytes for array in scales] == [4 * 20]


def history_net(inputs: int, hidden: int, longest: float) -> Artifact:
    net = Network(seed=2)
    net.add("input", SpikeInput(inputs))
    net.add("hidden", LIF(hidden))
    net.add("output", LeakyIntegrator(3))
    delays = {"delay": Uniform(0.0, longest), "max_delay": longest}
    net.connect("input", "hidden", Exponential(), weight=Normal(1.0, 0.1), **delays)
    net.connect("hidden", "output", Exponential(), weight=1.0)
    return of(net)


def test_spikes_wait_where_they_take_less() -> None:
    layout = make_layout(history_net(100, 50, 64.0), None)
    history = layout.histories["input"]
    assert layout.late("input") and history.field().bytes == 65 * 16
    layout = make_layout(history_net(2000, 2, 64.0), None)
    assert "input" not in layout.histories and layout.prompt("input")
    # Without delays, nothing but the spikes of a step.
    assert layout.histories["hidden"].field().bytes == 1


@pytest.mark.parametrize(
    ("n", "kind", "width"),
    [(8, "uint8_t", 1), (16, "uint16_t", 1), (17, "uint32_t", 1), (40, "uint16_t", 3)]
    + [(64, "uint32_t", 2), (200, "uint32_t", 7)],
)
def test_spikes_are_in_few_words_of_few_bytes(n: int, kind: str, width: int) -> None:
    history = History.of_spikes("a", n, 5)
    assert (history.kind, history.width) == (kind, width)
