"""From what a user has in hand to what a network takes; see `Reader`."""

from mlgenn_delays.export.inputs.item import Form, Item
from mlgenn_delays.export.inputs.reader import Reader

__all__ = ["Form", "Item", "Reader"]
