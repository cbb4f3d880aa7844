"""How the commands of the pages are run here: shorter, in another way, or not at all.

A command that none of these tables speaks of runs as it stands. Keys are regular expressions that
are looked for in the command as the page has it; one that is found nowhere fails the tests.
"""

from tests.needs import GENN

SMALL = "--set network.layers.0.size=24"

# Words put behind the command. Of an option given twice the last one counts.
ADDED = {
    r"delaysnn train(?!.*--resume)": "--epochs 1",
    # Runs that are then analysed and reported, several times over.
    r"train digits (--seed 1 |--set delays\.learn=false )?--out RUN\d?$": SMALL,
    r"train fsdd --data DIR (--out RUN|--init RUN/network\.safetensors)$": SMALL,
    r"delaysnn sweep(?!.*learning\.epochs)": "--epochs 1",
    r"delaysnn sweep": "--seeds 1",
    r"benchmarks/ranks_cost\.py": "--ranks 2",
    r"--out sweeps/groups": SMALL,  # every run of these is analysed
}

# Text for text, in commands and in Python.
REPLACED = {
    # A new environment takes minutes; what it is made for is run.
    r"python3 -m venv \.venv && \.venv/bin/pip install -q -e \. && \.venv/bin/delaysnn": "delaysnn",
    r"network\.layers\.(\d)\.size=256": r"network.layers.\1.size=8",  # ssc
    r"network\.sparsity=0,0\.75,0\.9375\b": "network.sparsity=0,0.75",
    r"network\.sparsity=0,0\.75,0\.9375,0\.984375,0\.9921875": "network.sparsity=0,0.75",
    r"regularisation\.operations=[\d,.e-]+": "regularisation.operations=0,1e-4",
    r"arecord -t raw -f S16_LE -r \d+": "cat speech.raw",  # there is no microphone
    r"arecord -t wav -f S16_LE -r \d+": "cat speech.wav",
    r"/shared/fsdd": "DIR",
    r"tcp://(192\.168\.1\.5|127\.0\.0\.1):8786": "tcp://127.0.0.1:PORT",
    r"--port 8786": "--port PORT --no-dashboard",
    r"--permutations 9999": "--permutations 99",
    r"dask scheduler$": "dask scheduler --host 127.0.0.1 --port PORT --no-dashboard",
    r"seeds=3\)": "seeds=1, epochs=1)",
    r"hold_out=anna,ben,cleo": "hold_out=ann,bob",  # who speaks in the data here
    r"(benchmarks/cortex\.py .*) --into docs/benchmarks\.md": r"\1 --limit 2",
}

# Commands that go on until they are stopped, and what they say once they are there.
BACKGROUND = {
    r"^dask scheduler": "Scheduler at:",
    r"^dask worker": "Registered to:",
}

# Commands that answer the same wherever they stand, and so run once.
ONCE = (r"^delaysnn doctor$",)

# Commands that are there to fail: their exit code, and what they say.
FAILING = {
    r"learning\.learning_rate=50$": (1, "diverged"),
    r"digits --set hardware\.preset=xylo$": (2, "delays.max must be <= 0 ms"),
    r"digits --set hardware\.fan_in=13$": (2, "must have at most 3328 synapses"),
}

# Python that other tests run, by page.
ELSEWHERE = {
    "docs/developer/": "tests/docs/test_developer_pages.py runs it and looks at what it does",
}

# What is not run, and why.
NOT_RUN = {
    r"benchmarks/cochlea\.py": "lauscher takes minutes; test_cochlea.py compares each step",
    r"benchmarks/(engine|data|genn)_cost\.py": "it takes minutes and has no short form",
    r"benchmarks/surrogate_cost\.py --into": "it takes minutes, shortened as well",
    r"benchmarks/genn_cuda\.py": "tests/cuda/test_benchmark.py runs it, smaller",
    r"-m tests\.cuda\.cost": "it takes minutes; tests/cuda/test_cost.py counts a batch",
    r"^make test$|pytest tests/cuda$": "it runs these tests",
    r"^pip install": "it changes the environment; test_readme.py checks that the extras exist",
    r"net = Network\(dt=1\.0, seed=1\)": "test_readme.py runs it and looks at what it learns",
    r"Trainer\(net, rule, ": "its names are the reader's; tests/training/test_resume.py does it",
    r"pandas\.read_pickle": "tests/cli/test_own_data.py runs it on data of its own, without pandas",
}


# What a command needs of the machine, by the names of tests/needs.py.
NEEDS: dict[str, tuple[str, ...]] = {
    r"--backend cuda": (*GENN, "cuda"),
    r"^mpiexec": ("mpi",),
    r"--engine genn|--format genn|speech-genn|engine=name": GENN,
    r"surrogate_cost.py --check": ("dcls",),
    r"benchmarks/cortex\.py": ("arm-none-eabi-gcc", "qemu-system-arm"),
    r"^make -C": ("make", "cc"),
    r"import torch|delaysnn\.torch": ("torch",),
    r"neurobench_check\.py": ("neurobench",),
}
