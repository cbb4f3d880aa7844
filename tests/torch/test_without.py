"""Where PyTorch is not installed, and where nobody asked for it."""

import subprocess
import sys


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_pytorch_is_imported_by_its_own_module_alone() -> None:
    code = (
        "import sys, delaysnn, delaysnn.torch, delaysnn.cli, delaysnn.engines.cpu.differentiable; "
        "print('torch' in sys.modules, delaysnn.torch.__all__)"
    )
    assert python(code) == "False ['DelayNetwork', 'Outputs']\n"


def test_what_is_missing_is_said() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from delaysnn.errors import InputError\n"
        "try:\n    from delaysnn.torch import DelayNetwork\n"
        "except InputError as error:\n    print(error)"
    )
    wanted = 'delaysnn.torch needs the package torch; pip install "delaysnn[torch]"\n'
    assert python(code) == wanted
