"""How far two F0 curves are apart: log-F0 error, voicing decisions, gross errors."""

from __future__ import annotations

import dataclasses

import numpy as np

from speechkit.metrics.sums import Sums

GROSS = 0.2
"""A voiced frame whose F0 is further off than this fraction of the reference is a gross error (Rabiner et al. 1976)."""


@dataclasses.dataclass(frozen=True)
class PitchError(Sums):
    """Counts of an utterance; those of utterances add up to those of a test set.

    Args:
        num_frames: Pairs of frames compared.
        num_voiced: Of these, voiced in both.
        squares: Sum over the latter of ``(ln F0 - ln F0')^2``.
        gross: How many of them are gross errors.
        voicing: Frames voiced in only one.
    """

    num_frames: int = 0
    num_voiced: int = 0
    squares: float = 0.0
    gross: int = 0
    voicing: int = 0

    @property
    def log_f0_rmse(self) -> float:
        """Root mean square of the difference of ln F0 over frames voiced in both; NaN if there are none."""
        return (self.squares / self.num_voiced) ** 0.5 if self.num_voiced else float("nan")

    @property
    def gross_pitch_error(self) -> float:
        """Gross errors as a fraction of the frames voiced in both; NaN if there are none."""
        return self.gross / self.num_voiced if self.num_voiced else float("nan")

    @property
    def voicing_decision_error(self) -> float:
        """Frames voiced in only one as a fraction of all; NaN if there are none."""
        return self.voicing / self.num_frames if self.num_frames else float("nan")

    @property
    def f0_frame_error(self) -> float:
        """Frames with an error of either kind as a fraction of all (Chu and Alwan 2009); NaN if there are none."""
        return (self.voicing + self.gross) / self.num_frames if self.num_frames else float("nan")


def pitch_error(ref: np.ndarray, hyp: np.ndarray, path: np.ndarray | None = None) -> PitchError:
    """Compare two F0 curves.

    Args:
        ref: (T,) in Hz, 0 where unvoiced.
        hyp: (S,) in Hz.
        path: (P, 2) pairs of frames, of :func:`speechkit.metrics.dtw.dtw` over the cepstra of the same frames; None for
            frame by frame, which asks for S = T.

    Raises:
        ValueError: Different numbers of frames without a path.
    """
    ref, hyp = np.asarray(ref, dtype=np.float64), np.asarray(hyp, dtype=np.float64)
    if path is not None:
        ref, hyp = ref[path[:, 0]], hyp[path[:, 1]]
    if ref.ndim != 1 or ref.shape != hyp.shape:
        raise ValueError(
            f"pitch error: expected as many frames in both, got {ref.shape} and {hyp.shape}; "
            "give the path of dtw() over their cepstra where durations differ"
        )
    both = (ref > 0) & (hyp > 0)
    ratio = hyp[both] / ref[both]
    return PitchError(
        num_frames=len(ref),
        num_voiced=int(both.sum()),
        squares=float(np.square(np.log(ratio)).sum()),
        gross=int((np.abs(ratio - 1) > GROSS).sum()),
        voicing=int(((ref > 0) != (hyp > 0)).sum()),
    )
