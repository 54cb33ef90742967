"""What decoders that speak frame after frame share: groups of frames, when speech ends, and the loop of synthesis."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F
from torch import Tensor

from speechkit.models.acoustic.base import Compared
from speechkit.utils.lens import padding_mask


@dataclass(frozen=True)
class Decoded:
    """What a decoder says in S steps of r frames each.

    Args:
        feats: (B, S r, F).
        stop: (B, S r) logits of "speech ends here or has ended".
        weights: (B, S, U), where each step looks; None for decoders that need not look.
        states: (B, S, D), the hidden vectors that it says them from.
    """

    feats: Tensor
    stop: Tensor
    weights: Tensor | None = None
    states: Tensor | None = None


def join(said: Sequence[Decoded]) -> Decoded:
    """One after the other."""
    parts = {each.name: [getattr(one, each.name) for one in said] for each in fields(Decoded)}
    return Decoded(**{name: None if part[0] is None else torch.cat(part, dim=1) for name, part in parts.items()})


def frames_heard(feats: Tensor, feat_lens: Tensor, reduction_factor: int) -> tuple[Tensor, Tensor]:
    """What a decoder hears that is told the truth: zeros, then the last frame of each group but the last group's.

    Args:
        feats: (B, T, F); what lies at padding does not matter.
        feat_lens: (B,) int64.
        reduction_factor: r, frames of a group.

    Returns:
        (B, S, F) with ``S = ceil(T / r)``, and the steps of each utterance (B,) int64.
    """
    feats = feats.masked_fill(padding_mask(feat_lens, feats.shape[1]).unsqueeze(2), 0.0)
    steps = -(-feats.shape[1] // reduction_factor)
    before = F.pad(feats[:, reduction_factor - 1 :: reduction_factor], (0, 0, 1, 0))
    return before[:, :steps], -(-feat_lens // reduction_factor)


def compare_stop(stop: Tensor, feat_lens: Tensor, reduction_factor: int) -> Compared:
    """The logits (B, S r) beside what they should be: 1 in the last frame and what of its group follows, 0 before."""
    frames = torch.arange(stop.shape[1], device=stop.device)
    ended = frames >= (feat_lens - 1).unsqueeze(1)
    return Compared(stop, ended.to(stop.dtype), -(-feat_lens // reduction_factor) * reduction_factor)


@dataclass(frozen=True)
class Said:
    """What came out of the loop of synthesis.

    Args:
        feats: (B, T, F), 0 at padding.
        feat_lens: (B,) int64.
        finished: (B,) bool, whether it ended by itself.
        weights: (B, T, U) where each frame's step looked, 0 at padding; None for decoders that need not look.
    """

    feats: Tensor
    feat_lens: Tensor
    finished: Tensor
    weights: Tensor | None


def speak(step: Callable[[Tensor], Decoded], limits: Tensor, feat_dim: int, threshold: float = 0.5) -> Said:
    """Call a decoder with its own last frame until all utterances have ended.

    An utterance ends with the first frame whose probability to be the last is above the threshold, or at its limit.

    Args:
        step: From one frame for each utterance (B, 1, F), zeros at first, to the next group of r.
        limits: (B,) int64 frames at most, above 0.
        feat_dim: F.
        threshold: In (0, 1).
    """
    wanted = math.log(threshold / (1 - threshold))
    said, frames, most = [], 0, int(limits.max())
    ended = torch.zeros_like(limits, dtype=torch.bool)
    last = torch.zeros(len(limits), 1, feat_dim, device=limits.device)
    while frames < most and not bool((ended | (frames >= limits)).all()):
        decoded = step(last)
        said.append(decoded)
        last, frames = decoded.feats[:, -1:], frames + decoded.feats.shape[1]
        ended |= (decoded.stop > wanted).any(1)
    decoded = join(said)
    feats, weights = decoded.feats, decoded.weights
    before = (~(decoded.stop > wanted)).cumprod(1).sum(1)  # frames before the first that ends
    lens = torch.minimum(before + 1, limits)
    padding = padding_mask(lens)
    if weights is not None:
        weights = weights.repeat_interleave(feats.shape[1] // weights.shape[1], dim=1)[:, : padding.shape[1]]
        weights = weights.masked_fill(padding.unsqueeze(2), 0.0)
    feats = feats[:, : padding.shape[1]].masked_fill(padding.unsqueeze(2), 0.0)
    return Said(feats, lens, before < limits, weights)


def say_along(step: Callable[[Tensor], Decoded], told: Tensor, own: float) -> Decoded:
    """Call a decoder with what it is told, or with its own last frame, through which gradients go back.

    Args:
        step: From one frame for each utterance (B, 1, F) to the next group of r.
        told: (B, S, F), what came before each of the steps in recordings; the first one is always heard.
        own: Probability of a step to hear its own last frame, above 0: 1 is free running, less is scheduled sampling
            (Bengio et al., 2015, arXiv:1506.03099).
    """
    said = []
    for frame in told.split(1, dim=1):
        if said:
            last = said[-1].feats[:, -1:].to(frame.dtype)
            frame = last if own == 1 else torch.where(torch.rand_like(frame[:, :, :1]) < own, last, frame)
        said.append(step(frame))
    return join(said)
