"""Dropout."""

from __future__ import annotations

from torch import nn


class Dropout(nn.Dropout):
    """Inverted dropout: zero each element with probability ``p`` while training, scale the rest by ``1 / (1 - p)``."""
