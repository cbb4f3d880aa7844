"""The options of each data set: frozen settings that check themselves."""

from dataclasses import dataclass

from mlgenn_delays.data.checks import check_flag, check_number
from mlgenn_delays.data.encode import ENCODERS, Encoder
from mlgenn_delays.data.encode_rate import RateEncoder
from mlgenn_delays.data.mel import MelSettings
from mlgenn_delays.errors import InputError


@dataclass(frozen=True)
class DigitsOptions:
    """Options of the digits, see `load_digits_data`."""

    duration: float = 50.0
    window: float = 30.0
    both: bool = False
    encoding: str = "spikes"

    def __post_init__(self) -> None:
        _check_encoding(self.encoding, "spikes")
        check_number("duration", self.duration, 0.0, 1e9, unit="ms", open_low=True)
        check_number("window", self.window, 0.0, self.duration, unit="ms", open_low=True)
        check_flag("both", self.both)

    @property
    def group(self) -> int:
        """Channels within which a shift makes sense: a row of pixels."""
        return 8


@dataclass(frozen=True)
class FsddOptions:
    """Options of FSDD, see `load_fsdd` and `load_fsdd_frames`.

    ``encoding`` is "spikes", made by ``encoder``, or "currents", multiplied by ``scale``.
    """

    encoding: str = "spikes"
    duration: float = 1000.0
    encoder: Encoder = RateEncoder()
    mel: MelSettings = MelSettings()
    scale: float = 1.0

    def __post_init__(self) -> None:
        _check_encoding(self.encoding, "spikes", "currents")
        check_number("duration", self.duration, 0.0, 1e9, unit="ms", open_low=True)
        check_number("scale", self.scale, 0.0, 1e6, open_low=True)
        if self.encoding == "spikes" and self.scale != 1:
            raise InputError(
                f"scale must have 1 with encoding 'spikes', got {self.scale!r}; it multiplies "
                "currents: set encoding to 'currents', or the gain of the encoder"
            )
        for name, kinds in (("encoder", tuple(ENCODERS.values())), ("mel", (MelSettings,))):
            if not isinstance(getattr(self, name), kinds):
                raise InputError(
                    f"{name} must have one of {', '.join(kind.__name__ for kind in kinds)}, "
                    f"got {getattr(self, name)!r}"
                )

    @property
    def group(self) -> int:
        """Channels within which a shift makes sense: the bands of one threshold or level."""
        return self.mel.n_bands

    @property
    def sample_rate(self) -> int:
        """Rate that recordings are brought to [Hz]."""
        return self.mel.sample_rate


@dataclass(frozen=True)
class RawhdOptions:
    """Options of RawHD, see `load_rawhd`."""

    encoding: str = "currents"
    scale: float = 20.0
    validation: float = 0.1
    duration: float = 0.0

    def __post_init__(self) -> None:
        _check_encoding(self.encoding, "currents")
        check_number("scale", self.scale, 0.0, 1e6, open_low=True)
        check_number("validation", self.validation, 0.0, 0.9)
        check_number("duration", self.duration, 0.0, 1e9, unit="ms")

    @property
    def group(self) -> int:
        """Channels within which a shift makes sense: all there are."""
        return 0


def _check_encoding(value: object, *known: str) -> None:
    """Require an encoding that the data set has."""
    if value not in known:
        raise InputError(f"encoding must have one of {', '.join(known)}, got {value!r}")
