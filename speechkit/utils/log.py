"""One line for people: where messages go, and how they look. Progress bars live in ``train/logger.py``."""

from __future__ import annotations

import sys


def info(message: str) -> None:
    """Say something on the error stream, so that results on the standard output stay clean for pipes."""
    print(message, file=sys.stderr, flush=True)


def warn(message: str) -> None:
    """Say that something was not as it should be, but that the run goes on."""
    info(f"warning: {message}")
