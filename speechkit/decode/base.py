"""What every search takes and gives: log-probabilities in, an n-best list of hypotheses per utterance out."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from speechkit.config import Component, ComponentConfig


@dataclass(frozen=True)
class Hypothesis:
    """One token sequence that a search found for an utterance.

    Args:
        tokens: Token ids, blanks removed.
        score: Log-probability (nats) by which the search ranks; each search says what it sums over.
        scores: The parts of ``score`` by name, before weighting (``{"ctc": ...}``).
        token_times: For each token its first encoder frame and the one after its last; ordered, not overlapping.
        confidences: For each token the highest probability the network gives it in a frame of its span, in [0, 1].
            It is a posterior of the network, not a calibrated chance of being right: networks are over-confident.
    """

    tokens: list[int]
    score: float
    scores: dict[str, float] = field(default_factory=dict)
    token_times: list[tuple[int, int]] = field(default_factory=list)
    confidences: list[float] = field(default_factory=list)


class Search(Component, kind="search"):
    """Finds the likeliest token sequences.

    Args:
        config: The options.
        blank_id: Id of the blank.
    """

    def __init__(self, config: ComponentConfig, *, blank_id: int = 0) -> None:
        self.config = config
        self.blank_id = blank_id

    def __call__(self, log_probs: Tensor, lens: Tensor) -> list[list[Hypothesis]]:
        """Search each utterance of a batch.

        Args:
            log_probs: (B, S, V) log-probabilities (nats), normalised over V; any device and float type.
            lens: (B,) encoder frames per utterance; frames after them are never read.

        Returns:
            Per utterance at least one hypothesis and at most the n-best that the config asks for, best first.

        Raises:
            ValueError: the log-probabilities of a frame are not any (NaN, positive, or all of them ``-inf``).
        """
        return [self.search(utterance) for utterance in _utterances(log_probs, lens)]

    def search(self, log_probs: np.ndarray) -> list[Hypothesis]:
        """Search one utterance: (S, V) float64 log-probabilities, S >= 0, in main memory."""
        raise NotImplementedError


def _utterances(log_probs: Tensor, lens: Tensor) -> list[np.ndarray]:
    # One copy from the device for the batch, float64 for one utterance at a time.
    rows = [row[:length].double().numpy() for row, length in zip(log_probs.detach().cpu(), lens.tolist(), strict=True)]
    for index, row in enumerate(rows):
        best = row.max(axis=1, initial=-np.inf)
        if not ((best > -np.inf) & (best <= 1e-3)).all():
            raise ValueError(
                f"utterance {index} of the batch: expected log-probabilities with a best token of at most 0 nats in "
                f"each frame, got best ones from {best.min()} to {best.max()}; apply log_softmax to logits, and look "
                "for a diverged model where it is nan"
            )
    return rows
