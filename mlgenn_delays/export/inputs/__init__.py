"""From what a user has in hand to what a network takes; see `Reader`."""

from mlgenn_delays.export.inputs.items import Item, ItemKind
from mlgenn_delays.export.inputs.reader import Reader

__all__ = ["ItemKind", "Item", "Reader"]
