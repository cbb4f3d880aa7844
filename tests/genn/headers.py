"""What GeNN's code for a CPU includes, compiled once: of a build most time goes into that."""

import os
import subprocess
from functools import cache

from mlgenn_delays.files import cache_folder, write_atomic

# As at the head of GeNN's definitions.h, and with the options of its Makefile. Where another
# version has others, the compiler reads the text instead.
INCLUDED = ("algorithm", "chrono", "iostream", "random", "cassert", "cmath", "cstdint", "cstring")
OPTIONS = ("-fPIC", "-std=c++11", "-O3", "-ffast-math")
# Always the same, for CXX is among what names the code that is kept for the next time.
FOLDER = cache_folder() / "tests"


@cache
def compiler() -> str:
    """Return what CXX must be to compile with these headers, which are compiled for it."""
    header, gxx = FOLDER / "included.h", os.environ.get("CXX", "g++")
    if len(str(header).split()) > 1:  # which make would not take for one word
        return gxx
    own = header.with_name(f"{os.getpid()}.gch")
    write_atomic(header, "".join(f"#include <{name}>\n" for name in INCLUDED))
    into = ["-x", "c++-header", str(header), "-o", str(own)]
    subprocess.run([*gxx.split(), *OPTIONS, *into], check=True, capture_output=True)
    own.replace(f"{header}.gch")  # other processes may be reading the one there
    return f"{gxx} -include {header}"
