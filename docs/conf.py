"""How Sphinx builds the documentation: `make docs`. Nothing here needs a network."""

import os
import re
import sys
from importlib.util import find_spec
from pathlib import Path

from mlgenn_delays import __version__

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "delaysnn"
author = "the delaysnn authors"
copyright = author
version = release = __version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx-mathjax-offline",  # MathJax beside the pages instead of from a CDN
    "sphinx_click",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinxcontrib.bibtex",
    "neurons",
    "recipe_keys",
    "typography",
    "whole_streams",
]
exclude_patterns = ["_build", "**/.ipynb_checkpoints"]

# Pages: GitHub shows the same files, so links are plain Markdown links with GitHub's anchors.
myst_enable_extensions = ["amsmath", "attrs_inline", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 4

# Notebooks run whenever the pages are built, each in its own folder; an error ends the build.
nb_execution_mode = "force"
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_execution_in_temp = True
nb_merge_streams = True

# What the notebooks inherit: the delaysnn of this Python, one look of figures, width of tables.
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
os.environ["MATPLOTLIBRC"] = str(Path(__file__).parent / "delaysnn.mplstyle")
os.environ["COLUMNS"] = "88"
os.environ["TTY_COMPATIBLE"] = "0"  # no escape codes in what rich prints, whatever ipykernel sets
os.environ["PYTHONWARNINGS"] = "ignore:IProgress not found"  # tqdm's, which names a path

bibtex_bibfiles = ["references.bib"]
bibtex_default_style = "plain"
bibtex_reference_style = "author_year"

# Docstrings name things of the package in single backquotes.
default_role = "py:obj"
smartquotes_action = "qe"  # quotes and ellipses; dashes stay, for they begin options
autodoc_member_order = "bysource"
autodoc_typehints = "none"
autodoc_mock_imports = [] if find_spec("torch") else ["torch"]
autodoc_default_options = {"members": True}
napoleon_numpy_docstring = False
napoleon_use_ivar = True

# A prompt is not part of the command; the lines below a command that show its output are not code.
copybutton_prompt_text = r"\$ |>>> "
copybutton_prompt_is_regexp = True

highlight_language = "none"
html_theme = "furo"
html_title = "delaysnn"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False


def _as_restructured_text(app, what, name, obj, options, lines):
    """Escape what a docstring means as it stands: |x| is a magnitude."""
    lines[:] = [re.sub(r"\|(?=\w)", r"\\|", line) for line in lines]
    if what == "property":  # napoleon takes what stands before a colon for its type
        types = [line for line in lines if line.startswith(":type: ")]
        lines[:] = [line for line in lines if line not in types]
        for before in types:
            lines[0] = f"{before.removeprefix(':type: ')}: {lines[0]}"


def _spread(app, env, docnames):
    """Let pages of a folder, such as the tutorials, not wait for one another."""
    docnames[:] = [name for k in range(8) for name in docnames[k::8]]


def setup(app):
    """Connect what docstrings need, and let notebooks run side by side."""
    for extension in ("sphinx-mathjax-offline", "sphinx_click"):  # which do not say that they may
        app.extensions[extension].parallel_read_safe = True
    app.connect("autodoc-process-docstring", _as_restructured_text)
    app.connect("env-before-read-docs", _spread)
