"""All that can be said of a run: how it began, what emerged, what its neurons do."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mlgenn_delays.analysis.activity import Activity, activity
from mlgenn_delays.analysis.afferents import Afferents, Places
from mlgenn_delays.analysis.changes import Balance, Moved, balance, moved
from mlgenn_delays.analysis.clusters import Clusters, clusters
from mlgenn_delays.analysis.grouping import Shuffled, check_permutations, grouping
from mlgenn_delays.analysis.lifetimes import Lifetimes, lifetimes
from mlgenn_delays.analysis.neighbours import Reach
from mlgenn_delays.analysis.survival import Across, Staying, across, staying
from mlgenn_delays.errors import InputError
from mlgenn_delays.network import Network, Projection
from mlgenn_delays.runs.run import Run

# The course of a training is tested at so many epochs, with fewer shuffles and pairs; so are
# clusters, which take longest, with fewer shuffles.
COURSE, COURSE_SHUFFLES, COURSE_BUDGET = 12, 199, 1_000_000


@dataclass(frozen=True)
class Settings:
    """How a run is analysed.

    Attributes:
        permutations: Shuffles of each test; clusters are tested with `COURSE_SHUFFLES` at most, the
            epochs of the course with as many.
        seed: Seed of shuffling.
        reach_space: How far neighbours are apart at most along each axis of space [places]; None
            for a twentieth of it.
        reach_time: In delay [ms]; None for a tenth of the range that the delays span.
        strongest: Share of each neuron's synapses that count, those of the largest weights.

    Raises:
        InputError: A setting is off.
    """

    permutations: int = 999
    seed: int = 0
    reach_space: int | None = None
    reach_time: float | None = None
    strongest: float = 1.0

    def __post_init__(self) -> None:
        check_permutations(self.permutations)
        if not self.seed >= 0:
            raise InputError(f"seed must be >= 0, got {self.seed!r}")
        for name, value in (("space", self.reach_space), ("time", self.reach_time)):
            if value is not None and not 0 <= value < math.inf:
                raise InputError(f"reach_{name} must be >= 0 and finite, got {value!r}")
        if not 0 < self.strongest <= 1:
            raise InputError(f"strongest must be a share in (0, 1], got {self.strongest!r}")


@dataclass(frozen=True)
class Structure:
    """The synapses of a projection at one time.

    Attributes:
        projection: The projection.
        afferents: Its synapses by postsynaptic neuron.
        grouping: Whether excitation and inhibition group.
        clusters: How large the groups are.
        balance: Excitation and inhibition onto each neuron.
    """

    projection: Projection
    afferents: Afferents
    grouping: Shuffled
    clusters: Clusters
    balance: Balance


@dataclass(frozen=True)
class Emerged:
    """What emerged in a projection.

    Attributes:
        places: Where presynaptic neurons lie, None where they have no order.
        before: Before the first epoch, None if the run did not keep that.
        after: After training.
        moved: What training did to the synapses there before and after, None as `before`.
        course: Grouping by epoch that was kept, the start included, in order.
        lifetimes: How synapses come and go, None if the run did not keep its course or none went.
        across: By kept epoch up to the analysed one, how its synapses agree with those near them
            in the analysed network, by kind of pair; empty where no synapse went.
        staying: As `across`, which of an epoch's synapses are there in the analysed network.
    """

    places: Places | None
    before: Structure | None
    after: Structure
    moved: Moved | None
    course: dict[int, Shuffled]
    lifetimes: Lifetimes | None
    across: dict[int, dict[str, Across]]
    staying: dict[int, Staying]


@dataclass(frozen=True)
class Analysis:
    """What can be said of a run.

    Attributes:
        run: The run directory.
        recipe: Name of the recipe.
        checkpoint: ``"best"`` or ``"last"``, the network that is looked at.
        epoch: Its epoch, None if the run does not say.
        network: The network.
        settings: How it was analysed.
        projections: By name, those whose synapses have delays.
        split: Of `activity`.
        activity: What neurons do, None without data.
    """

    run: Path
    recipe: str
    checkpoint: str
    epoch: int | None
    network: Network
    settings: Settings
    projections: dict[str, Emerged]
    split: str
    activity: Activity | None


def analyse(
    run: Run,
    *,
    folder: str | None = None,
    split: str = "validation",
    checkpoint: str = "best",
    with_data: bool = True,
    threads: int | None = None,
    settings: Settings | None = None,
) -> Analysis:
    """Analyse a run.

    Arguments:
        run: The run.
        folder: Folder of the data; None for that of the training.
        split: The split whose examples the network answers.
        checkpoint: ``"best"`` or ``"last"``.
        with_data: Whether to load the data; without, nothing is said of spikes.
        threads: Threads, all cores if None; results do not depend on it.
        settings: How; the defaults if None.

    Raises:
        InputError: The run has no finished epoch or is damaged, the data cannot be used, or a
            setting is off.

    Example:
        >>> from mlgenn_delays.analysis import Settings, analyse
        >>> from mlgenn_delays.runs.run import Run
        >>> analysis = analyse(Run("run"), settings=Settings(permutations=19))
        >>> analysis.projections["input->hidden1"].after.grouping.permutations
        19
    """
    settings = settings or Settings()
    network = Network.load(run.directory.network_path(checkpoint))
    active = _activity(run, network, folder, split, threads) if with_data else None
    course = _course(run, network)
    epoch = _epoch(run, checkpoint)
    axes = run.space()
    found = {}
    for name, projection in network.projections.items():
        if projection.max_delay > 0 and projection.learns_delay:
            source = network.populations[projection.source]
            of_input = projection.source == network.input().name
            places = Places.of(axes, source.n) if of_input else None
            past = {epoch: each.projections[name] for epoch, each in course.items()}
            n_post = network.populations[projection.target].n
            found[name] = _emerged(projection, n_post, places, past, epoch, settings)
    return Analysis(
        run.directory.path, run.recipe.name, checkpoint, epoch, network, settings, found, split,
        active,
    )  # fmt: skip


def _course(run: Run, network: Network) -> dict[int, Network]:
    """The networks that the run kept over its training, by epoch, in order."""
    out = {}
    for epoch, path in run.snapshots().items():
        then = Network.load(path)
        shapes = [
            {
                name: (len(p.indptr), each.populations[p.target].n)
                for name, p in each.projections.items()
            }
            for each in (network, then)
        ]
        if shapes[0] != shapes[1]:
            raise InputError(
                f"{path} must have the populations and projections of the run's network, got "
                "others; remove the file"
            )
        out[epoch] = then
    return out


def _epoch(run: Run, checkpoint: str) -> int | None:
    found = run.directory.load_checkpoint()
    if found is None:
        return None
    return found.history.best_epoch if checkpoint == "best" else found.epoch


def _activity(
    run: Run, network: Network, folder: str | None, split: str, threads: int | None
) -> Activity | None:
    from mlgenn_delays.engines.compile import compile_network
    from mlgenn_delays.recipe import build_loss, build_rule, load_data
    from mlgenn_delays.runs.run import check_labels
    from mlgenn_delays.training.checks import check_data

    splits = load_data(run.recipe, run.folder(folder))
    there = [name for name, each in splits.items() if len(each)]
    if split not in there:
        raise InputError(
            f"the data must have examples of the split {split!r}, got "
            f"{', '.join(there) or 'none'}; choose one with --split, or leave the data out with "
            "--without-data"
        )
    data, task = splits[split], run.task()
    if task is not None:
        check_labels(task.labels, data)
    loss = build_loss(run.recipe)
    check_data(network, loss, "data", data)
    compiled = compile_network(
        network, build_rule(run.recipe), loss=loss, total_steps=1, threads=threads, learns=False
    )
    return activity(compiled, data)


def _emerged(
    projection: Projection,
    n_post: int,
    places: Places | None,
    past: Mapping[int, Projection],
    analysed: int | None,
    settings: Settings,
) -> Emerged:
    delay, space = projection.delay_per_synapse(), settings.reach_space
    reach = Reach.of(places, delay, space if places else None, settings.reach_time)
    after = _structure(projection, n_post, places, reach, settings)
    start = past.get(0)
    before = None if start is None else _structure(start, n_post, places, reach, settings)
    lives = lifetimes(past) if len(past) > 1 else None
    rewired = lives if lives is not None and lives.rewired else None
    found = Emerged(
        places, before, after, None if start is None else moved(start, projection), {}, rewired,
        {}, {},
    )  # fmt: skip
    for epoch in _some(list(past)):
        then = Afferents.of(past[epoch], n_post, settings.strongest)
        _add_epoch(found, epoch, then, analysed, settings)
    return found


def _add_epoch(
    found: Emerged, epoch: int, then: Afferents, analysed: int | None, settings: Settings
) -> None:
    places, now = found.places, found.after
    reach, seed = now.grouping.reach, settings.seed
    found.course[epoch] = grouping(
        then, places, reach=reach, permutations=COURSE_SHUFFLES, seed=seed, budget=COURSE_BUDGET
    )
    # Later than the analysed network, what stays and what came would be the wrong way round.
    if found.lifetimes is not None and (analysed is None or epoch <= analysed):
        found.across[epoch] = across(
            then, now.afferents, places, reach=reach, permutations=COURSE_SHUFFLES, seed=seed
        )
        found.staying[epoch] = staying(then, now.afferents, places, reach=reach)


def _structure(
    projection: Projection,
    n_post: int,
    places: Places | None,
    reach: Reach,
    settings: Settings,
) -> Structure:
    own = Afferents.of(projection, n_post, settings.strongest)
    shuffles, seed = settings.permutations, settings.seed
    return Structure(
        projection,
        own,
        grouping(own, places, reach=reach, permutations=shuffles, seed=seed),
        clusters(own, places, reach=reach, permutations=min(COURSE_SHUFFLES, shuffles), seed=seed),
        balance(Afferents.of(projection, n_post)),
    )


def _some(epochs: list[int]) -> list[int]:
    """A few epochs, evenly spread, the first and the last among them."""
    if len(epochs) <= COURSE:
        return epochs
    return [epochs[k] for k in np.linspace(0, len(epochs) - 1, COURSE).round().astype(int)]
