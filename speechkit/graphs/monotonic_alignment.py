"""Monotonic alignment search: which frames belong to which token, when only their likelihoods are known."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from numba import njit
from torch import Tensor

from speechkit.utils.utterances import UtteranceError

Kernel = Literal["auto", "numba", "torch"]
ENOUGH = 100_000  # scores; for fewer, starting threads costs more than it saves


def monotonic_alignment_search(
    log_likelihoods: Tensor, frame_lens: Tensor, token_lens: Tensor, kernel: Kernel = "auto"
) -> Tensor:
    """The best way to give the frames of each utterance to its tokens, in order, each token at least one frame.

    ``Q(t, u) = v(t, u) + max(Q(t-1, u), Q(t-1, u-1))`` from the first token in the first frame to the last in the last
    (Kim et al. 2020, arXiv:2005.11129, equations 6 to 8). Of equal paths the one that moves on earlier wins. No gradient
    goes through it.

    Args:
        log_likelihoods: (B, T, U) v, of any range; what is outside of an utterance is never read.
        frame_lens: (B,) int64.
        token_lens: (B,) int64.
        kernel: ``numba`` searches an utterance per thread of the CPU, ``torch`` all at once where the scores are; ``auto``
            is numba, for other devices too: to copy the scores there and back takes less than to start a few operations for
            each frame.

    Returns:
        (B, T, U) bool: the one token of each frame; False in padding. ``(log_likelihoods * path).sum((1, 2))`` are the
        scores, but for padding that is not finite.

    Raises:
        UtteranceError: An utterance has fewer frames than tokens, or frames without a token.
    """
    tokens, within = _search(log_likelihoods, frame_lens, token_lens, kernel)
    path = torch.zeros(log_likelihoods.shape, dtype=torch.bool, device=tokens.device)
    return path.scatter_(2, tokens.unsqueeze(2), within.unsqueeze(2)) if path.numel() else path


def monotonic_durations(
    log_likelihoods: Tensor, frame_lens: Tensor, token_lens: Tensor, kernel: Kernel = "auto"
) -> Tensor:
    """How many frames each token has in the path of :func:`monotonic_alignment_search`, whose arguments these are.

    Returns:
        (B, U) int64 frames: at least 1 for each token, 0 in padding; they sum to ``frame_lens``.
    """
    tokens, within = _search(log_likelihoods, frame_lens, token_lens, kernel)
    durations = torch.zeros(log_likelihoods.shape[::2], dtype=torch.int64, device=tokens.device)
    return durations.scatter_add_(1, tokens, within.long()) if durations.numel() else durations


def gaussian_log_likelihoods(z: Tensor, means: Tensor, log_stds: Tensor) -> Tensor:
    """``log N(z_t; mean_u, std_u^2)``, summed over D, for all pairs of frames and tokens.

    ``-1/2 sum_d [log 2 pi + 2 log std + (z - mean)^2 / std^2]`` with the square multiplied out, so that the pairs are two
    matrix products and nothing of size T U D is held.

    Args:
        z: (B, T, D) frames.
        means: (B, U, D).
        log_stds: (B, U, D) natural logarithms.

    Returns:
        (B, T, U) nats.
    """
    precisions = torch.exp(-2 * log_stds)
    constant = -0.5 * (math.log(2 * math.pi) + 2 * log_stds + means.square() * precisions).sum(-1)  # (B, U)
    squares = -0.5 * z.square() @ precisions.mT
    return constant.unsqueeze(1) + squares + z @ (means * precisions).mT


@torch.no_grad()
def _search(scores: Tensor, frame_lens: Tensor, token_lens: Tensor, kernel: Kernel) -> tuple[Tensor, Tensor]:
    """(B, T) int64, the token of each frame, and (B, T) bool, which frames are none of padding."""
    hopeless = (frame_lens < token_lens) | ((token_lens == 0) & (frame_lens > 0))
    if hopeless.any():
        index = int(hopeless.nonzero()[0])
        raise UtteranceError(
            index,
            f"expected one token or more, and a frame for each of them, got {int(token_lens[index])} tokens and "
            f"{int(frame_lens[index])} frames; drop it, or look at its text",
        )
    scores = scores.detach() if scores.dtype.itemsize > 2 else scores.detach().float()
    tokens = (_search_torch if kernel == "torch" else _search_numba)(scores, frame_lens, token_lens)
    return tokens, torch.arange(scores.shape[1], device=scores.device) < frame_lens.unsqueeze(1)


def _search_torch(scores: Tensor, frame_lens: Tensor, token_lens: Tensor) -> Tensor:
    batch, num_frames, num_tokens = scores.shape
    tokens = torch.zeros(batch, num_frames, dtype=torch.int64, device=scores.device)
    if scores.numel() == 0:
        return tokens
    steps = torch.zeros_like(scores, dtype=torch.bool)
    best = scores.new_full((batch, num_tokens), -torch.inf)
    best[:, 0] = scores[:, 0, 0]
    for t in range(1, num_frames):
        stepped = F.pad(best[:, :-1], (1, 0), value=-torch.inf)
        steps[:, t] = stepped > best
        steps[:, t, t : t + 1] = True  # before frame t there was no token t, even if all scores are -inf
        best = torch.maximum(best, stepped) + scores[:, t]
    rows, place = torch.arange(batch, device=scores.device), (token_lens - 1).clamp(min=0)
    for t in range(num_frames - 1, -1, -1):
        tokens[:, t] = place
        place = place - (steps[rows, t, place] & (t < frame_lens)).long()
    return tokens


def _search_numba(scores: Tensor, frame_lens: Tensor, token_lens: Tensor) -> Tensor:
    tokens = torch.zeros(scores.shape[:2], dtype=torch.int64)
    values, out = scores.cpu().contiguous().numpy(), tokens.numpy()

    def one(b: int, num_frames: int, num_tokens: int) -> None:
        _find(values[b, :num_frames, :num_tokens], out[b])

    work = (range(len(values)), frame_lens.tolist(), token_lens.tolist())
    threads = min(torch.get_num_threads(), len(values)) if values.size >= ENOUGH else 1
    if threads > 1:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(one, *work))
    else:
        list(map(one, *work))
    return tokens.to(scores.device)


@njit(cache=True, nogil=True)
def _find(scores: np.ndarray, tokens: np.ndarray) -> None:
    num_frames, num_tokens = scores.shape
    if num_frames == 0:
        return
    # Token u is at u + 1, behind one that cannot be. Two rows take turns, so that the tokens of a frame do not wait for each
    # other and the compiler takes several at once.
    best, new = np.full(num_tokens + 1, -np.inf, dtype=scores.dtype), np.full(num_tokens + 1, -np.inf, dtype=scores.dtype)
    best[1] = scores[0, 0]
    steps = np.empty((num_frames, num_tokens), dtype=np.bool_)
    for t in range(1, num_frames):
        # Only tokens that can be reached by now, and from which the last one can still be.
        low, high = max(0, num_tokens - num_frames + t), min(t, num_tokens - 1) + 1
        stayed, stepped, values = best[low + 1 : high + 1], best[low:high], scores[t, low:high]
        arrived, moves = new[low + 1 : high + 1], steps[t, low:high]
        for i in range(len(values)):
            moves[i] = stepped[i] > stayed[i]
            arrived[i] = max(stepped[i], stayed[i]) + values[i]
        if t < num_tokens:  # before this frame there was no token t, even if all scores are -inf
            steps[t, t] = True
        best, new = new, best
    u = num_tokens - 1
    for t in range(num_frames - 1, 0, -1):
        tokens[t] = u
        u -= steps[t, u]
    tokens[0] = u
