"""From what a user has in hand to what a network takes; see `Reader`."""

from mlgenn_delays.export.inputs.reader import Reader
from mlgenn_delays.export.inputs.spec import Item, ItemKind

__all__ = ["ItemKind", "Item", "Reader"]
