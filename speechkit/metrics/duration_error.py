"""How far predicted durations of tokens are from those of a recording."""

from __future__ import annotations

import dataclasses

import numpy as np

from speechkit.metrics.sums import Sums


@dataclasses.dataclass(frozen=True)
class DurationError(Sums):
    """Sums over the tokens of an utterance, in seconds; those of utterances add up to those of a test set.

    Args:
        num_tokens: Tokens compared.
        absolute: Sum of ``|d' - d|``.
        squares: Sum of ``(d' - d)^2``.
        ref: Sum of the durations d of the reference.
        hyp: Sum of the predicted ones, d'.
        ref_squares: Sum of ``d^2``.
        hyp_squares: Sum of ``d'^2``.
    """

    num_tokens: int = 0
    absolute: float = 0.0
    squares: float = 0.0
    ref: float = 0.0
    hyp: float = 0.0
    ref_squares: float = 0.0
    hyp_squares: float = 0.0

    @property
    def mean_absolute_error(self) -> float:
        """Seconds per token; NaN if there are none."""
        return self.absolute / self.num_tokens if self.num_tokens else float("nan")

    @property
    def rmse(self) -> float:
        """Root mean square error in seconds; NaN if there are no tokens."""
        return (self.squares / self.num_tokens) ** 0.5 if self.num_tokens else float("nan")

    @property
    def total_ratio(self) -> float:
        """Predicted duration of everything over that of the reference; above 1 speech is too slow. NaN for none."""
        return self.hyp / self.ref if self.ref else float("nan")

    @property
    def correlation(self) -> float:
        """Pearson's correlation of d and d' over all tokens; NaN if either does not vary."""
        if not self.num_tokens:
            return float("nan")
        ref_mean, hyp_mean = self.ref / self.num_tokens, self.hyp / self.num_tokens
        ref_variance = self.ref_squares / self.num_tokens - ref_mean**2
        hyp_variance = self.hyp_squares / self.num_tokens - hyp_mean**2
        # The sum of products is in the squares of d' - d.
        products = (self.ref_squares + self.hyp_squares - self.squares) / 2 / self.num_tokens
        if min(ref_variance / max(ref_mean**2, 1e-300), hyp_variance / max(hyp_mean**2, 1e-300)) < 1e-12:
            return float("nan")
        return (products - ref_mean * hyp_mean) / (ref_variance * hyp_variance) ** 0.5


def duration_error(ref: np.ndarray, hyp: np.ndarray, frame_shift: float) -> DurationError:
    """Compare the durations of the same tokens.

    Args:
        ref: (U,) frames of each token in the recording.
        hyp: (U,) predicted frames; they need not be whole.
        frame_shift: Seconds per frame.

    Raises:
        ValueError: Different numbers of tokens.
    """
    ref, hyp = np.asarray(ref, dtype=np.float64) * frame_shift, np.asarray(hyp, dtype=np.float64) * frame_shift
    if ref.ndim != 1 or ref.shape != hyp.shape:
        raise ValueError(
            f"duration error: expected as many tokens in both, got {ref.shape} and {hyp.shape}; "
            "compare predictions for the tokens that were aligned, without padding"
        )
    return DurationError(
        num_tokens=len(ref),
        absolute=float(np.abs(hyp - ref).sum()),
        squares=float(np.square(hyp - ref).sum()),
        ref=float(ref.sum()),
        hyp=float(hyp.sum()),
        ref_squares=float(np.square(ref).sum()),
        hyp_squares=float(np.square(hyp).sum()),
    )
