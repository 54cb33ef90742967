"""Losses of an alignment network: all monotonic paths are to be likely, and the one that is used is to be nearly certain."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from speechkit.graphs.ctc import ctc_loss
from speechkit.graphs.kernels import Kernel
from speechkit.utils.lens import padding_mask


def forward_sum(
    log_probs: Tensor, frame_lens: Tensor, token_lens: Tensor, blank_logit: float = -1.0, kernel: Kernel = "auto"
) -> Tensor:
    """Minus the log-probability that the frames go through all tokens in order, over all ways to do so (Badlani et al., 2021,
    arXiv:2108.10447, equation 3).

    It is the CTC loss of the transcript 1 ... U, behind a softmax over the tokens and a blank of constant logit. The blank is
    the authors' code's; a token's frames may then be fewer than those between it and the next one.

    Args:
        log_probs: (B, T, U) of the tokens in each frame, as from :class:`speechkit.nn.text_aligner.TextAligner`, normalised or
            not; what lies at padding does not matter.
        frame_lens: (B,) int64.
        token_lens: (B,) int64.
        blank_logit: Of the blank, before the softmax; ``-inf`` for none.
        kernel: What computes the sum; see :func:`speechkit.graphs.ctc.ctc_loss`.

    Returns:
        (B,) nats; 0 and without gradient for an utterance of fewer frames than tokens. The authors divide by the number of
        tokens.
    """
    batch, _, num_tokens = log_probs.shape
    scores = log_probs.to(torch.promote_types(log_probs.dtype, torch.float32))
    scores = scores.masked_fill(padding_mask(token_lens, num_tokens).unsqueeze(1), -torch.inf)
    logits = F.pad(scores, (1, 0), value=blank_logit).log_softmax(2)
    tokens = torch.arange(1, num_tokens + 1, device=log_probs.device).expand(batch, -1)
    nats = ctc_loss(logits, tokens, frame_lens, token_lens, kernel=kernel)
    return nats.where((frame_lens >= token_lens) & (token_lens > 0), 0.0)


def binarization(log_probs: Tensor, path: Tensor) -> Tensor:
    """``-sum_t log A(u_t | t)``, A being the softmax of the scores: the divergence of the hard alignment from the soft one
    (Badlani et al., equation 6).

    Args:
        log_probs: (B, T, U) as from :class:`speechkit.nn.text_aligner.TextAligner`, normalised or not; -inf at padding of the
            tokens, finite at that of the frames.
        path: (B, T, U) bool, the one token of each frame, False at padding, as from
            :func:`speechkit.graphs.monotonic_alignment.monotonic_alignment_search`.

    Returns:
        (B,) nats. The authors divide by the number of frames.
    """
    log_probs = log_probs.to(torch.promote_types(log_probs.dtype, torch.float32)).log_softmax(2)
    return -torch.where(path, log_probs, 0.0).sum((1, 2))
