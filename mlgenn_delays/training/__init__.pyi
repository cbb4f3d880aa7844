from mlgenn_delays.runs.directory import RunDirectory as RunDirectory
from mlgenn_delays.runs.directory import describe_environment as describe_environment
from mlgenn_delays.runs.history import History as History
from mlgenn_delays.training.initial_weights import InitialWeights as InitialWeights
from mlgenn_delays.training.initial_weights import initialise_weights as initialise_weights
from mlgenn_delays.training.trainer import Trainer as Trainer
