"""Names and labels in the C program."""

from dataclasses import dataclass

from mlgenn_delays.export.c.text import string, string_bytes


@dataclass(frozen=True)
class Strings:
    """The texts that the program holds.

    Attributes:
        labels: Of the classes.
        populations: Names of those that spike.
    """

    labels: tuple[str, ...]
    populations: tuple[str, ...]

    @property
    def bytes(self) -> int:
        """Their size: every text takes the place of the longest, so that no pointers are needed."""
        return sum(width(texts) * len(texts) for texts in (self.labels, self.populations))

    def definitions(self, prefix: str) -> str:
        """Return the definitions of the arrays."""
        return _define(f"{prefix}_labels", self.labels) + (
            _define(f"{prefix}_populations", self.populations) if self.populations else ""
        )

    def declarations(self, prefix: str) -> str:
        """Return the declarations of the arrays."""
        lines = [_declare(f"{prefix}_labels", self.labels)]
        if self.populations:
            lines.append(_declare(f"{prefix}_populations", self.populations))
        return "".join(f"extern {line};\n" for line in lines)


def width(texts: tuple[str, ...]) -> int:
    """Return the bytes of the longest text with its end."""
    return max((len(string_bytes(text)) + 1 for text in texts), default=0)


def _declare(name: str, texts: tuple[str, ...]) -> str:
    return f"const char {name}[{len(texts)}][{width(texts)}]"


def _define(name: str, texts: tuple[str, ...]) -> str:
    lines = "".join(f"    {string(text)},\n" for text in texts)
    return f"{_declare(name, texts)} = {{\n{lines}}};\n"
