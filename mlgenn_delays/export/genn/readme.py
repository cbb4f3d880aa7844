"""The README of a folder with GeNN's code."""

import textwrap

from mlgenn_delays.export.genn.manifest import Manifest

_CPU = """`libdelaysnn.so` is built, for {system} on {machine}. It needs the C and C++ runtime
libraries and nothing else. To build it anew, `make clean && make`; Python then wants a new export,
for the manifest has the digest of the library as it was."""
_CUDA = """Build it where `nvcc` and cuRAND's headers are: `make` (for the GPU that is there), or
`make ARCH=sm_90` for another. It runs on the first GPU of `CUDA_VISIBLE_DEVICES`."""
_TEXT = """# A spiking network with synaptic delays

{what}

## The library

{library}

## From C

`delaysnn_genn.h` says all; `example.c` runs one trial step by step.

    make example
    ./example weights.bin < FILE

{file}

## From Python

    delaysnn infer FOLDER INPUT...

or `mlgenn_delays.export.genn.runtime.GeNNModel.open(folder)`, which needs no GeNN either.

## Files

- `manifest.json`: what the network is, and digests of the files that run
- `weights.bin`: weights, delays, biases and connectivity
- `genn/`: code that GeNN generated; `src/`: what makes a library of it
"""


def readme(manifest: Manifest) -> str:
    """Return the text."""
    network, about = manifest.network, manifest.about
    hidden = ", ".join(str(len(index)) for index in network.kept.values()) or "no"
    kind = "currents" if network.currents else "spikes"
    lines = f"{network.inputs} numbers for each step" if network.currents else "`STEP CHANNEL`"
    library = _CUDA if manifest.built is None else _CPU.format(**manifest.built.model_dump())
    what = (
        f"{network.inputs} channels of {kind}, {hidden} hidden neurons, {network.outputs} "
        f"classes, {network.synapses} synapses with delays of up to {network.longest} steps. A "
        f"trial has {about.n_steps} steps of {network.dt:g} ms. Made by delaysnn with GeNN "
        f"{manifest.genn} ({manifest.backend}). Neither GeNN nor Python is needed to run it, and "
        "the folder may be moved."
    )
    file = (
        f"A line of FILE has {lines}. The names of the classes are in `manifest.json`, under "
        "`about`."
    )
    texts = {"what": what, "library": library, "file": file}
    return _TEXT.format(**{name: textwrap.fill(text, 99) for name, text in texts.items()})
