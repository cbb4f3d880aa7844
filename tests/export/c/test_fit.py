"""Programs for devices of limited memory."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from mlgenn_delays.bits import LARGEST
from mlgenn_delays.errors import InputError
from mlgenn_delays.export.artifact import Artifact
from mlgenn_delays.export.c import Costs, Limits, c_costs, quantise, write_c
from mlgenn_delays.export.c.costs import costs_of
from mlgenn_delays.export.c.fit import fitting
from tests.cli.helpers import call, refused
from tests.export.c.cases import CASES, artifact

MADE = artifact(CASES[5])  # of long delays


def refusal(made: Artifact, limits: Limits, folder: Path) -> str:
    with pytest.raises(InputError) as error:
        write_c(made, folder / "c", limits=limits, examples=False)
    assert not (folder / "c").exists()
    return str(error.value)


def shortened(made: Artifact, longest: float) -> Artifact:
    network = made.network.copy()
    for p in network.projections.values():
        p.delay = p.delay.clip(max=longest)
        p.max_delay = longest
    return replace(made, network=network)


def test_the_sizes_are_of_state_and_stack_and_of_constants_and_code(tmp_path: Path) -> None:
    costs = write_c(MADE, tmp_path, examples=False)
    assert costs == c_costs(MADE)
    assert costs.ram == costs.state_bytes + costs.stack_bytes
    assert costs.flash == costs.constant_bytes + costs.code_bytes


def test_just_enough_is_enough(tmp_path: Path) -> None:
    costs = c_costs(MADE)
    write_c(MADE, tmp_path, limits=Limits(costs.ram, costs.flash), examples=False)
    text = refusal(MADE, Limits(costs.ram - 1, costs.flash - 1), tmp_path)
    assert f"--ram must be at least {costs.ram} bytes" in text and f"got {costs.ram - 1}" in text
    assert f"--flash must be at least {costs.flash} bytes" in text


def test_the_delays_that_are_said_to_fit_are_the_longest(tmp_path: Path) -> None:
    ram = c_costs(shortened(MADE, 0.0)).ram + 200
    assert ram < c_costs(MADE).ram
    found = re.search(r"at most (\S+) ms would fit", refusal(MADE, Limits(ram=ram), tmp_path))
    assert found
    longest = float(found[1])
    assert c_costs(shortened(MADE, longest)).ram <= ram
    assert c_costs(shortened(MADE, longest + MADE.network.dt)).ram > ram
    text = refusal(MADE, Limits(ram=300), tmp_path)
    assert "even without delays" in text and "fewer neurons" in text


def test_the_weights_that_are_said_to_fit_do(tmp_path: Path) -> None:
    sizes: dict[str, Costs] = {}
    for kind in LARGEST:
        network, quantised = quantise(MADE.network, kind)
        sizes[kind] = c_costs(replace(MADE, network=network), quantised)
    assert sizes["int8"].flash > sizes["int4"].flash > sizes["ternary"].flash
    text = refusal(MADE, Limits(flash=sizes["int4"].flash), tmp_path)
    assert f"int4 weights would take {sizes['int4'].flash}" in text
    network, quantised = quantise(MADE.network, "int8")
    made = replace(MADE, network=network, quantised=quantised)
    with pytest.raises(InputError, match="int4 weights would take"):
        fitting(made, quantised, Limits(flash=sizes["int4"].flash))
    text = refusal(MADE, Limits(flash=sizes["ternary"].flash - 1), tmp_path)
    assert f"it takes {sizes['ternary'].flash} with ternary" in text and "fewer synapses" in text


def test_of_those_that_fit_the_quickest_is_taken() -> None:
    small, large = c_costs(MADE), Limits(ram=2**20)
    layout = fitting(MADE, None, large)
    assert layout.state_bytes > small.state_bytes
    assert not any(sender.late for sender in layout.senders)
    tight = fitting(MADE, None, Limits(ram=small.ram))
    assert any(sender.late for sender in tight.senders)
    assert tight.state_bytes == small.state_bytes and tight.block == 1


def test_memory_that_is_left_makes_it_quicker() -> None:
    small, found = c_costs(MADE), []
    for more in (0, 100, 300, 1000):
        layout = fitting(MADE, None, Limits(ram=small.ram + more))
        costs = costs_of(layout)
        assert costs.ram <= small.ram + more
        found.append((costs.silent + sum(spike.mean for spike in costs.spikes), layout.block))
    operations, blocks = zip(*found, strict=True)
    assert list(operations) == sorted(operations, reverse=True)
    assert operations[0] > 2 * operations[-1] and max(blocks) > 1


def test_export_for_a_device(tmp_path: Path) -> None:
    out = ["--format", "c", "--out", tmp_path / "c"]
    text = refused("export", "digits-demo", *out, "--ram", "1k", "--flash", "2kB")
    assert "--ram must be" in text and "got 1024" in text and "got 2048" in text
    assert not (tmp_path / "c").exists()
    more = ["--weights", "int4", "--per", "projection", "--ram", "32k", "--flash", "64k"]
    result = call("export", "digits-demo", *out, *more)
    assert result.exit_code == 0, result.output
    assert "int4: " in result.stdout and "of int4 weights" in result.stdout


@pytest.mark.parametrize("size", ["", "k", "32 k", "-1", "0", "1.5k", "1g", "9" * 13])
def test_sizes_that_are_none(size: str, tmp_path: Path) -> None:
    out = ["--format", "c", "--out", tmp_path / "c"]
    assert "number of bytes" in refused("export", "digits-demo", *out, "--ram", size)


def test_scales_are_of_integers(tmp_path: Path) -> None:
    out = ["--format", "c", "--out", tmp_path / "c", "--per", "projection"]
    assert "--per must come with --weights" in refused("export", "digits-demo", *out)
