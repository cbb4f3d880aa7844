"""delaysnn infer."""

import sys
from collections import deque
from time import perf_counter
from typing import TYPE_CHECKING, Any

import click

from mlgenn_delays.errors import one_line

from .console import later, say, say_json, say_prose
from .options import JSON, PATH, THREADS

if TYPE_CHECKING:
    from mlgenn_delays.export.model import Model, Prediction, Series

# Those of export.stream, which takes long to import.
FORMS = ("pcm", "steps", "f32")


@click.command()
@click.argument("model", type=PATH)
@click.argument("inputs", type=PATH, metavar="[INPUT]...", nargs=-1)
@click.option(
    "--stream", is_flag=True, help="Read frames from standard input, classify once per window."
)
@click.option(
    "--form",
    type=click.Choice(FORMS),
    help="Of --stream: pcm is 16-bit mono sound, steps a line of numbers per step, f32 the same "
    "as binary float32.  [default: pcm for recordings, else steps]",
)
@click.option(
    "--hop", type=float, metavar="MS", help="Of --stream: time between windows.  [default: a trial]"
)
@click.option(
    "--rate",
    type=int,
    metavar="HZ",
    help="Of --stream: rate of bare samples; others than the model's are resampled.  "
    "[default: that of the training; a WAV says its own]",
)
@click.option(
    "--batch",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Examples run at once: more per second, each one later.",
)
@click.option(
    "--out",
    type=PATH,
    metavar="FILE",
    help="Of a network whose output is a series: write the series of all inputs to a .npz file.",
)
@THREADS
@JSON
def infer(
    model: str,
    inputs: tuple[str, ...],
    stream: bool,
    form: str | None,
    hop: float | None,
    rate: int | None,
    batch: int,
    out: str | None,
    threads: int | None,
    as_json: bool,
) -> None:
    """Classify each INPUT with MODEL and print label and confidence.

    Of a network whose output is a series, the series are written with --out or --json: `series`
    (N, K, steps), `names` (N,), `outputs` (K,) and `dt` [ms].

    MODEL is a bundle, a NIR file, a folder of a GeNN export, a run, or a network that comes with
    the package: digits-demo, fsdd-demo, words-demo. INPUT is a WAV, .npy, .npz or event .h5 file,
    or a folder of them. --json --stream prints one line per prediction.
    """
    from mlgenn_delays.errors import InputError
    from mlgenn_delays.export.model import load

    if stream == bool(inputs):
        raise InputError("give either files to run on or --stream for standard input")
    if not stream and any(each is not None for each in (form, hop, rate)):
        raise InputError(
            "--form, --hop and --rate must come with --stream; leave them out, or add it"
        )
    if stream and batch != 1:
        raise InputError(
            f"--batch has no effect with --stream, got {batch}: each window is run as soon as it "
            "is complete; leave --batch out"
        )
    began = perf_counter()
    with later():
        found = load(model, threads=threads)
        _check_out(found, out, as_json, stream)
        watch = _Watch(1000 * (perf_counter() - began), "run" if found.series else "classified")
        found.warm_up()
    if stream:
        _stream(found, {"form": form, "hop_ms": hop, "rate": rate}, watch, as_json)
    else:
        failed = _files(found, inputs, batch, watch, as_json, out)
        if failed:
            raise InputError(f"{failed} of the inputs could not be used, as said above")


def _check_out(model: "Model", out: str | None, as_json: bool, stream: bool) -> None:
    """Reject series that would go nowhere, and a file of series where there are none."""
    from pathlib import Path

    from mlgenn_delays.errors import InputError
    from mlgenn_delays.files import check_writable

    if model.series and out is None and not as_json:
        raise InputError(
            "--out FILE.npz or --json must come with a network whose output is a series, got "
            "neither; give one of them"
        )
    if out is None:
        return
    if stream:
        raise InputError(
            f"--out must come without --stream, got {out!r}; take --json, which prints the series "
            "of each window"
        )
    if not model.series:
        raise InputError(
            f"--out must come with a network whose output is a series, got {out!r} with one of "
            "classes; leave it out, or take --json"
        )
    path = Path(out)
    if path.suffix != ".npz" or path.is_dir():
        raise InputError(f"--out must be a .npz file, got {out!r}")
    try:
        check_writable(path.absolute().parent)
    except OSError as error:
        raise InputError(
            f"cannot write {path}: {error.strerror or error}; choose another place with --out"
        ) from error


class _Watch:
    """Times of the examples that were run [ms]; `load` is that of the model.

    `done` is what was done to them: "classified", or "run" for series.
    """

    def __init__(self, load: float, done: str) -> None:
        self.load, self.done = load, done
        self.read: list[float] = []
        self.encode: list[float] = []
        self.network: list[float] = []
        self.warned = 0

    def summary(self) -> dict[str, Any]:
        """Medians and the 95th percentile per example [ms]."""
        import numpy as np

        if not self.network:
            return {"load_ms": round(self.load, 1), "examples": 0}
        whole = np.sum([self.read, self.encode, self.network], axis=0)
        return {
            "load_ms": round(self.load, 1),
            "examples": len(self.network),
            "median_ms": round(float(np.median(whole)), 3),
            "p95_ms": round(float(np.percentile(whole, 95)), 3),
            "read_ms": round(float(np.median(self.read)), 3),
            "encode_ms": round(float(np.median(self.encode)), 3),
            "network_ms": round(float(np.median(self.network)), 3),
        }

    def line(self) -> str:
        times = self.summary()
        if not times["examples"]:
            return f"nothing was {self.done}; loading took {times['load_ms']:g} ms"
        warned = f", {self.warned} with a warning" * bool(self.warned)
        return (
            f"{times['examples']} {self.done}{warned}, median {times['median_ms']:g} ms per "
            f"example (reading {times['read_ms']:g}, encoding {times['encode_ms']:g}, network "
            f"{times['network_ms']:g}), 95 % within {times['p95_ms']:g} ms; loading took "
            f"{times['load_ms']:g} ms"
        )


def _files(
    model: "Model",
    inputs: tuple[str, ...],
    at_once: int,
    watch: _Watch,
    as_json: bool,
    out: str | None,
) -> int:
    """Classify files; return how many could not be used."""
    from mlgenn_delays.errors import InputError

    paths = model.reader.files(inputs)
    at_once = min(at_once, model.most_at_once)
    predictions: list[dict[str, Any]] = []
    series: list[Series] = []
    failed = 0
    waiting: deque[Any] = deque()
    for path in paths:
        began = perf_counter()
        try:
            items = model.reader.read(path)
        except InputError as error:
            if len(paths) == 1:
                raise
            failed += 1
            say(f"error: {one_line(str(error))}", err=True)
            predictions.append({"input": str(path), "error": str(error)})
            continue
        spent = 1000 * (perf_counter() - began)
        watch.read += [spent / max(1, len(items))] * len(items)
        waiting += items
        while len(waiting) >= at_once:
            some = [waiting.popleft() for _ in range(at_once)]
            predictions += _predict(model, some, watch, as_json, series)
    if waiting:
        predictions += _predict(model, list(waiting), watch, as_json, series)
    if out is not None:
        _write(model, series, out)
    if as_json:
        say_json({"predictions": predictions, "latency": watch.summary()})
    else:
        say(watch.line(), err=True)
    return failed


def _write(model: "Model", series: list["Series"], out: str) -> None:
    """Write series to a .npz file."""
    from io import BytesIO
    from pathlib import Path

    import numpy as np

    from mlgenn_delays.files import write_atomic

    content, empty = BytesIO(), np.zeros((0, len(model.labels), model.about.n_steps), np.float32)
    np.savez(
        content,
        series=np.stack([each.values for each in series]) if series else empty,
        names=np.array([each.name for each in series], dtype=str),
        outputs=np.array(model.labels, dtype=str),
        dt=np.array(model.reader.dt),
    )
    write_atomic(Path(out), content.getvalue())
    say(f"series of {len(series)} inputs: {out}", err=True)


def _predict(
    model: "Model", items: list[Any], watch: _Watch, as_json: bool, series: list["Series"]
) -> list[dict[str, Any]]:
    from mlgenn_delays.export.model import Prediction, Series

    began = perf_counter()
    batch = model.reader.as_batch(items)
    encoded = perf_counter()
    predictions = model.predict_batch(items, batch)
    watch.encode += [1000 * (encoded - began)] * len(items)
    watch.network += [1000 * (perf_counter() - encoded)] * len(items)
    watch.warned += sum(bool(each.warning) for each in predictions)
    series += [each for each in predictions if isinstance(each, Series)]
    if not as_json:
        for each in predictions:
            if isinstance(each, Prediction):
                say(each.name, each.label, f"{100 * each.confidence:.1f} %")
            if each.warning:
                say_prose(f"warning: {each.name}: {each.warning}", err=True)
        return []
    return [_described(model, each) for each in predictions]


def _described(model: "Model", prediction: "Prediction | Series") -> dict[str, Any]:
    from mlgenn_delays.export.model import Prediction

    told: dict[str, Any]
    if isinstance(prediction, Prediction):
        told = {
            "label": prediction.label,
            "confidence": round(prediction.confidence, 6),
            "probabilities": [round(float(p), 6) for p in prediction.probabilities],
        }
    else:
        rows = zip(model.labels, prediction.values, strict=True)
        told = {"series": {name: [round(float(v), 6) for v in row] for name, row in rows}}
    return {
        "input": prediction.name,
        **told,
        "cut": round(prediction.cut, 6),
        "events": prediction.events,
        "warning": prediction.warning,
    }


def _stream(model: "Model", options: dict[str, Any], watch: _Watch, as_json: bool) -> None:
    from mlgenn_delays.export.stream import windows

    stream = getattr(sys.stdin, "buffer", None)  # there is no stdin if it was closed
    taken = options["rate"] or model.reader.sample_rate
    if taken and options["form"] in (None, "pcm") and not as_json:
        say(f"taking bare samples to have {taken} Hz (--rate); a WAV says its own rate", err=True)
    for item in windows(stream, model.reader, **options):
        watch.read.append(0.0)
        for row in _predict(model, [item], watch, as_json, []):
            spent = watch.encode[-1] + watch.network[-1]
            say_json(row | {"latency_ms": round(spent, 3)})
        if sys.stdout is not None:
            sys.stdout.flush()
    if not as_json:
        say(watch.line(), err=True)
