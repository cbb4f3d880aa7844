"""Map the folders cli/ and models/ into the package; everything else is in pyproject.toml."""

from setuptools import find_packages, setup

FOLDERS = {
    "delaysnn": "delaysnn",
    "mlgenn_delays": "mlgenn_delays",
    "mlgenn_delays.cli": "cli",
    "mlgenn_delays.models": "models",
}


def packages() -> list[str]:
    """Return the packages of every folder, by the name under which they are imported."""
    found = []
    for name, folder in FOLDERS.items():
        found += [name, *(f"{name}.{inner}" for inner in find_packages(folder))]
    return found


setup(
    packages=packages(),
    package_dir=FOLDERS,
    package_data={
        "": ["py.typed", "*.pyi"],
        "mlgenn_delays": ["*.toml"],
        "mlgenn_delays.cost": ["*.toml"],
        "mlgenn_delays.data.download": ["*.sha256"],
        "mlgenn_delays.export.genn": ["templates/*"],
        "mlgenn_delays.export.torch": ["templates/*"],
        "mlgenn_delays.models": ["*.toml", "*.safetensors"],
        "mlgenn_delays.report": ["templates/*"],
    },
)
