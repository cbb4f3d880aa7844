"""Writing a network as GeNN's inference code, in a folder that needs neither GeNN nor Python."""

import os
import platform
import shutil
import struct
import subprocess
import sys
import textwrap
import zlib
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

import numpy as np

from mlgenn_delays.errors import InputError, WorkError
from mlgenn_delays.export.artifact import Artifact
from mlgenn_delays.export.genn.bind import network_source, offsets
from mlgenn_delays.export.genn.layout import DeviceArrays
from mlgenn_delays.export.genn.manifest import (
    LIBRARY,
    MANIFEST,
    WEIGHTS,
    Built,
    Facts,
    FileFacts,
    Manifest,
)
from mlgenn_delays.files import encoded, temporary_folder
from mlgenn_delays.network import CurrentInput

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
    ./example weights.bin{argument} < FILE

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
    """The text of README.md."""
    network, about = manifest.network, manifest.about
    hidden = ", ".join(str(len(index)) for index in network.kept.values()) or "no"
    kind = "currents" if network.currents else "spikes"
    lines = f"{network.inputs} numbers for each step" if network.currents else "`STEP CHANNEL`"
    outputs = "series" if about.series else "classes"
    told = "A line is printed for each step, the voltages of the output. " if about.series else ""
    library = _CUDA if manifest.built is None else _CPU.format(**manifest.built.model_dump())
    what = (
        f"{network.inputs} channels of {kind}, {hidden} hidden neurons, {network.outputs} "
        f"{outputs}, {network.synapses} synapses with delays of up to {network.longest} steps. A "
        f"trial has {about.n_steps} steps of {network.dt:g} ms. Made by delaysnn with GeNN "
        f"{manifest.genn} ({manifest.backend}). Neither GeNN nor Python is needed to run it, and "
        "the folder may be moved."
    )
    file = (
        f"A line of FILE has {lines}. {told}The names of the {outputs} are in `manifest.json`, "
        "under `about`."
    )
    texts = {"what": what, "library": library, "file": file}
    filled = {name: textwrap.fill(text, 99) for name, text in texts.items()}
    return _TEXT.format(argument=" series" if about.series else "", **filled)


CODE = ("definitions.h", "runner.cc", "neuronUpdate.cc", "synapseUpdate.cc")
OURS = ("glue.cc", "network.h", "device.h")
LINES = 12  # of what a program said that are shown


def write_genn(
    artifact: Artifact,
    folder: Path | str,
    *,
    backend: str = "single_threaded_cpu",
    batch_size: int = 1,
) -> None:
    """Write a network as GeNN's inference code.

    Arguments:
        artifact: The network.
        folder: Where the files go; made if it is not there, and files of the same names go.
        backend: ``"single_threaded_cpu"``, whose library is built at once, or ``"cuda"``, whose
            library ``make`` builds in the folder where nvcc is.
        batch_size: Examples that run side by side; 1 on the CPU.

    Raises:
        InputError: pygenn or ml_genn is not installed, lacks the backend or cannot generate code
            for it here, there is no compiler, or the network does not fit GeNN.
        WorkError: The files cannot be written.
    """
    _check(backend, batch_size)
    layout, folder = DeviceArrays(artifact.network, batch_size), Path(folder)
    try:
        for inner in ("src", "genn"):
            (folder / inner).mkdir(parents=True, exist_ok=True)
        _generate(artifact, folder / "genn", backend, batch_size)
        _write_sources(layout, folder, backend, artifact.about.n_steps)
        (folder / WEIGHTS).write_bytes(weights_of(layout))
        if backend != "cuda":
            _make(folder)
        manifest = _manifest(artifact, layout, folder, backend)
        (folder / "README.md").write_bytes(encoded(readme(manifest)))
        (folder / MANIFEST).write_bytes(encoded(manifest.model_dump_json(indent=1) + "\n"))
    except OSError as error:
        raise WorkError(f"cannot write {folder}: {error.strerror or error}") from error


def weights_of(layout: DeviceArrays) -> bytes:
    """The file of all constant arrays; glue.cc says what its head is."""
    places = offsets(layout)
    content = bytearray(places[""])
    for name, array in layout.arrays.items():
        if array.content is not None:
            values = np.ascontiguousarray(array.content).tobytes()
            content[places[name] : places[name] + len(values)] = values
    return struct.pack("<8sIIQ", b"DSNNGENN", 1, zlib.crc32(content), len(content)) + content


def _check(backend: str, batch_size: int) -> None:
    """A GPU need not be there: what is generated for one is compiled elsewhere."""
    from mlgenn_delays.engines.genn.build import check_compilers
    from mlgenn_delays.engines.genn.checks import INSTALL, available_backends, check_name

    check_name(backend)
    here = available_backends()
    if backend not in here:
        raise InputError(
            f"an export for {backend} must have a pygenn with that backend, got one with "
            f"{', '.join(here) or 'none'}; build pygenn where CUDA is installed and CUDA_PATH is "
            f"set ({INSTALL}) and export where NVIDIA's driver is, or take --backend "
            "single_threaded_cpu"
        )
    whole = isinstance(batch_size, int) and not isinstance(batch_size, bool)
    if not whole or not 1 <= batch_size <= (4096 if backend == "cuda" else 1):
        raise InputError(
            f"batch_size must be 1 on the CPU and a whole number in 1..4096 on CUDA, got "
            f"{batch_size!r} for {backend}"
        )
    if backend != "cuda":
        check_compilers(backend, "take --format bundle")


def _run(command: list[str], what: str, remedy: str, **others: object) -> None:
    """Run a program; if it fails, raise InputError with the end of what it said."""
    done = subprocess.run(  # type: ignore[call-overload]
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        stdin=subprocess.DEVNULL, **others,
    )  # fmt: skip
    if done.returncode:
        said = "\n".join(done.stdout.splitlines()[-LINES:]) or f"exit status {done.returncode}"
        raise InputError(f"{what}, but that failed:\n{said}\n{remedy}")


def _generate(artifact: Artifact, folder: Path, backend: str, batch_size: int) -> None:
    path = os.pathsep.join(each for each in sys.path if each)
    with temporary_folder() as temporary:
        network, code = temporary / "network.safetensors", temporary / "code"
        code.mkdir()
        artifact.network.save(network)
        command = [sys.executable, "-m", "mlgenn_delays.export.genn.model"]
        command += [str(network), str(code), backend, str(batch_size)]
        remedy = "Take --backend single_threaded_cpu, or another machine"
        if backend == "cuda":
            remedy = (
                "Code for CUDA is generated where NVIDIA's driver and a GPU are; or take "
                "--backend single_threaded_cpu"
            )
        _run(
            command, f"pygenn must generate code for {backend}", remedy,
            env=os.environ | {"PYTHONPATH": path},
        )  # fmt: skip
        for name in CODE:
            shutil.copyfile(code / name, folder / name)


def _write_sources(layout: DeviceArrays, folder: Path, backend: str, n_steps: int) -> None:
    places = {f"src/{name}": name for name in OURS} | {
        "src/device.cc": f"device_{backend}.cc",
        "Makefile": f"Makefile.{backend}",
        "delaysnn_genn.h": "delaysnn_genn.h",
        "example.c": "example.c",
    }
    for place, name in places.items():
        template = files("mlgenn_delays.export.genn") / "templates" / name
        (folder / place).write_bytes(template.read_bytes())
    definitions = (folder / "genn" / "definitions.h").read_text(encoding="utf-8")
    source = network_source(layout, definitions, n_steps)
    (folder / "src" / "network.cc").write_bytes(encoded(source))


def _make(folder: Path) -> None:
    """Compile the library, and remove what is left of that."""
    own = [f"CXX={os.environ['CXX']}"] if os.environ.get("CXX") else []
    for goal in ("all", "tidy"):
        _run(
            ["make", "-j4", "-C", str(folder), *own, goal],
            "the export must have a compiler of C++11 for GeNN's code",
            "Mend the compiler's installation (CXX names another one)",
        )  # fmt: skip


def _facts_of(path: Path) -> FileFacts:
    content = path.read_bytes()
    return FileFacts(bytes=len(content), sha256=sha256(content).hexdigest())


def _manifest(artifact: Artifact, layout: DeviceArrays, folder: Path, backend: str) -> Manifest:
    from mlgenn_delays.engines.genn.checks import installed_version

    network = artifact.network
    kept = {p.name: artifact.kept[p.name].tolist() for p in network.spiking()}
    built = None
    if backend != "cuda":
        built = Built(
            system=platform.system(),
            machine=platform.machine(),
            library=_facts_of(folder / LIBRARY),
        )
    return Manifest(
        backend=backend,
        genn=installed_version("pygenn") or "",
        about=artifact.about,
        network=Facts(
            dt=network.dt,
            inputs=network.input().n,
            currents=isinstance(network.input().model, CurrentInput),
            outputs=network.output().n,
            synapses=network.n_synapses(),
            longest=max((layout.longest(p) for p in layout.projections), default=0),
            batch_size=layout.batch_size,
            kept=kept,
        ),
        weights=_facts_of(folder / WEIGHTS),
        built=built,
    )
