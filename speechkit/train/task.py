"""What the trainer sees of a task. It imports no model, objective or search."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import torch
from torch import Tensor, nn

Losses = dict[str, Tensor]  # name -> (N,) one value per utterance, not yet weighted


class Batch(Protocol):
    """A frozen dataclass with lengths beside every padded tensor."""

    ids: list[str]
    amounts: dict[str, float]
    """How much of what training goes through is in it, by the name in the log: ``{"audio_seconds": 12.3}``."""
    padding: float
    """Share of it that is padding, in [0, 1)."""

    def __len__(self) -> int:
        """Number of utterances."""

    def to(self, device: torch.device) -> Batch:
        """The same batch on ``device``."""


class Batches(Protocol):
    """The training batches of this rank; every rank yields the same number of them in every epoch."""

    def __len__(self) -> int:
        """Number of batches in an epoch; an estimate where augmentation changes durations."""

    def epoch(self, epoch: int, start: int) -> Iterator[Batch]:
        """The batches of ``epoch`` from index ``start`` on; the same ones however often it is asked."""


class Task(Protocol):
    """Joins data, models and objectives, and says which network each loss updates.

    It may have ``metrics``, the names that :meth:`validate` gives, for mistakes in configs to be found before training.
    """

    networks: dict[str, nn.Module]
    weights: dict[str, float]
    """Of each loss in the sum that is minimised. Values that have none are logged beside the losses, and no more."""

    def batches(self) -> Batches:
        """The training data."""

    def at_step(self, step: int) -> None:
        """Hear the number of optimizer steps made so far, before the next one."""

    def losses(self, batch: Any) -> Iterator[tuple[str, Losses]]:
        """Yield ``(network, losses)`` for each network to update, in the order of the updates."""

    def validate(self) -> dict[str, float]:
        """Metrics on the validation set; lower is better for all of them."""

    def take_notes(self) -> list[dict[str, Any]]:
        """Events since the last call that the log should keep (utterances that could not be used ...)."""
