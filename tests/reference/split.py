"""Which examples of one's own data are in which part, one by one and from the rule alone."""

import hashlib
import unicodedata
from collections.abc import Mapping, Sequence


def place(name: str) -> float:
    text = "0 " + unicodedata.normalize("NFC", name)
    digest = hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8).digest()
    return int(digest.hex(), 16) / 2.0**64


def split(
    labels: Sequence[int],
    shares: Mapping[str, float],
    names: Sequence[str],
    groups: Sequence[str] | None = None,
) -> list[str]:
    """Return the part of each example; a part without a class takes one from a later part."""
    who = list(names if groups is None else groups)
    parts = [*(name for name, share in shares.items() if share), "train"]
    of = {}
    for each in set(who):
        bound = 0.0
        of[each] = "train"
        for name in parts[:-1]:
            bound += shares[name]
            if place(each) < bound:
                of[each] = name
                break
    for part in parts:
        for label in sorted(set(labels)):
            own = {each for each, other in zip(who, labels, strict=True) if other == label}
            ranked = sorted(own, key=place)
            held = {p: [each for each in ranked if of[each] == p] for p in parts}
            if held[part]:
                continue
            later = [e for e in ranked if parts.index(of[e]) > parts.index(part)]
            earlier = [p for p in parts[: parts.index(part)] if len(held[p]) > 1]
            if later:
                of[later[0]] = part
            elif earlier:
                of[held[earlier[-1]][-1]] = part
    return [of[each] for each in who]
