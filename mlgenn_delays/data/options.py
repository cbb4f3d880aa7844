"""The options of each data set: frozen settings that check themselves."""

from dataclasses import dataclass

from mlgenn_delays.data.dataset import Space
from mlgenn_delays.data.encode.base import ENCODERS, Encoder
from mlgenn_delays.data.encode.mel import MelSettings
from mlgenn_delays.data.encode.rate import RateEncoder
from mlgenn_delays.data.option_checks import check_flag, check_number, check_word
from mlgenn_delays.data.sets.shd_files import N_CHANNELS, check_channels
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

    @property
    def space(self) -> Space:
        """How channels lie to each other: as pixels."""
        return (("row", 8), ("column", 8))


@dataclass(frozen=True)
class RecordingOptions:
    """Options of a data set of recordings, see `load_fsdd` and `load_fsdd_frames`.

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
    def space(self) -> Space:
        """How channels lie to each other: as bands, whatever their threshold or level."""
        return (("mel band", self.mel.n_bands),)

    @property
    def sample_rate(self) -> int:
        """Rate that recordings are brought to [Hz]."""
        return self.mel.sample_rate

    @property
    def n_channels(self) -> int:
        """The mel bands, or what the encoder makes of them."""
        spikes = self.encoding == "spikes"
        return self.encoder.n_channels(self.mel.n_bands) if spikes else self.mel.n_bands


@dataclass(frozen=True)
class FsddOptions(RecordingOptions):
    """Options of FSDD."""


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

    @property
    def space(self) -> Space:
        """How channels lie to each other: as bands."""
        return (("mel band", 0),)


@dataclass(frozen=True)
class SscOptions:
    """Options of SSC, see `load_ssc`."""

    encoding: str = "spikes"
    duration: float = 1000.0
    channels: int = N_CHANNELS
    stream: bool = True

    def __post_init__(self) -> None:
        _check_encoding(self.encoding, "spikes", "currents")
        check_number("duration", self.duration, 0.0, 1e9, unit="ms", open_low=True)
        check_channels(self.channels)
        check_flag("stream", self.stream)
        if self.stream and self.encoding == "currents":
            raise InputError(
                "stream must have false with encoding 'currents', got true: only spikes are "
                "streamed; all examples then take 4 bytes a step and channel in memory"
            )

    @property
    def group(self) -> int:
        """Channels within which a shift makes sense: all there are."""
        return 0

    @property
    def space(self) -> Space:
        """How channels lie to each other: along the cochlea."""
        return (("channel", 0),)


@dataclass(frozen=True)
class ShdOptions(SscOptions):
    """Options of SHD, see `load_shd`."""

    stream: bool = False
    validation: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("validation", self.validation, 0.0, 0.9)


@dataclass(frozen=True)
class GeneratedOptions:
    """Options of every generated data set: numbers of examples, their seed, length of a trial."""

    train: int = 1000
    validation: int = 500
    test: int = 500
    seed: int = 0
    duration: float = 60.0
    encoding: str = "spikes"

    def __post_init__(self) -> None:
        _check_encoding(self.encoding, "spikes")
        for name in ("train", "validation", "test"):
            check_number(name, getattr(self, name), 1, 10_000_000, integer=True)
        check_number("seed", self.seed, 0, 2**53, integer=True)
        check_number("duration", self.duration, 0.0, 1e9, unit="ms", open_low=True)

    @property
    def group(self) -> int:
        """Channels within which a shift makes sense: none does."""
        return 1

    @property
    def space(self) -> Space:
        """How channels lie to each other: not at all."""
        return ()


@dataclass(frozen=True)
class YinYangOptions(GeneratedOptions):
    """Options of Yin-Yang, see `mlgenn_delays.data.sets.yin_yang`: times of the values 0 and 1."""

    train: int = 5000
    validation: int = 1000
    test: int = 1000
    early: float = 10.0
    late: float = 40.0
    bias: float = 20.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("late", self.late, 0.0, self.duration, unit="ms", open_low=True)
        check_number("early", self.early, 0.0, self.late, unit="ms")
        check_number("bias", self.bias, 0.0, self.duration, unit="ms")
        if self.early == self.late:
            raise InputError(
                f"early must have a time before late = {self.late:g} ms, got {self.early!r}; "
                "else all values are alike"
            )


@dataclass(frozen=True)
class SequenceOptions(GeneratedOptions):
    """Options of the sequences, see `mlgenn_delays.data.sets.sequence`.

    The gap is uniform over ``gap_min..gap_max``, a spike up to ``jitter`` earlier or later, and
    all have come by ``window`` [ms].
    """

    channels: int = 1
    gap_min: float = 2.0
    gap_max: float = 20.0
    jitter: float = 0.0
    window: float = 40.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("channels", self.channels, 1, 100_000, integer=True)
        check_number("window", self.window, 0.0, self.duration, unit="ms", open_low=True)
        check_number("gap_max", self.gap_max, 0.0, self.window, unit="ms", open_low=True)
        check_number("gap_min", self.gap_min, 0.0, self.gap_max, unit="ms", open_low=True)
        # Less than half the shortest gap: the order stays. And there must be room for the longest.
        most = min(self.gap_min, self.window - self.gap_max) / 2
        check_number("jitter", self.jitter, 0.0, most, unit="ms")

    @property
    def group(self) -> int:
        """Channels within which a shift makes sense: one of the two groups."""
        return self.channels


@dataclass(frozen=True)
class CoincidenceOptions(GeneratedOptions):
    """Options of the coincidences, see `mlgenn_delays.data.sets.coincidence`.

    Planted delays are uniform over ``0..delay_max``, the base over ``0..base_max``, a spike is up
    to ``jitter`` earlier or later [ms], and ``noise`` is a rate a channel [Hz].
    """

    patterns: int = 5
    channels: int = 10
    delay_max: float = 20.0
    base_max: float = 20.0
    jitter: float = 0.5
    noise: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("patterns", self.patterns, 2, 10_000, integer=True)
        check_number("channels", self.channels, 2, 100_000, integer=True)
        for name, low in (("delay_max", True), ("base_max", False), ("jitter", False)):
            check_number(name, getattr(self, name), 0.0, 1e9, unit="ms", open_low=low)
        check_number("noise", self.noise, 0.0, 1e4, unit="Hz")
        needed = self.base_max + self.delay_max + 2 * self.jitter
        if needed > self.duration:
            raise InputError(
                f"duration must have at least base_max + delay_max + 2 jitter = {needed:g} ms, "
                f"got {self.duration:g} ms; lengthen it or shorten these"
            )


def _check_encoding(value: object, *known: str) -> None:
    """Require an encoding that the data set has."""
    check_word("encoding", value, known)
