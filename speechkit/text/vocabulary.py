"""The facts about token ids that networks, objectives and searches need; texts stay with the tokenizer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class Vocabulary:
    """Which ids there are and what the special ones mean.

    Args:
        size: V, special tokens included.
        blank_id: What frame-synchronous networks give where no token begins.

    Attributes:
        unk_id: What stands for everything that is no token.
    """

    size: int
    blank_id: int = 0
    unk_id: ClassVar[int] = 1

    @property
    def sos_id(self) -> int:
        """What stands before the first token of a sentence; the last id."""
        return self.size - 1

    @property
    def eos_id(self) -> int:
        """What follows the last token of a sentence; the same id as ``sos_id``."""
        return self.size - 1
