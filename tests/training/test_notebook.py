"""Progress in notebooks: lines and bars as outputs of the cell, nothing on stderr."""

import sys
from types import ModuleType, SimpleNamespace

import pytest

from mlgenn_delays import notebook, progress
from tests.needs import needs


@pytest.fixture
def outputs(monkeypatch):
    """Stand in for IPython in a kernel; return the contents that each output has had."""
    shown = []

    def display(content, *, raw, display_id):
        assert raw and display_id
        shown.append([content])
        own = shown[-1]
        return SimpleNamespace(update=lambda content, raw: own.append(content))

    ipython, module = ModuleType("IPython"), ModuleType("IPython.display")
    ipython.get_ipython = lambda: SimpleNamespace(kernel=None)
    module.display = display
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    monkeypatch.setattr(notebook, "_REFRESH", 0.0)
    monkeypatch.setattr(notebook, "_QUIET", 0.0)
    return shown


def test_a_training_shows_lines_and_renews_bars(fake, make, capsys, outputs):
    make.trainer(epochs=3, progress="auto").fit(make.data(), make.data(4))
    lines, bars = outputs
    assert [line.split()[0] for line in lines[-1]["text/plain"].splitlines()] == [
        "train", "epoch", "1/3", "2/3", "3/3"
    ]  # fmt: skip
    seen = " ".join(each["text/plain"] for each in bars)
    for wanted in ("epoch 1/3", "epoch 3/3", "3/3", "9/9", "loss 0.", "spikes 2.00"):
        assert wanted in seen
    assert "epoch 1/3" in bars[1]["text/html"] and "<span" in bars[1]["text/html"]
    assert bars[-1] == {"text/html": "", "text/plain": ""}  # gone at the end
    assert capsys.readouterr() == ("", "")


def test_lines_are_text_not_html(outputs):
    with progress.Progress() as shown:
        shown.message("<b>a & b [red]</b>")
    assert "&lt;b&gt;a &amp; b [red]&lt;/b&gt;" in outputs[0][-1]["text/html"]


def test_what_is_quick_shows_nothing(outputs, monkeypatch):
    monkeypatch.setattr(notebook, "_QUIET", 60.0)
    with progress.Meter("reading", 10, "files") as meter:
        meter.advance(10)
    assert outputs == []


def test_plain_lines_are_not_red(outputs, capsys):
    progress.Progress("plain").message("one")
    assert capsys.readouterr() == ("one\n", "")


@pytest.mark.docs
@needs("sphinx")
def test_a_real_kernel_shows_it():
    import nbformat
    from nbclient import NotebookClient

    code = (
        "import time\nfrom mlgenn_delays.progress import Meter\n"
        "with Meter('reading', 20, 'files') as meter:\n"
        "    for _ in range(20):\n        time.sleep(0.05)\n        meter.advance()\n"
        "    meter._progress.message('done')"
    )
    cell = nbformat.v4.new_code_cell(code)
    bars = []

    class Client(NotebookClient):
        def process_message(self, message, *where):
            if message["msg_type"] == "update_display_data":
                bars.append(message["content"]["data"]["text/plain"])
            return super().process_message(message, *where)

    Client(nbformat.v4.new_notebook(cells=[cell]), timeout=120, kernel_name="python3").execute()
    assert any("reading" in text and "━" in text for text in bars)
    assert [output.output_type for output in cell.outputs] == ["display_data"] * 2
    assert cell.outputs[0].data["text/plain"] == "done"
