"""The speakers of a corpus by number."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from lhotse.cut import Cut

from speechkit.utils.files import atomic_write

UNNAMED = "unnamed"
"""Who speaks where the manifest does not say."""


class SpeakerTable:
    """Gives each speaker an index, in the order of their names.

    Args:
        names: Of the speakers, each once.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = list(names)
        self._index = {name: index for index, name in enumerate(self.names)}

    @classmethod
    def fit(cls, cuts: Iterable[Cut]) -> SpeakerTable:
        """The table of all who speak in ``cuts``."""
        return cls(sorted({speaker(cut) for cut in cuts}))

    def __len__(self) -> int:
        return len(self.names)

    def __call__(self, cut: Cut) -> int:
        """The index of who speaks in a cut.

        Raises:
            ValueError: The table does not have them.
        """
        name = speaker(cut)
        if name not in self._index:
            raise ValueError(
                f"cut {cut.id}: expected a speaker of the training data ({self._some()}), got {name!r}; leave such cuts out"
            )
        return self._index[name]

    def index(self, name: str) -> int:
        """The index of a speaker.

        Raises:
            ValueError: The table does not have them; the message shows the nearest names.
        """
        if name not in self._index:
            near = difflib.get_close_matches(name, self.names, n=3)
            hint = f"did you mean {' or '.join(map(repr, near))}" if near else f"take one of {self._some()}"
            raise ValueError(f"speaker: expected one of the {len(self)} of the training data, got {name!r}; {hint}")
        return self._index[name]

    def _some(self) -> str:
        return ", ".join(self.names[:8]) + (f" and {len(self) - 8} more" if len(self) > 8 else "")

    def save(self, path: Path) -> None:
        """Write the names as JSON."""
        with atomic_write(path) as file:
            json.dump(self.names, file, ensure_ascii=False, indent=0)
            file.write("\n")

    @classmethod
    def load(cls, path: Path) -> SpeakerTable:
        """Read what :meth:`save` wrote.

        Raises:
            ValueError: The file is missing or damaged.
        """
        try:
            return cls(json.loads(path.read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError) as error:
            reason = "no such file" if isinstance(error, FileNotFoundError) else f"not valid JSON ({error})"
            raise ValueError(f"{path}: expected the names of speakers, got {reason}; restore it, or train again") from None


def speaker(cut: Cut) -> str:
    """The name of who speaks in a cut; :data:`UNNAMED` where the manifest does not say."""
    return next((each.speaker for each in cut.supervisions if each.speaker), UNNAMED)
