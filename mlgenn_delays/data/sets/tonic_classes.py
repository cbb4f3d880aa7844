"""Classes of tonic: finding one, its size and labels, and opening it without a traceback.

tonic (https://tonic.readthedocs.io) is imported where one of its data sets is asked for, and not
before: it is an extra, ``pip install "delaysnn[datasets]"``.
"""

import inspect
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from mlgenn_delays.errors import InputError, nearest

# Before that, times of SHD come out wrong under NumPy 2.
_OLDEST = (1, 7)
# What the splits are called where a class has the argument `split`; validation only where it is
# known to be there, for some classes take any other word to mean their test part.
_SPLITS = {"SSC": {"train": "train", "validation": "valid", "test": "test"}}
_TWO_SPLITS = {"train": "train", "test": "test"}
# Without it, a label is a whole sequence of digits.
_ARGUMENTS: dict[str, dict[str, Any]] = {"NTIDIGITS18": {"single_digits": True}}
# What is ours to say, and not for data.arguments.
_OURS = ("save_to", "train", "split", "transform", "target_transform", "transforms")


def find_class(name: str) -> Any:
    """Return a class of tonic, which must be there and not too old."""
    try:
        import tonic
        import tonic.datasets
    except ImportError as error:
        raise InputError(
            f"data set 'tonic:{name}' needs tonic, which cannot be imported ({error}); "
            'install it: pip install "delaysnn[datasets]"'
        ) from error
    version = tuple(int(part) for part in tonic.__version__.split(".")[:2] if part.isdecimal())
    if version and version < _OLDEST:
        raise InputError(
            f"data set 'tonic:{name}' needs tonic 1.7 or later, got {tonic.__version__}; "
            'update it: pip install -U "delaysnn[datasets]"'
        )
    known = sorted(
        each for each in vars(tonic.datasets) if inspect.isclass(getattr(tonic.datasets, each))
    )
    if name not in known:
        raise InputError(
            f"data set 'tonic:{name}' must be a class of tonic.datasets ({', '.join(known)}), "
            f"which has none called {name}{nearest(name, known)}"
        )
    return getattr(tonic.datasets, name)


def class_names(found: Any) -> dict[Any, str] | None:
    """Return the name of each label of a class or an instance, in order; None if it has none."""
    for attribute in ("classes", "class_map"):
        known = getattr(found, attribute, None)
        if isinstance(known, dict) and known:
            return {label: _text(key) for key, label in sorted(known.items(), key=itemgetter(1))}
        if isinstance(known, (list, tuple, np.ndarray)) and len(known):
            return {label: _text(each) for label, each in enumerate(known)}
    return None


def _text(name: Any) -> str:
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)


def splits_of(found: Any, name: str) -> dict[str, dict[str, Any]]:
    """Return the arguments that give each split, "train" alone where a class has no splits."""
    parameters = _parameters(found)
    if "train" in parameters:
        return {"train": {"train": True}, "test": {"train": False}}
    if "split" in parameters:
        named = _SPLITS.get(name, _TWO_SPLITS)
        return {split: {"split": word} for split, word in named.items()}
    return {"train": {}}


def arguments_of(found: Any, name: str, given: dict[str, Any]) -> dict[str, Any]:
    """Return the further arguments of a class, which must take those given."""
    known = [each for each in _parameters(found) if each not in ("self", *_OURS)]
    for key in given:
        if key not in known:
            raise InputError(
                f"data.arguments must be arguments of tonic.datasets.{name} "
                f"({', '.join(known) or 'it has none'}), got {key!r}{nearest(key, known)}"
            )
    return _ARGUMENTS.get(name, {}) | given


def _parameters(found: Any) -> list[str]:
    return list(inspect.signature(found.__init__).parameters)


def open_splits(
    found: Any, name: str, folder: Path, ways: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    """Return the splits of a data set of tonic, downloaded by it if they are not there.

    The folder is where tonic keeps its data, or that of this data set itself, whatever it is
    called; downloads go into it and never beside it. `ways` are what the class is made with for
    each split, besides the folder.
    """
    folder = Path(os.path.abspath(folder))
    tries = []
    # An instance calls its folder after its class.
    for called, place in ((found.__name__, folder), (folder.name, folder.parent)):
        # First without a download: tonic starts one even if only the archive, already unpacked,
        # is gone.
        quiet = type(called, (found,), {"download": lambda self: None})
        opened = {split: _made(quiet, place, folder, way) for split, way in ways.items()}
        tries.append((called, place, opened))
        if not all(isinstance(each, BaseException) for each in opened.values()):
            break
    else:
        del tries[1:]
    called, place, opened = tries[-1]
    loud = type(called, (found,), {})
    return {
        split: _checked(there, partial(_made, loud, place, folder), name, folder, ways[split])
        for split, there in opened.items()
    }


def _checked(
    there: Any, again: Callable[..., Any], name: str, folder: Path, arguments: dict[str, Any]
) -> Any:
    """Return an instance that has its examples, made again with a download if it has none."""
    if not isinstance(there, BaseException):
        if _thinks_incomplete(there):
            warnings.warn(
                f"tonic takes its {name} data in {folder} for incomplete (the archive or files "
                f"are missing); going on with the {len(there)} examples of {_shown(arguments)}",
                stacklevel=2,
            )
        return there
    warnings.warn(
        f"tonic cannot read {name} data in {folder} ({_reason(there)}): it tries to download them",
        stacklevel=2,
    )
    made = again(arguments)
    if not isinstance(made, BaseException):
        return made
    call = ", ".join([repr(str(folder)), *(f"{k}={v!r}" for k, v in arguments.items())])
    raise InputError(
        f"{folder} must have the {name} data ({_shown(arguments)}), which tonic could neither read "
        f"({_reason(there)}) nor download ({_reason(made)}); where there is a network, run "
        f'python -c "import tonic; tonic.datasets.{name}({call})", and copy the folder it makes'
    ) from made


def _made(found: Any, place: Path, folder: Path, arguments: dict[str, Any]) -> Any:
    """Return an instance with examples, all within a folder, or why there is none."""
    try:
        # What tonic prints of its downloads is no result of ours.
        with redirect_stdout(sys.stderr):
            made = found(save_to=str(place), **arguments)
            n = len(made)
    except (Exception, SystemExit) as error:  # one class of tonic leaves Python if data are missing
        return error
    where = Path(getattr(made, "location_on_system", folder))
    if not n or not where.is_relative_to(folder):
        return InputError("there is no example")
    return made


def _thinks_incomplete(made: Any) -> bool:
    """Return whether tonic would have started a download."""
    check = getattr(made, "_check_exists", None)
    try:
        return check is not None and not check()
    except Exception:  # whatever it is, the data could be read
        return False


def _shown(arguments: dict[str, Any]) -> str:
    return ", ".join(f"{key}={value!r}" for key, value in arguments.items()) or "all"


def _reason(error: BaseException) -> str:
    text = " ".join(str(error).split())[:200].rstrip(".")
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def as_label(target: Any, name: str) -> int | str:
    """Return a target of tonic as a label, which must be a class."""
    if isinstance(target, (bytes, str)):
        return _text(target)
    if isinstance(target, (int, np.integer)) or (
        isinstance(target, np.ndarray) and target.ndim == 0 and target.dtype.kind in "iu"
    ):
        return int(target)
    raise InputError(
        f"data set 'tonic:{name}' must have a class for each example, a number or a text, got "
        f"{type(target).__name__}; this one is for another task than classification"
    )


def numbered(
    splits: dict[str, Sequence[int | str]], names: dict[Any, str] | None, name: str
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Return labels as 0..K-1 by split, and the names of the K classes.

    `names` has those of the labels in order; None for the labels that there are, sorted.
    """
    present = {label for labels in splits.values() for label in labels}
    if names is not None and present <= set(names.values()):
        names = {text: text for text in names.values()}  # labels are the names themselves
    if names is None:
        names = {
            label: str(label) for label in sorted(present, key=lambda each: (str(type(each)), each))
        }
    unknown = present - set(names)
    if unknown:
        raise InputError(
            f"data set 'tonic:{name}' must have labels of {len(names)} classes, got "
            f"{sorted(unknown, key=str)[0]!r}; its files are damaged, or of another version"
        )
    if len(names) < 2:
        raise InputError(
            f"data set 'tonic:{name}' must have examples of at least two classes, got "
            f"{', '.join(names.values()) or 'none'}; give all of its files"
        )
    number = {label: place for place, label in enumerate(names)}
    labels = {
        split: np.array([number[label] for label in some], np.int64)
        for split, some in splits.items()
    }
    return labels, tuple(names.values())
