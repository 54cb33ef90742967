"""Which samples each frame sees: frame counts, and the mirrored samples beyond both ends of an utterance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Edges = Literal["cut", "symmetric", "reflect"]


@dataclass(frozen=True)
class Framing:
    """Frame t covers the samples ``t * hop_length - left`` up to ``t * hop_length - left + window_length``.

    Args:
        window_length: Samples a frame sees.
        hop_length: Samples from one frame to the next, at most ``window_length``.
        left: Samples that the first frame sees before the first sample.
        rounding: The frame count is ``(L + rounding) // hop_length``.
        edges: What lies beyond the ends: nothing, so that only whole windows count (``cut``), or the mirrored signal,
            with the outermost sample repeated (``symmetric``, Kaldi) or not (``reflect``, torch.stft).
    """

    window_length: int
    hop_length: int
    left: int = 0
    rounding: int = 0
    edges: Edges = "reflect"

    @classmethod
    def cut(cls, window_length: int, hop_length: int) -> Framing:
        """Whole windows only: Kaldi's ``snip_edges=true``."""
        return cls(window_length, hop_length, rounding=hop_length - window_length, edges="cut")

    @classmethod
    def kaldi(cls, window_length: int, hop_length: int) -> Framing:
        """Kaldi's ``snip_edges=false``: frame t is centred on sample ``(t + 1/2) * hop_length``."""
        left = window_length // 2 - hop_length // 2
        return cls(window_length, hop_length, left=left, rounding=hop_length // 2, edges="symmetric")

    def num_frames(self, num_samples):
        """Frames of utterances of ``num_samples`` samples, an int or a tensor of them.

        Mirrored edges give every utterance that is not empty at least one frame; ``cut`` gives none to an utterance
        shorter than the window.
        """
        frames = (num_samples + self.rounding) // self.hop_length
        if isinstance(num_samples, Tensor):
            least = torch.zeros_like(frames) if self.edges == "cut" else (num_samples > 0).to(frames.dtype)
            return torch.maximum(frames, least)
        return max(frames, int(num_samples > 0 and self.edges != "cut"))

    def span(self, num_frames: int) -> int:
        """Samples that ``num_frames`` >= 1 frames in a row cover."""
        return (num_frames - 1) * self.hop_length + self.window_length

    def mirror(self, index: Tensor, length: int | Tensor) -> Tensor:
        """Map positions beyond the ends to the samples they mirror, back and forth where the utterance is short.

        Args:
            index: Positions, negative before the start.
            length: Samples of the utterance, broadcast against ``index``.

        Returns:
            Positions in ``[0, length)``, shaped as the broadcast of both.
        """
        twice = int(self.edges == "symmetric")  # how often, beyond its own place, the outermost sample occurs
        last = torch.as_tensor(length, device=index.device) - 1
        position = index.remainder((2 * last + 2 * twice).clamp(min=1))
        return torch.minimum(position, 2 * last + twice - position).clamp(min=0)

    def head(self, signal: Tensor) -> Tensor:
        """The ``left`` samples before ``signal`` (n,)."""
        return signal[self.mirror(torch.arange(-self.left, 0, device=signal.device), len(signal))]

    def tail(self, signal: Tensor, count: int) -> Tensor:
        """The ``count`` samples after ``signal`` (n,)."""
        start = len(signal)
        return signal[self.mirror(torch.arange(start, start + count, device=signal.device), start)]

    def extend(self, wav: Tensor) -> Tensor:
        """Give an utterance the samples that its frames see beyond its ends.

        Args:
            wav: (L,) with L >= 1 and at least one frame.

        Returns:
            (n,), frame t at ``t * hop_length``; n is the span of all frames.
        """
        span = self.span(self.num_frames(len(wav)))
        if self.edges == "cut":
            return wav[:span]
        missing = max(span - self.left - len(wav), 0)
        return torch.cat([self.head(wav), wav, self.tail(wav, missing)])[:span]

    def extend_batch(self, wav: Tensor, wav_lens: Tensor) -> Tensor:
        """:meth:`extend` for padded utterances (B, L) of at least one frame; what lies in their padding is not seen."""
        span = self.span(self.num_frames(wav.shape[1]))
        if self.edges == "cut":
            return wav[:, :span]
        index = torch.arange(-self.left, span - self.left, device=wav.device)
        return wav.gather(1, self.mirror(index.expand(len(wav), -1), wav_lens.unsqueeze(1)))
