"""What the data layer hands to a task: tensors with their lengths, and the utterances they came from."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor


@dataclasses.dataclass(frozen=True)
class AsrBatch:
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

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def padding(self) -> float:
        """Share of ``inputs`` that is padding, in [0, 1)."""
        return 1.0 - float(self.input_lens.sum()) / (len(self) * self.inputs.shape[1])

    def to(self, device: torch.device | str, non_blocking: bool = False) -> AsrBatch:
        """The same batch with its tensors on ``device``."""
        return self._map(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> AsrBatch:
        """The same batch in page-locked memory; ``DataLoader(pin_memory=True)`` calls this."""
        return self._map(Tensor.pin_memory)

    def _map(self, function: Callable[[Tensor], Tensor]) -> AsrBatch:
        tensors = {name: value for name, value in vars(self).items() if isinstance(value, Tensor)}
        return dataclasses.replace(self, **{name: function(tensor) for name, tensor in tensors.items()})
