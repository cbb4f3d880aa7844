"""What does not fit on a GPU is refused before GeNN asks for it, which would end the process."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.needs import GENN, need

need(*GENN)

from mlgenn_delays.engines.compile import compile_network  # noqa: E402
from mlgenn_delays.engines.genn import gpus, running  # noqa: E402
from mlgenn_delays.errors import InputError  # noqa: E402
from tests.cli.helpers import call, metrics, refused  # noqa: E402
from tests.cuda.test_run import case  # noqa: E402
from tests.genn.test_cli import SMALL, stopped_after  # noqa: E402

pytestmark = pytest.mark.slow
MB = 2**20
SMALL_DEVICE = 4 * MB


@pytest.mark.device(memory=8192 * MB)
@pytest.mark.parametrize(
    ("name", "pipelined"),
    [("eventprop-sparse", False), ("bptt", False), ("currents", False), ("currents", True)],
)
def test_what_is_expected_is_what_is_taken(
    name: str, pipelined: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    net, rule, examples = case(name)
    rule = replace(rule, pipelined=pipelined)
    expected: list[float] = []
    monkeypatch.setattr(
        running, "check_room", lambda parts, _: expected.append(running._MORE * sum(parts.values()))
    )
    before = gpus.free_memory()
    compiled = compile_network(
        net, rule, total_steps=9, engine="genn", backend="cuda", batch_size=64
    )
    compiled.gradients(examples.batch(np.arange(11)), epoch=0)
    after = gpus.free_memory()
    assert before is not None and after is not None
    taken = before - after
    assert taken <= sum(expected) <= 1.3 * taken


@pytest.mark.device(memory=SMALL_DEVICE)
def test_a_training_that_does_not_fit(tmp_path: Path) -> None:
    out = tmp_path / "run"
    command = ["train", "digits", *SMALL, "--engine", "genn", "--backend", "cuda", "--out", out]
    text = refused(*command, "--set", "learning.batch_size=512")
    assert re.search(
        r"the GPU must have [\d.]+ MB free, [\d.]+ MB of it for .*, got [\d.]+ MB", text
    )
    assert "lower learning.batch_size" in text
    assert not out.exists()


@pytest.mark.device(memory=SMALL_DEVICE)
def test_no_checkpoint_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "run"
    stopped_after(monkeypatch, 1, "--set", "learning.batch_size=512", "--out", out)
    before = {p: p.read_bytes() for p in (out / "checkpoints").rglob("*.safetensors")}
    assert before and len(metrics(out)) == 1
    text = refused("train", "--resume", "--engine", "genn", "--backend", "cuda", "--out", out)
    assert "the GPU must have" in text
    assert {p: p.read_bytes() for p in before} == before
    assert call("train", "--resume", "--out", out).exit_code == 0


@pytest.mark.device(memory=SMALL_DEVICE)
def test_batches_that_grow() -> None:
    # From Python a batch may be longer than those before.
    net, rule, examples = case("eventprop")
    compiled = compile_network(
        net, rule, total_steps=9, engine="genn", backend="cuda", batch_size=512
    )
    with pytest.raises(InputError, match="MB of it for .*, got"):
        compiled.record(examples.batch(np.resize(np.arange(11), 20_000)))
