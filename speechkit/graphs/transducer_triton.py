"""The transducer's lattice on GPUs: a program per utterance, a lane per number of tokens, all cells of a diagonal at once.

The chain is that of the vectorised torch kernel: after n moves a path with u tokens is in frame ``n - u`` (regular) or
``n`` (monotonic). What a lane needs of its neighbour passes through global memory, between two barriers.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor


def forward_backward(
    blank: Tensor, label: Tensor, frame_lens: Tensor, token_lens: Tensor, stays: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Log-likelihoods and occupancies; see :func:`speechkit.graphs.transducer.forward_backward`.

    Args:
        blank: (B, S, U + 1) on a GPU.
        label: (B, S, U).
        frame_lens: (B,).
        token_lens: (B,).
        stays: Whether a token leaves the path in its frame.
    """
    batch, num_frames, width = blank.shape
    max_moves = num_frames + width - 1 if stays else num_frames
    blank, label = blank.contiguous(), label.contiguous()
    total = blank.new_empty(batch)
    blank_occupancy, label_occupancy = torch.zeros_like(blank), torch.zeros_like(label)
    alpha = blank.new_empty((batch, max_moves + 1, width), dtype=torch.float64)
    beta = blank.new_empty((batch, 2, width), dtype=torch.float64)
    lanes = triton.next_power_of_2(width)
    _utterance[(batch,)](
        blank, label, frame_lens.long().contiguous(), token_lens.long().contiguous(),
        alpha, beta, total, blank_occupancy, label_occupancy,
        num_frames, width, max_moves + 1,
        STAYS=1 if stays else 0, LANES=lanes, num_warps=min(8, max(1, lanes // 32)),
    )  # fmt: skip
    return total, blank_occupancy, label_occupancy


@triton.jit
def _logaddexp(a, b):
    high = tl.maximum(a, b)
    low = tl.minimum(a, b)
    # Of -inf and -inf the difference is NaN, which the comparison takes out; a NaN in a or b stays one.
    both = high + tl.log(1.0 + tl.exp(low - high))
    return tl.where((a == float("-inf")) | (b == float("-inf")), tl.where(a == float("-inf"), b, a), both)


@triton.jit
def _utterance(
    blank, label, frame_lens, token_lens, alpha, beta, total, blank_occupancy, label_occupancy,
    max_frames, width, rows, STAYS: tl.constexpr, LANES: tl.constexpr,
):  # fmt: skip
    b = tl.program_id(0).to(tl.int64)
    num_frames = tl.load(frame_lens + b)
    num_tokens = tl.load(token_lens + b)
    num_moves = num_frames + num_tokens * STAYS
    u = tl.arange(0, LANES)
    held = u < width
    alpha += b * rows * width
    beta += b * 2 * width

    here = tl.where(u == 0, 0.0, float("-inf")).to(tl.float64)
    tl.store(alpha + u, here, mask=held)
    for n in range(num_moves):
        tl.debug_barrier()
        t = n - u * STAYS
        inside = (t >= 0) & (t < num_frames) & (u <= num_tokens)
        stay = tl.load(blank + (b * max_frames + t) * width + u, mask=inside, other=float("-inf")).to(tl.float64)
        origin = n - (u - 1) * STAYS
        stepped = (origin >= 0) & (origin < num_frames) & (u >= 1) & (u <= num_tokens)
        step = tl.load(label + (b * max_frames + origin) * (width - 1) + u - 1, mask=stepped, other=float("-inf"))
        below = tl.load(alpha + n * width + u - 1, mask=stepped, other=float("-inf"))
        here = _logaddexp(here + stay, below + step.to(tl.float64))
        tl.store(alpha + (n + 1) * width + u, here, mask=held)
    # A sum, not a maximum, so that NaN stays NaN.
    score = tl.sum(tl.where(u == num_tokens, here, 0.0), axis=0)
    tl.store(total + b, score)

    base = tl.where(score == float("-inf"), 0.0, score)  # without a path every exponent below is -inf
    onward = tl.where(u == num_tokens, 0.0, float("-inf")).to(tl.float64)
    for i in range(num_moves):
        n = num_moves - 1 - i
        row = beta + (n % 2) * width
        tl.store(row + u, onward, mask=held)
        tl.debug_barrier()
        t = n - u * STAYS
        inside = (t >= 0) & (t < num_frames) & (u <= num_tokens)
        emits = inside & (u < num_tokens)
        cell = b * max_frames + t
        reached = tl.load(alpha + n * width + u, mask=held, other=float("-inf")) - base
        by_blank = onward + tl.load(blank + cell * width + u, mask=inside, other=float("-inf")).to(tl.float64)
        by_label = tl.load(row + u + 1, mask=emits, other=float("-inf"))
        by_label += tl.load(label + cell * (width - 1) + u, mask=emits, other=float("-inf")).to(tl.float64)
        tl.store(blank_occupancy + cell * width + u, tl.exp(reached + by_blank), mask=inside)
        tl.store(label_occupancy + cell * (width - 1) + u, tl.exp(reached + by_label), mask=emits)
        onward = _logaddexp(by_blank, by_label)
