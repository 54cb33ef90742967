"""What the data layer hands to a task: tensors with their lengths, and the utterances they came from."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor

Slot = list[tuple[float, list[int]]]
"""What may have been said in one stretch of an utterance: log-weights (nats) with token ids."""


@dataclasses.dataclass(frozen=True)
class Targets:
    """What an objective is to learn about B utterances."""

    tokens: Tensor
    """(B, U) int64 transcripts, padded with anything."""

    token_lens: Tensor
    """(B,) int64."""

    alternatives: list[list[Slot]] | None = None
    """Per utterance its slots in order, each with alternatives, for objectives that learn from uncertain transcripts: an
    n-best list is one slot of whole sentences, a confusion network has a slot per word."""

    def __len__(self) -> int:
        return len(self.token_lens)


class Tensors:
    """A dataclass whose tensors move together."""

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Self:
        """The same batch with its tensors on ``device``."""
        return self._map(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> Self:
        """The same batch in page-locked memory; ``DataLoader(pin_memory=True)`` calls this."""
        return self._map(Tensor.pin_memory)

    def _map(self, function: Callable[[Tensor], Tensor]) -> Self:
        tensors = {name: value for name, value in vars(self).items() if isinstance(value, Tensor)}
        return dataclasses.replace(self, **{name: function(tensor) for name, tensor in tensors.items()})


class Recordings(Tensors):
    """A dataclass of utterances that has, among others, these two fields."""

    ids: list[str]
    """Cut ids."""

    durations: list[float]
    """Seconds of audio."""

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def amounts(self) -> dict[str, float]:
        """How much there is to hear, for the log."""
        return {"audio_seconds": sum(self.durations)}


@dataclasses.dataclass(frozen=True)
class AsrBatch(Recordings):
    """B utterances with their transcripts."""

    ids: list[str]
    """Cut ids; a speed-perturbed one has the suffix ``_sp<factor>``."""

    inputs: Tensor
    """(B, L) float32 waveforms in [-1, 1], or (B, T, F) features; zero after each length."""

    input_lens: Tensor
    """(B,) int64, in samples or frames."""

    is_features: bool
    """Whether ``inputs`` are features."""

    tokens: Tensor
    """(B, U) int64, zero after each length."""

    token_lens: Tensor
    """(B,) int64."""

    texts: list[str]
    """Transcripts as the manifest has them."""

    durations: list[float]
    """Seconds, after speed perturbation."""

    alternatives: list[list[Slot]] | None = None
    """Uncertain transcripts, where the manifest has them; see :class:`Targets`."""

    @property
    def targets(self) -> Targets:
        """The transcripts, as objectives take them."""
        return Targets(self.tokens, self.token_lens, self.alternatives)

    @property
    def padding(self) -> float:
        """Share of ``inputs`` that is padding, in [0, 1)."""
        return 1.0 - float(self.input_lens.sum()) / (len(self) * self.inputs.shape[1])
