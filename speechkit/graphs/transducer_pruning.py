"""Pruned transducers (Kuang et al. 2022, arXiv:2206.13236): a joiner that is a mere sum, cheap enough for all cells, says
where the paths run, and the real joiner computes a narrow window of positions in each frame."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from speechkit.graphs.transducer import Occupancies, Topology, labels_stay
from speechkit.graphs.transducer_numba import best_windows


def simple_log_probs(
    am: Tensor,
    lm: Tensor,
    tokens: Tensor,
    token_lens: Tensor,
    blank_id: int = 0,
    lm_only_scale: float = 0.0,
    am_only_scale: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """Log-probabilities of ``softmax(am_t + lm_u)`` in all cells, from one product of matrices.

    ``log sum_v exp(am_tv + lm_uv)`` is the logarithm of an element of ``exp(am) exp(lm)^T``. Smoothing mixes
    in log-probabilities of the predictions alone, and of the encodings with the utterance's mean prediction as prior, so
    that each half learns to be of use by itself.

    Differs from k2: the mean prediction is that of the utterance, not of the whole padded batch.

    Args:
        am: (B, S, V) logits from the encoder.
        lm: (B, U + 1, V) logits from the predictor.
        tokens: (B, U) int64, in [0, V) in the padding too.
        token_lens: (B,) int64.
        blank_id: Id of the blank.
        lm_only_scale: Weight of the log-probabilities of the predictions alone, in [0, 1].
        am_only_scale: Weight of those of the encodings alone, in [0, 1 - lm_only_scale].

    Returns:
        The blank's (B, S, U + 1) and the next token's (B, S, U), float32 or float64.
    """
    dtype = torch.promote_types(am.dtype, torch.float32)
    with torch.autocast(am.device.type, enabled=False):
        am, lm = am.to(dtype), lm.to(dtype)
        blank, label = _of_sums(am, lm, tokens, blank_id)
        normalizer = _normalizer(am, lm)
        combined = 1 - lm_only_scale - am_only_scale
        blank, label = combined * (blank - normalizer), combined * (label - normalizer[..., :-1])
        if lm_only_scale:
            alone = lm_only_scale * lm.log_softmax(2)
            more = _of_sums(torch.zeros_like(am[:, :, :1]).expand_as(am), alone, tokens, blank_id)
            blank, label = blank + more[0], label + more[1]
        if am_only_scale:
            alone = am_only_scale * (am + _log_mean(lm, token_lens)).log_softmax(2)
            more = _of_sums(alone, torch.zeros_like(lm[:, :, :1]).expand_as(lm), tokens, blank_id)
            blank, label = blank + more[0], label + more[1]
    return blank, label


def _of_sums(am: Tensor, lm: Tensor, tokens: Tensor, blank_id: int) -> tuple[Tensor, Tensor]:
    """The elements of ``am[:, :, None] + lm[:, None]`` that belong to the blank and to the next token."""
    am_label = am.gather(2, tokens[:, None].expand(-1, am.shape[1], -1))
    lm_label = lm[:, :-1].gather(2, tokens[..., None])
    return am[..., blank_id, None] + lm[:, None, :, blank_id], am_label + lm_label.transpose(1, 2)


def _normalizer(am: Tensor, lm: Tensor) -> Tensor:
    """(B, S, U + 1) ``log sum_v exp(am + lm)``."""
    am_max, lm_max = am.detach().amax(2, keepdim=True), lm.detach().amax(2, keepdim=True)
    product = (am - am_max).exp() @ (lm - lm_max).exp().transpose(1, 2)
    # Where both are sharp and disagree, every term of the product underflows; these few are summed one by one.
    low = product < 1e-30
    result = product.masked_fill(low, 1.0).log() + am_max + lm_max.transpose(1, 2)
    if low.any():
        b, t, u = low.nonzero(as_tuple=True)
        result = result.index_put((b, t, u), (am[b, t] + lm[b, u]).logsumexp(1))
    return result


def _log_mean(lm: Tensor, token_lens: Tensor) -> Tensor:
    """(B, 1, V) log of the mean over its positions of each utterance's predicted distribution."""
    within = torch.arange(lm.shape[1], device=lm.device) <= token_lens[:, None]
    log_probs = lm.log_softmax(2).masked_fill(~within[..., None], -torch.inf)
    return log_probs.logsumexp(1, keepdim=True) - (token_lens + 1).log()[:, None, None]


def choose_cells(
    occupancies: Occupancies, frame_lens: Tensor, token_lens: Tensor, prune_range: int, topology: Topology = "regular"
) -> Tensor:
    """A window of positions for each frame, so that the paths of the simple joiner pass through as far as possible.

    Args:
        occupancies: Of the simple joiner's lattice.
        frame_lens: (B,) int64.
        token_lens: (B,) int64.
        prune_range: Positions per window, at least 2; more where an utterance has so few frames that no path could keep
            within windows of this width, and fewer where it has fewer positions.
        topology: Where a token leads to.

    Returns:
        (B, S, U + 1) bool, True in the windows. Some path lies within them wherever there is a path at all.
    """
    blank, label = occupancies.blank.cpu().numpy(), occupancies.label.cpu().numpy()
    chosen = np.zeros(blank.shape, dtype=np.bool_)
    for b, (num_frames, num_tokens) in enumerate(zip(frame_lens.tolist(), token_lens.tolist(), strict=True)):
        passed = blank[b, :num_frames, : num_tokens + 1], label[b, :num_frames, :num_tokens]
        starts, width = place_windows(*passed, prune_range, topology)
        u = np.arange(num_tokens + 1)
        chosen[b, :num_frames, : num_tokens + 1] = (starts[:, None] <= u) & (u < starts[:, None] + width)
    return torch.from_numpy(chosen).to(occupancies.blank.device)


def place_windows(blank: np.ndarray, label: np.ndarray, prune_range: int, topology: Topology) -> tuple[np.ndarray, int]:
    """The windows of one utterance.

    What a window retains of a frame is the share of its occupancies; windows are chosen so that the product over all
    frames is highest. They begin at position 0, end with the last position, never go back, and move so little that a path
    can follow: by less than their width, or by one position where a token takes a frame.

    Differs from the paper, which takes the best window of each frame by itself (deducting the paths that enter it within
    the frame) and then shifts those that break the rules. On random lattices the loss in these windows is nearer to the
    full one.

    Args:
        blank: (S, U + 1) occupancies.
        label: (S, U).
        prune_range: Positions per window.
        topology: Where a token leads to.

    Returns:
        (S,) first positions, and the width that was used.
    """
    (num_frames, num_positions), stays = blank.shape, labels_stay(topology)
    if num_frames == 0:
        return np.zeros(0, dtype=np.int64), 0
    least = 1 + math.ceil((num_positions - 1) / num_frames) if stays else 2
    width = min(num_positions, max(prune_range, least))
    if not stays and num_positions - width > num_frames - 1:
        return np.zeros(num_frames, dtype=np.int64), 0  # more tokens than frames: there is no path
    occupancy = blank.astype(np.float64)
    occupancy[:, :-1] += label
    total = np.pad(occupancy.cumsum(1), ((0, 0), (1, 0)))
    retained = (total[:, width:] - total[:, :-width]) / np.maximum(total[:, -1:], 1e-9)  # 0 where there is no path
    worth = np.log(np.maximum(retained, 1e-9))
    return best_windows(worth, width - 1 if stays else 1), width
