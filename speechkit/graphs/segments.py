"""Sums over segmentations: every frame belongs to one label, labels follow each other at the price of a transition.

``score(path) = sum_t f_t(path_t) + sum_{t >= 1} g(path_t, path_{t-1})``, where ``g(i, j)`` is the score of i after j. Two
sums over paths make ASG (Collobert et al. 2016, arXiv:1609.03193, equation 3): that of the paths of a transcript and
that of all paths. Both are computed in double precision and have their gradients.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

NO_PATH = -1e30  # for -inf, whose differences would be nan; a double keeps it apart from every score


class Chains(NamedTuple):
    """The labels of B transcripts in order."""

    labels: Tensor
    """(B, K) int64, padded with any label."""
    optional: Tensor
    """(B, K) bool: labels that a path may leave out; no two in a row."""
    lens: Tensor
    """(B,) int64."""

    def least_frames(self) -> Tensor:
        """(B,) frames that the shortest path has."""
        within = torch.arange(self.labels.shape[1], device=self.lens.device) < self.lens.unsqueeze(1)
        return (within & ~self.optional).sum(1)


def all_paths_score(emissions: Tensor, transitions: Tensor, lens: Tensor) -> Tensor:
    """Log of the sum over all N^S paths of ``exp(score)``.

    Args:
        emissions: (B, S, N) f, in nats, of any range.
        transitions: (N, N) g.
        lens: (B,) frames per utterance.

    Returns:
        (B,) float64; 0 without frames.
    """
    return _AllPaths.apply(emissions.double(), transitions.double(), lens)


class _AllPaths(torch.autograd.Function):
    """Forward-backward over a complete graph with one matrix product per frame, scaled to sum to one in each."""

    @staticmethod
    def forward(ctx: Any, emissions: Tensor, transitions: Tensor, lens: Tensor) -> Tensor:
        """alpha_t = normalised(E_t * (G alpha_{t-1})), with E and G the exponentials less their maxima."""
        within = torch.arange(emissions.shape[1], device=lens.device) < lens.unsqueeze(1)
        emissions = emissions.masked_fill(~within.unsqueeze(2), 0.0)  # padding may hold anything
        top_emission = emissions.amax(2, keepdim=True) if emissions.shape[1] else emissions.new_zeros(len(lens), 0, 1)
        top_transition = transitions.max()
        frames, matrix = (emissions - top_emission).exp(), (transitions - top_transition).exp()
        alphas, norms = torch.empty_like(frames), emissions.new_ones(emissions.shape[:2])
        for t in range(frames.shape[1]):
            alpha = frames[:, t] * (alphas[:, t - 1] @ matrix.T) if t else frames[:, t]
            norms[:, t] = alpha.sum(1)
            alphas[:, t] = alpha / norms[:, t : t + 1]
        ctx.save_for_backward(frames, matrix, alphas, norms, within)
        scores = (norms.log() + top_emission.squeeze(2)).where(within, 0.0).sum(1)
        return scores + (lens - 1).clamp(min=0) * top_transition

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        """Posteriors of labels, and of pairs of neighbours summed over frames."""
        frames, matrix, alphas, norms, within = ctx.saved_tensors
        betas = torch.ones_like(frames)  # scaled such that alpha * beta sums to one
        for t in range(frames.shape[1] - 1, 0, -1):
            later = (frames[:, t] * betas[:, t]) @ matrix / norms[:, t : t + 1]
            betas[:, t - 1] = later.where(within[:, t : t + 1], betas[:, t - 1])
        weight = grad.view(-1, 1, 1) * within.unsqueeze(2)
        later = (frames * betas / norms.unsqueeze(2) * weight)[:, 1:]
        pairs = matrix * torch.einsum("bti,btj->ij", later, alphas[:, :-1])
        return alphas * betas * weight, pairs, None


def chain_score(emissions: Tensor, transitions: Tensor, lens: Tensor, chains: Chains) -> Tensor:
    """Log of the sum over the paths of transcripts of ``exp(score)``.

    A path goes through the labels in order, stays with each one for a frame or more, and may leave out those that are
    optional.

    Args:
        emissions: (B, S, N) f.
        transitions: (N, N) g.
        lens: (B,) frames per utterance.
        chains: The transcripts.

    Returns:
        (B,) float64; ``-inf``, with zero gradients, where the frames are too few for the labels, or some and no labels.
    """
    moves = _moves(transitions.double(), chains)
    scores = emissions.double().gather(2, chains.labels.unsqueeze(1).expand(-1, emissions.shape[1], -1))
    alpha = _start(chains, scores.new_zeros(chains.labels.shape))
    for t in range(emissions.shape[1]):
        before = alpha
        if t:
            one, two = F.pad(alpha, (1, 0), value=NO_PATH)[:, :-1], F.pad(alpha, (2, 0), value=NO_PATH)[:, :-2]
            before = torch.stack([alpha + moves[0], one + moves[1], two + moves[2]]).logsumexp(0)
        alpha = (before + scores[:, t]).where((t < lens).unsqueeze(1), alpha)
    return _final(torch.stack(_ends(alpha, chains)).logsumexp(0), lens, chains)


def best_chain_path(
    emissions: Tensor, transitions: Tensor | None, lens: Tensor, chains: Chains
) -> tuple[Tensor, Tensor]:
    """The best of the paths that :func:`chain_score` sums over; transitions that are None cost nothing.

    Returns:
        Scores (B,) float64, and for each frame its place in the chain (B, S) int64; places mean nothing after the length
        of an utterance, nor where the score is ``-inf``.
    """
    moves = _moves(None if transitions is None else transitions.double(), chains)
    scores = emissions.double().gather(2, chains.labels.unsqueeze(1).expand(-1, emissions.shape[1], -1))
    alpha = _start(chains, scores.new_zeros(chains.labels.shape))
    came = torch.zeros_like(scores, dtype=torch.int64)
    for t in range(emissions.shape[1]):
        before = alpha
        if t:
            one, two = F.pad(alpha, (1, 0), value=NO_PATH)[:, :-1], F.pad(alpha, (2, 0), value=NO_PATH)[:, :-2]
            before, came[:, t] = torch.stack([alpha + moves[0], one + moves[1], two + moves[2]]).max(0)
        alpha = (before + scores[:, t]).where((t < lens).unsqueeze(1), alpha)
    best, skipped = torch.stack(_ends(alpha, chains)).max(0)
    place = (chains.lens - 1 - skipped).clamp(min=0)
    path = torch.zeros(emissions.shape[:2], dtype=torch.int64, device=emissions.device)
    for t in range(emissions.shape[1] - 1, -1, -1):
        path[:, t] = place
        back = came[:, t].gather(1, place.unsqueeze(1)).squeeze(1)
        place = (place - back).clamp(min=0).where(t < lens, place)
    return _final(best, lens, chains), path


def _moves(transitions: Tensor | None, chains: Chains) -> tuple[Tensor, Tensor, Tensor]:
    """(B, K) each: the scores of staying with a label, of coming from the one before, of leaving one out."""
    labels, size = chains.labels, chains.labels.shape[1]
    one, two = F.pad(labels, (1, 0))[:, :size], F.pad(labels, (2, 0))[:, :size]
    place = torch.arange(size, device=labels.device)
    may_skip = F.pad(chains.optional, (1, 0))[:, :size] & (place >= 2)
    free = torch.zeros(labels.shape, dtype=torch.float64, device=labels.device)
    stay, step, skip = (free if transitions is None else transitions[labels, each] for each in (labels, one, two))
    return stay, step.where(place >= 1, NO_PATH), skip.where(may_skip, NO_PATH)


def _start(chains: Chains, zeros: Tensor) -> Tensor:
    """(B, K): 0 where a path can start."""
    place = torch.arange(zeros.shape[1], device=zeros.device)
    first = (place == 0) | ((place == 1) & chains.optional[:, :1])
    return zeros.where(first & (place < chains.lens.unsqueeze(1)), NO_PATH)


def _final(scores: Tensor, lens: Tensor, chains: Chains) -> Tensor:
    """The scores, ``-inf`` where there is no path; without frames none has to be walked if no label asks for one."""
    empty = torch.zeros_like(scores).where(chains.least_frames() == 0, NO_PATH)
    scores = scores.where(lens > 0, empty)
    return scores.where(scores > NO_PATH / 2, -torch.inf)


def _ends(alpha: Tensor, chains: Chains) -> list[Tensor]:
    """(B,) each: the scores of ending in the last label, and before it if that is optional."""
    alpha, last = F.pad(alpha, (2, 0), value=NO_PATH), chains.lens + 1
    optional = F.pad(chains.optional, (2, 0)).gather(1, last.unsqueeze(1)).squeeze(1)
    return [alpha.gather(1, (last - back).unsqueeze(1)).squeeze(1).where(allowed, NO_PATH)
            for back, allowed in ((0, torch.ones_like(optional)), (1, optional))]  # fmt: skip
