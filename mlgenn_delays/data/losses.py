"""What examples lose when they become trials, counted and said in one place.

An event after the end of the trial is cut, events of a channel in the same step are merged, and
an example of which nothing is left is empty. A few of them are as it should be; many are mostly
times in another unit than ms, or a trial of the wrong length.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

MUCH = 0.2  # share from which on it is a warning
_EVENTS, _CUT, _MERGED, _LENGTH, _KEPT = range(5)
WIDTH = 5
_SECONDS = 20.0  # [ms]; shorter examples, or trials, are likely to be in seconds
_FEW_STEPS = 3
_SEVERAL = 10  # events; fewer may well be together
_PART = 0.02  # of a trial


@dataclass(frozen=True, eq=False)
class Losses:
    """What N examples were before they became trials, and what of it is left.

    Attributes:
        table: (N, 5) float64: events given; those cut; those merged; length [ms], which of events
            is the time of the last; what is left: spikes, or 1 for currents other than 0. Sound
            and sampled values are no events: they have 0 of them, and a length.
    """

    table: np.ndarray

    @staticmethod
    def of_lengths(lengths: Sequence[float] | np.ndarray, kept: Any) -> "Losses":
        """Return those of examples without events.

        Lengths (N,) are those before they were cut or padded [ms]; `kept` (N,) are the spikes left,
        or whether a current is other than 0.
        """
        table = np.zeros((len(kept), WIDTH))
        table[:, _LENGTH], table[:, _KEPT] = lengths, kept
        return Losses(table)

    @staticmethod
    def of_batch(lengths: Sequence[float] | np.ndarray, batch: Any) -> "Losses":
        """Return those of the examples, without events, of a batch or of data; see `of_lengths`."""
        return Losses.of_lengths(lengths, left_of(batch))

    @staticmethod
    def of_events(events: int, cut: int, merged: int, last: float) -> "Losses":
        """Return those of one example of events, of which the last was at `last` [ms]."""
        return Losses(np.array([[events, cut, merged, last, events - cut - merged]], np.float64))

    @staticmethod
    def together(parts: Iterable["Losses"]) -> "Losses":
        """Return those of several groups of examples, one after the other."""
        return Losses(np.concatenate([np.zeros((0, WIDTH)), *(each.table for each in parts)]))

    def __len__(self) -> int:
        return len(self.table)

    def leaving(self, kept: np.ndarray) -> "Losses":
        """Return the same with what is left, (N,), which was not known before."""
        table = self.table.copy()
        table[:, _KEPT] = kept
        return Losses(table)

    def take(self, rows: np.ndarray) -> "Losses":
        """Return those of some examples."""
        return Losses(self.table[rows])

    @property
    def lengths(self) -> np.ndarray:
        """(N,) length before examples were cut or padded [ms]."""
        return self.table[:, _LENGTH]

    @property
    def empty(self) -> np.ndarray:
        """(N,) whether nothing is left."""
        return self.table[:, _KEPT] == 0

    def shares(self, trial: float) -> dict[str, Any]:
        """Return the losses, with trials of so many ms, in a form that JSON can hold.

        They are the share of the events (of the time, of data without events) that was "cut", the
        share of the events that was "merged", how many examples are "empty", and how many "events"
        there were, None in data without.
        """
        events, cut, merged = self.table[:, [_EVENTS, _CUT, _MERGED]].sum(axis=0)
        if not events:
            cut = np.maximum(self.lengths - trial, 0.0).sum()
        whole = events or self.lengths.sum() or 1.0
        return {
            "cut": float(cut / whole),
            "merged": float(merged / whole),
            "empty": int(self.empty.sum()),
            "events": int(events) if self._has_events else None,
        }

    @property
    def _has_events(self) -> bool:
        """Whether the data are events; those of examples without any have no length either."""
        return bool(self.table[:, _EVENTS].any() or not self.lengths.any())

    def sentence(self, trial: float) -> str:
        """Describe the losses, with trials of so many ms; an empty text for none."""
        found = self.shares(trial)
        noun = "events" if self._has_events else "time"
        parts = [
            f"{percent(found['cut'])} of the {noun} cut (after the end of the trial of "
            f"{trial:g} ms)"
            if found["cut"]
            else "",
            f"{percent(found['merged'])} merged (of one channel in one step)"
            if found["merged"]
            else "",
            f"{found['empty']:,} of {len(self):,} examples empty" if found["empty"] else "",
        ]
        return ", ".join(part for part in parts if part)

    def warning(self, trial: float, dt: float, *, trained: bool = False) -> str:
        """Return a warning with its likely reason; an empty text for none.

        If the network is `trained`, the length of the trial [ms] cannot be chosen any more.
        """
        found, n = self.shares(trial), len(self)
        noun = "events" if self._has_events else "time"
        merged = found["merged"] > MUCH
        # Half a step: that much of a trial may be rounded away.
        n_cut = 0 if self._has_events else int((self.lengths > trial + dt / 2).sum())
        many = n_cut > MUCH * n and n > 1 and not trained
        cut = many or found["cut"] > MUCH
        empty = found["empty"] > MUCH * n
        longest = float(self.lengths.max(initial=0.0))
        # In data of another unit all may be in the first steps, and yet nothing merged or cut.
        crowded = (found["events"] or 0) >= _SEVERAL and longest < (
            _FEW_STEPS * dt if trained else max(_FEW_STEPS * dt, _PART * trial)
        )
        said = [
            f"{n_cut:,} of {n:,} examples are longer than the trial of {trial:g} ms and cut, "
            f"{percent(found['cut'])} of the time" * many,
            f"{percent(found['cut'])} of the {noun} {'are' if noun == 'events' else 'is'} cut, "
            f"after the end of the trial of {trial:g} ms" * (cut and not many),
            f"{percent(found['merged'])} of the events are merged, for a channel spikes at most "
            f"once per step of {dt:g} ms" * merged,
            f"all events are within {_number(longest)} ms of the trial of {trial:g} ms" * crowded,
            self._nothing_left(found["empty"]) * empty,
        ]
        if not any(said):
            return ""
        text = ", and ".join(part for part in said if part)
        remedy = ""
        if cut:
            remedy = self._too_long(trial, longest, trained)
        elif crowded or merged:
            remedy = self._too_crowded(longest, trained)
        return text + (f"; {remedy}" if remedy else "")

    def _nothing_left(self, empty: int) -> str:
        if len(self) == 1:
            return "nothing of it is left: the network gets no input, and still predicts"
        return f"{empty:,} of {len(self):,} examples are empty: the network gets no input"

    def _too_long(self, trial: float, longest: float, trained: bool) -> str:
        median = float(np.median(self.lengths))
        lasts = f"it lasts {_number(longest)} ms"
        if len(self) > 1:
            spread = f"{_number(self.lengths.min())} to {_number(longest)} ms"
            lasts = f"examples last {spread}, median {_number(median)}"
        if trained:
            unit = " if its times are not ms, convert them" if self._has_events else ""
            return f"{lasts}: cut it into trials" + (f";{unit}" if unit else "")
        if median > 10 * trial and trial <= _SECONDS:
            return (
                f"{lasts}: data.duration is in ms; if {trial:g} was meant as seconds, set "
                f"data.duration = {1000 * trial:g}"
            )
        if median > 10 * trial and self._has_events:
            return (
                f"{lasts}: if these are microseconds, divide them by 1000, or set "
                "data.time_unit = 0.001"
            )
        return f"{lasts}: set data.duration = {np.ceil(longest):g} to keep all"

    def _too_crowded(self, longest: float, trained: bool) -> str:
        reach = f"times reach {_number(longest)}"
        if longest <= _SECONDS:
            key = "" if trained else ", or set data.time_unit = 1000"
            return f"{reach}: if these are seconds, multiply them by 1000{key}"
        return "" if trained else f"{reach}: a shorter network.dt, or more channels, keep more"


def warnings_of(splits: Mapping[str, Losses], trial: float, dt: float) -> list[str]:
    """Return the warnings about a data set by its splits: one if it holds for the whole."""
    whole = Losses.together(splits.values()).warning(trial, dt)
    if whole:
        return [whole]
    found = {split: losses.warning(trial, dt) for split, losses in splits.items()}
    return [f"{split}: {text}" for split, text in found.items() if text]


def left_of(batch: Any) -> np.ndarray:
    """Return each example's number of spikes, or whether it has a current other than 0, (N,)."""
    if hasattr(batch, "values"):
        return batch.values.any(axis=(1, 2))
    return batch.start[:, -1] - batch.start[:, 0]


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def percent(share: float) -> str:
    """Return a share in words."""
    return f"{100 * share:.1f} %" if share >= 0.001 or not share else "less than 0.1 %"
