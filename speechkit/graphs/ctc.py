"""The likelihood of token sequences under CTC, summed over all their paths, with its exact gradient."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

from speechkit.graphs.kernels import Kernel, pick_kernel

Scan = Callable[[Tensor, Tensor, Tensor, Tensor, bool], tuple[Tensor, Tensor | None]]
"""The ``scan`` of each module ``ctc_<kernel>``, which computes both recursions: (B, S, U + 1) float64 emissions,
(B, U + 1) bool repeats, frames (B,) and tokens (B,) in; alphas and betas (B, S, 2U + 1) float64 out, ``-inf`` where no path
passes. A place u repeats if its token is that of place u - 1. Only alphas, and None, if the last argument is False."""


def ctc_loss(
    log_probs: Tensor, tokens: Tensor, frame_lens: Tensor, token_lens: Tensor, blank_id: int = 0, kernel: Kernel = "auto"
) -> Tensor:
    """``-log sum over paths of prod_t p_t(path_t)`` for each utterance (Graves et al. 2006, equations 5 to 8).

    Over the states z = (blank, y_1, blank, ..., y_U, blank), with LSE the logarithm of the sum of exponentials::

        alpha_t(s) = log p_t(z_s) + LSE(alpha_{t-1}(s), alpha_{t-1}(s-1), [alpha_{t-1}(s-2)])
        beta_t(s) = LSE(b(s), b(s+1), [b(s+2)])  where  b(r) = log p_{t+1}(z_r) + beta_{t+1}(r)

    with the terms in brackets for tokens that differ from the one before (after). Paths begin in one of the first two
    states and end in one of the last two. Differs from the paper: beta leaves out its own frame, so that a log-probability
    of ``-inf`` is taken in, but never away.

    All sums are in double precision, whatever the type of ``log_probs``. The gradient with respect to ``log_probs`` is
    minus the posterior of each token in each frame, the sum of ``exp(alpha_t(s) + beta_t(s) - log p)`` over its states;
    behind a log-softmax it becomes the softmax minus the posterior.

    Args:
        log_probs: (B, S, V) natural logarithms. S and U may be 0.
        tokens: (B, U) int64 transcripts without blanks, padded with anything.
        frame_lens: (B,) int64.
        token_lens: (B,) int64.
        blank_id: Id of the blank.
        kernel: What computes the recursions.

    Returns:
        (B,) nats, float64 if ``log_probs`` is, else float32. ``inf``, with zero gradient, for an utterance without a
        path; NaN for one that has a NaN where a path may pass.
    """
    padding = torch.arange(tokens.shape[1], device=tokens.device) >= token_lens.unsqueeze(1)
    tokens = tokens.masked_fill(padding, blank_id)
    # What is left of the vocabulary: a column for the blank, and one for each place in the transcript.
    columns = torch.cat([torch.full_like(token_lens, blank_id).unsqueeze(1), tokens], dim=1)
    emissions = log_probs.gather(2, columns.unsqueeze(1).expand(-1, log_probs.shape[1], -1)).double()
    repeats = torch.zeros_like(columns, dtype=torch.bool)
    repeats[:, 1:-1] = tokens[:, 1:] == tokens[:, :-1]
    scan = import_module(f"speechkit.graphs.ctc_{pick_kernel(log_probs.device, kernel)}").scan
    nats = _Ctc.apply(emissions, repeats, frame_lens, token_lens, scan)
    return nats.to(torch.promote_types(log_probs.dtype, torch.float32))


class _Ctc(torch.autograd.Function):
    """From the emissions (B, S, U + 1), whose column 0 is the blank, to nats (B,)."""

    @staticmethod
    def forward(
        ctx: FunctionCtx, emissions: Tensor, repeats: Tensor, frame_lens: Tensor, token_lens: Tensor, scan: Scan
    ) -> Tensor:
        differentiable = ctx.needs_input_grad[0]
        alphas, betas = scan(emissions.contiguous(), repeats, frame_lens, token_lens, differentiable)
        total = _total(alphas, frame_lens, token_lens)
        if differentiable:
            ctx.save_for_backward(_posteriors(alphas, betas, total))
        return -total

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, grad: Tensor) -> tuple[Tensor | None, ...]:
        (posteriors,) = ctx.saved_tensors
        return -grad[:, None, None] * posteriors, None, None, None, None


def _total(alphas: Tensor, frame_lens: Tensor, token_lens: Tensor) -> Tensor:
    """(B,) log-probability of all paths, which end in the last blank or the last token."""
    rows = torch.arange(len(alphas), device=alphas.device)
    if alphas.shape[1] == 0:
        ends = alphas.new_full((len(alphas), 2), -torch.inf)
    else:
        ends = alphas[rows, (frame_lens - 1).clamp(min=0)].gather(
            1, torch.stack([2 * token_lens, (2 * token_lens - 1).clamp(min=0)], dim=1)
        )
    ends[:, 1].masked_fill_(token_lens == 0, -torch.inf)  # there is no token to end in
    no_frames = torch.where(token_lens == 0, 0.0, -torch.inf).to(ends)
    return ends.logsumexp(1).where(frame_lens > 0, no_frames)


def _posteriors(alphas: Tensor, betas: Tensor, total: Tensor) -> Tensor:
    """(B, S, U + 1) expected uses of the blank and of each token in each frame; zero where there is no path."""
    reached = alphas.add_(betas).sub_(total.masked_fill(total == -torch.inf, 0.0)[:, None, None]).exp_()
    return torch.cat([reached[:, :, ::2].sum(2, keepdim=True), reached[:, :, 1::2]], dim=2)
