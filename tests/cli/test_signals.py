"""Ctrl-C, SIGTERM and SIGHUP: what is said and left, and signals that are ignored."""

import shlex
import signal
import threading
import time

import pytest

from mlgenn_delays.cli import console
from mlgenn_delays.cli.console import leave_with_one_line
from mlgenn_delays.training.trainer import Trainer
from tests.cli.helpers import call

NAMES = [name for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
TINY = [
    word
    for setting in ("network.layers.0.size=4", "data.train=20", "data.validation=10", "data.test=5")
    for word in ("--set", setting)
]


@pytest.fixture(autouse=True)
def signals_as_of_a_shell():
    """Let no test depend on which signals were ignored when the tests were started."""
    usual = {"SIGINT": signal.default_int_handler}
    numbers = {getattr(signal, name): usual.get(name, signal.SIG_DFL) for name in NAMES}
    before = {number: signal.signal(number, handler) for number, handler in numbers.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def stopped_at(monkeypatch, method, number, out, *more):
    """Train, asked to end when a method of the trainer is called; return the result."""

    def stop(*_, **__):
        signal.raise_signal(number)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, method, stop)
        return call("train", "yin-yang", *TINY, "--epochs", 1, "--out", out, *more)


@pytest.mark.parametrize("name", NAMES)
def test_before_anything_is_written(tmp_path, monkeypatch, name):
    number = getattr(signal, name)
    result = stopped_at(monkeypatch, "check", number, tmp_path / "run")
    assert result.exit_code == 128 + number
    said = "interrupted before a run directory was made; run the same command again\n"
    assert result.stderr.endswith(said)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", NAMES)
def test_before_the_first_epoch(tmp_path, monkeypatch, name):
    number = getattr(signal, name)
    result = stopped_at(monkeypatch, "_epoch", number, tmp_path / "a run")
    assert result.exit_code == 128 + number
    said, _, command = result.stderr.splitlines()[-1].partition(": ")
    assert said == "interrupted; continue with"
    assert call(*shlex.split(command)[1:]).exit_code == 0


def test_an_interruption_while_resuming_says_it_again(tmp_path, monkeypatch):
    run = tmp_path / "run"
    again = f"interrupted; continue with: delaysnn train --resume --out {run}\n"
    assert stopped_at(monkeypatch, "_epoch", signal.SIGTERM, run).stderr.endswith(again)
    monkeypatch.setattr("mlgenn_delays.cli.training_job._load", lambda *_: signal.raise_signal(2))
    result = call("train", "--resume", "--out", run)
    assert (result.exit_code, result.stderr) == (130, again)


@pytest.mark.parametrize("name", NAMES)
def test_an_ignored_signal_stays_ignored(tmp_path, monkeypatch, name):
    number, real = getattr(signal, name), Trainer.check

    def check(self, *data):
        signal.raise_signal(number)
        real(self, *data)

    signal.signal(number, signal.SIG_IGN)
    monkeypatch.setattr(Trainer, "check", check)
    result = call("train", "yin-yang", *TINY, "--epochs", 1, "--out", tmp_path / "run")
    assert result.exit_code == 0
    assert signal.getsignal(number) is signal.SIG_IGN
    with console.as_interruptions(), console.later():
        signal.raise_signal(number)


def test_a_signal_that_is_swallowed_comes_again(monkeypatch):
    monkeypatch.setattr(console, "REPEAT_AFTER", 0.05)

    def compiler():
        try:
            signal.raise_signal(signal.SIGTERM)
        except KeyboardInterrupt:
            pass
        time.sleep(20)

    began = time.monotonic()
    with pytest.raises(SystemExit) as left:
        leave_with_one_line(compiler)
    assert left.value.code == 143
    assert time.monotonic() - began < 10
    time.sleep(0.2)  # and not after the command has ended


def test_handlers_are_put_back():
    before = [signal.getsignal(getattr(signal, name)) for name in NAMES]
    with console.as_interruptions():
        assert signal.getsignal(signal.SIGTERM) is not before[1]
        with pytest.raises(console.Signalled), console.later():
            signal.raise_signal(signal.SIGTERM)
            done = True
        assert done
    assert [signal.getsignal(getattr(signal, name)) for name in NAMES] == before


def test_a_thread_has_no_signals():
    def inside():
        with console.as_interruptions(), console.later():
            done.append(1)

    done: list[int] = []
    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert done


def test_the_end_of_input_is_no_interruption(capsys, monkeypatch):
    """Click takes it for one: a file that ends too early said "interrupted"."""
    monkeypatch.delenv("DELAYSNN_DEBUG", raising=False)

    def ends(*_):
        raise EOFError("Ran out of input")

    monkeypatch.setattr("mlgenn_delays.cli.train.run_training", ends)
    result = call("train")
    assert result.exit_code == 1
    assert result.stderr.lstrip().startswith("error: unexpected EOFError: Ran out of input")


def test_a_terminal_that_is_gone(monkeypatch):
    def gone(*_, **__):
        raise OSError(5, "Input/output error")

    def hung_up():
        signal.raise_signal(signal.SIGHUP)

    monkeypatch.setattr("mlgenn_delays.cli.console.click.echo", gone)
    with pytest.raises(SystemExit) as left:
        leave_with_one_line(hung_up)
    assert left.value.code == 129
