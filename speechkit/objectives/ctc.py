"""Connectionist temporal classification: the likelihood of a transcript, summed over all its alignments."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable

from speechkit.data.batch import Targets
from speechkit.graphs.aligner import Alignment, align_ctc, utterances
from speechkit.graphs.ctc import ctc_loss
from speechkit.objectives import backends
from speechkit.objectives.base import Objective
from speechkit.utils.lens import padding_mask


class CtcObjective(Objective, name="ctc"):
    """Connectionist temporal classification: ``-log sum over paths of prod_t p_t(path_t)`` (Graves et al. 2006, equations 3
    and 5 to 8).

    A path gives a token or the blank to each frame; it spells the transcript when its repeats are merged and then its
    blanks removed. An empty transcript has one path, all blanks. Two equal tokens in a row need a blank between
    them, so a transcript of U tokens with r such pairs needs U + r frames; an utterance with fewer has no path, and its
    loss would be infinite. It is found by this count.
    """

    class Config(Objective.Config):
        """Options of CTC."""

        kernel: Literal["auto", "own", "torch", "k2"] = "auto"
        """What computes it: `own` sums in double precision, an utterance per thread on the CPU; `torch` is PyTorch's
        ctc_loss, `k2` that of the package k2, both in the precision of the network. All give the same loss. `auto` takes
        own on the CPU, where it is the fastest, and torch elsewhere."""

    def nats(self, decoder: nn.Module, encoder_out: Tensor, encoder_out_lens: Tensor, targets: Targets) -> Tensor:
        """The losses (B,) in nats, float32 (float64 where the decoder gives that); 0 where there is no path.

        Raises:
            UtteranceError: a transcript holds the blank or an id outside of the vocabulary.
            ValueError: the config asks for k2, which cannot be imported.
        """
        self.check_tokens(targets)
        log_probs = decoder(encoder_out)
        facts = targets.tokens, encoder_out_lens, targets.token_lens, self.vocabulary.blank_id
        losses = self._kernel(log_probs.device)(log_probs.to(torch.promote_types(log_probs.dtype, torch.float32)), *facts)
        return losses.where(self.alignable(encoder_out_lens, targets), 0.0)

    def _kernel(self, device: torch.device) -> backends.CtcLoss:
        kernel = self.config.kernel
        if kernel == "auto":
            kernel = "own" if device.type == "cpu" else "torch"
        return {"own": ctc_loss, "torch": torch_ctc_loss, "k2": backends.k2_ctc_loss}[kernel]

    def alignable(self, encoder_out_lens: Tensor, targets: Targets) -> Tensor:
        """(B,) bool: whether the frames suffice for the tokens and a blank between equal neighbours."""
        tokens, token_lens = targets.tokens, targets.token_lens
        within = ~padding_mask(token_lens, tokens.shape[1])
        repeats = ((tokens[:, 1:] == tokens[:, :-1]) & within[:, 1:]).sum(1)
        return encoder_out_lens >= token_lens + repeats

    def align(
        self, decoder: nn.Module, encoder_out: Tensor, encoder_out_lens: Tensor, targets: Targets
    ) -> list[Alignment]:
        """The likeliest CTC path of each transcript; see :meth:`Objective.align`."""
        self.check_tokens(targets)
        transcripts = (row[:length] for row, length in zip(targets.tokens.tolist(), targets.token_lens.tolist()))
        log_probs = utterances(decoder(encoder_out), encoder_out_lens)
        return [align_ctc(*each, self.vocabulary.blank_id) for each in zip(log_probs, transcripts)]


def torch_ctc_loss(log_probs: Tensor, tokens: Tensor, frame_lens: Tensor, token_lens: Tensor, blank_id: int = 0) -> Tensor:
    """PyTorch's ``ctc_loss`` with the arguments and the result of :func:`speechkit.graphs.ctc.ctc_loss`.

    Its gradient is softmax minus posterior even before a log-softmax, so it is right only with one in front.
    """
    return _TorchCtc.apply(log_probs, tokens, frame_lens, token_lens, blank_id)


class _TorchCtc(torch.autograd.Function):
    """``torch.nn.functional.ctc_loss`` with a gradient of zero, not NaN, where the loss is infinite, and stays so."""

    @staticmethod
    def forward(
        ctx: FunctionCtx, log_probs: Tensor, tokens: Tensor, frame_lens: Tensor, token_lens: Tensor, blank_id: int
    ) -> Tensor:
        facts = log_probs.transpose(0, 1), tokens, frame_lens, token_lens
        losses, alphas = torch.ops.aten._ctc_loss(*facts, blank_id)
        ctx.blank_id = blank_id
        ctx.save_for_backward(*facts, losses, alphas)
        return losses

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, grad: Tensor) -> tuple[Tensor | None, ...]:
        found = torch.ops.aten._ctc_loss_backward(grad, *ctx.saved_tensors, ctx.blank_id, zero_infinity=True)
        return found.transpose(0, 1), None, None, None, None
