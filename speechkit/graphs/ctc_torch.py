"""The recursions of CTC on any device: all states of all utterances at once, frame after frame."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def scan(
    emissions: Tensor, repeats: Tensor, frame_lens: Tensor, token_lens: Tensor, both: bool
) -> tuple[Tensor, Tensor | None]:
    """Alphas and betas; see :data:`speechkit.graphs.ctc.Scan`.

    Betas are the alphas of the utterances read backwards, so both are one recursion over twice the batch.
    """
    batch, num_frames, columns = emissions.shape
    states = torch.arange(2 * columns - 1, device=emissions.device)
    scores = emissions[:, :, torch.where(states % 2 == 1, states // 2 + 1, 0)]  # (B, S, 2U + 1)
    skips = (states % 2 == 1) & ~repeats[:, states // 2]
    if both:
        turned_states = _turned(2 * token_lens + 1, len(states))
        turned_frames = _turned(frame_lens, num_frames)
        backward = _take(_take(scores, turned_frames, 1), turned_states, 2)
        # The token after the s-th state is two states further, and before it when read backwards.
        onward = _take(F.pad(skips, (0, 2))[:, 2:], turned_states, 1)
        scores, skips = torch.cat([scores, backward]), torch.cat([skips, onward])
    arrived = _arrived(scores, skips)
    alphas = arrived[:batch] + scores[:batch]
    alphas.masked_fill_(~_within(frame_lens, token_lens, alphas), -torch.inf)
    if not both:
        return alphas, None
    betas = _take(_take(arrived[batch:], turned_states, 2), turned_frames, 1)
    return alphas, betas.masked_fill_(~_within(frame_lens, token_lens, betas), -torch.inf)


def _arrived(scores: Tensor, skips: Tensor) -> Tensor:
    """(N, S, L) log-probability of the paths into each state, less its own emission."""
    closed = torch.zeros_like(skips, dtype=scores.dtype).masked_fill_(~skips, -torch.inf)
    arrived = torch.full_like(scores, -torch.inf)
    arrived[:, :1, :2] = 0.0
    for t in range(1, scores.shape[1]):
        before = F.pad(arrived[:, t - 1] + scores[:, t - 1], (2, 0), value=-torch.inf)
        moved = torch.logaddexp(before[:, 2:], before[:, 1:-1])
        torch.logaddexp(moved, before[:, :-2] + closed, out=arrived[:, t])
    return arrived


def _turned(lens: Tensor, length: int) -> Tensor:
    """(B, length) places that read a sequence of each of ``lens`` backwards; what follows stays."""
    places = torch.arange(length, device=lens.device)
    lens = lens.unsqueeze(1)
    return torch.where(places < lens, lens - 1 - places, places)


def _take(x: Tensor, places: Tensor, dim: int) -> Tensor:
    """``x`` with its axis ``dim`` read at ``places`` (B, N)."""
    shape = [1] * x.ndim
    shape[0], shape[dim] = places.shape
    return x.gather(dim, places.view(shape).expand_as(x))


def _within(frame_lens: Tensor, token_lens: Tensor, x: Tensor) -> Tensor:
    """(B, S, L) bool: frames and states of the utterances."""
    frames = torch.arange(x.shape[1], device=x.device) < frame_lens.unsqueeze(1)
    states = torch.arange(x.shape[2], device=x.device) <= 2 * token_lens.unsqueeze(1)
    return frames.unsqueeze(2) & states.unsqueeze(1)
