"""Names, labels and prefixes that nobody would choose; and what is refused."""

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mlgenn_delays.errors import InputError
from mlgenn_delays.export.artifact import About, Artifact
from mlgenn_delays.export.c import write_c
from mlgenn_delays.network import LIF, Exponential, LeakyIntegrator, Network, SpikeInput
from tests.export.c.building import COMPILERS, FLAGS, build, run
from tests.export.c.cases import CASES, artifact, rounded
from tests.needs import need

HOSTILE = (
    '"; } int main(void) { system("x"); /*',
    "*/ #error no /*",
    "a\\",
    "line\nbreak\r#define int",
    "what??/\n??)",
    "größe 音 \u2028 \u202e",
    "%s%n",
    "",
    "int",
    "\x00nul 1",
    "ä" * 1000,
)


def population(name: str) -> str:
    """Return a text as far as it can be the name of a population."""
    return "".join(c if c.isprintable() and c != "/" else "?" for c in name)[:190]


def hostile() -> Artifact:
    net = Network(seed=1)
    source = population(HOSTILE[0])
    net.add(source, SpikeInput(6))
    for k, name in enumerate(map(population, HOSTILE[1:7] + HOSTILE[8:])):
        net.add(name, LIF(4, tau_refrac=2.0), bias=0.2)
        net.connect(source, name, Exponential(), weight=3.0, delay=float(k), name=f"{k} {name}")
        source = name
    net.add("output", LeakyIntegrator(len(HOSTILE)))
    net.connect(source, "output", Exponential(), weight=1.0)
    about = About(n_steps=50, labels=HOSTILE, recipe=HOSTILE[1] + HOSTILE[4] + HOSTILE[0])
    return Artifact.of(net, about)


@pytest.mark.parametrize("compiler", COMPILERS)
def test_names_and_labels_can_be_any_text(compiler: str, tmp_path: Path) -> None:
    write_c(hostile(), tmp_path, examples=False)
    program = build(tmp_path, compiler)
    main = tmp_path / "labels.c"
    main.write_text(
        '#include "delaysnn_model.h"\n#include <stdio.h>\nint main(void)\n{\n'
        "    fwrite(delaysnn_labels, 1, sizeof delaysnn_labels, stdout);\n"
        "    fputs(DELAYSNN_RECIPE, stdout);\n    return 0;\n}\n"
    )
    flags = [need(compiler), *FLAGS, "-trigraphs"]
    subprocess.run(
        [*flags, main, tmp_path / "delaysnn_model.c", "-o", tmp_path / "labels", "-lm"], check=True
    )
    got = subprocess.run([tmp_path / "labels"], capture_output=True, check=True).stdout
    wide = 2001
    for k, label in enumerate(HOSTILE):
        text = label.encode("utf-8", "replace")
        assert got[k * wide : k * wide + wide] == text.ljust(wide, b"\0")
    recipe = (HOSTILE[1] + HOSTILE[4] + HOSTILE[0]).encode()
    assert got[len(HOSTILE) * wide :] == recipe
    assert len(run(program, "example 1\n0 0\nexample 0\n")) == 2


def test_nothing_but_plain_letters_is_written(tmp_path: Path) -> None:
    write_c(hostile(), tmp_path, examples=False)
    for file in tmp_path.glob("delaysnn_model.*"):
        text = file.read_bytes()
        assert text.isascii() and b"??" not in text
        outside = re.sub(rb'"(\\.|[^"\\])*"', b"", text)
        assert outside.count(b"/*") == outside.count(b"*/") > 0
        assert b"#error" not in outside and b'"' not in outside and b"\\" not in outside


def test_two_networks_link_into_one_program(tmp_path: Path) -> None:
    for prefix, case in (("first", CASES[0]), ("Second_1", CASES[3])):
        write_c(artifact(case), tmp_path / prefix, prefix=prefix, examples=False)
    main = tmp_path / "main.c"
    main.write_text(
        '#include "first_model.h"\n#include "Second_1_model.h"\nint main(void)\n{\n'
        "    static const float values[SECOND_1_INPUTS];\n"
        "    first_reset();\n    Second_1_reset();\n"
        "    first_step_spikes(NULL, 0);\n    Second_1_step_values(values);\n"
        "    return first_read(NULL) + Second_1_read(NULL) > 100;\n}\n"
    )
    folders = [tmp_path / "first", tmp_path / "Second_1"]
    files = [main, folders[0] / "first_model.c", folders[1] / "Second_1_model.c"]
    include = [f"-I{folder}" for folder in folders]
    command = [need("gcc"), *FLAGS, *include, *files, "-o", tmp_path / "main", "-lm"]
    subprocess.run(command, check=True)
    subprocess.run([tmp_path / "main"], check=True)


@pytest.mark.parametrize("prefix", ["", "1a", "a b", "é", "a-b", "_a", "a" * 41, "test", "a\n"])
def test_refuses_a_prefix_that_is_no_name(prefix: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="prefix must"):
        write_c(artifact(CASES[0]), tmp_path, prefix=prefix)
    assert not list(tmp_path.iterdir())


def test_the_header_is_c_plus_plus_too(tmp_path: Path) -> None:
    write_c(artifact(CASES[0]), tmp_path, examples=False)
    header = tmp_path / "delaysnn_model.h"
    subprocess.run(
        [need("g++"), "-fsyntax-only", "-Wall", "-Werror", "-x", "c++", header], check=True
    )


def test_refuses_integers_of_another_network(tmp_path: Path) -> None:
    _, quantised = rounded(CASES[0])
    with pytest.raises(InputError, match="network that quantise returned"):
        write_c(artifact(CASES[0]), tmp_path, quantised=quantised)
    with pytest.raises(InputError, match="network that quantise returned"):
        write_c(artifact(CASES[1]), tmp_path, quantised=quantised)


def test_refuses_weights_that_are_not_finite(tmp_path: Path) -> None:
    network = artifact(CASES[0]).network.copy()
    network.projections["input->hidden0"].weight[3] = np.nan
    with pytest.raises(InputError, match="finite weights"):
        write_c(replace(artifact(CASES[0]), network=network), tmp_path)


def test_refuses_delays_that_no_memory_holds_but_not_those_that_never_act(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlgenn_delays.export.c.make.LARGEST_STATE", 2**20)
    network = artifact(CASES[0]).network.copy()
    network.projections["input->hidden0"].delay[:] = 1e9
    network.projections["input->hidden0"].max_delay = 1e9
    about = About(n_steps=10_000_000, labels=("a", "b", "c"))
    write_c(Artifact.of(network, about), tmp_path)
    assert (tmp_path / "test_examples.txt").read_text() == ""
    network.projections["input->hidden0"].delay[:] = 2e6
    with pytest.raises(InputError, match="bytes of state"):
        write_c(Artifact.of(network, about), tmp_path)


def test_writes_the_same_twice(tmp_path: Path) -> None:
    case = CASES[3]
    made = [tmp_path / "a", tmp_path / "b"]
    for folder in made:
        write_c(artifact(case), folder)
    for file in made[0].iterdir():
        assert file.read_bytes() == (made[1] / file.name).read_bytes()
