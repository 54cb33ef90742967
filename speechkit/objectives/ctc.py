"""Connectionist temporal classification: the likelihood of a transcript, summed over all its alignments."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from speechkit.data.batch import Targets
from speechkit.graphs.aligner import Alignment, align_ctc, utterances
from speechkit.objectives.base import Objective
from speechkit.utils.lens import padding_mask


class CtcObjective(Objective, name="ctc"):
    """``-log sum over paths of prod_t p_t(path_t)`` (Graves et al. 2006, equations 3 and 5 to 8), torch's kernel.

    A path gives a token or the blank to each frame; it spells the transcript when its repeats are merged and then its
    blanks removed. An empty transcript has one path, all blanks. Two equal tokens in a row need a blank between
    them, so a transcript of U tokens with r such pairs needs U + r frames; an utterance with fewer has no path, its
    loss would be infinite and its gradient NaN. It is found by this count before the loss is computed.
    """

    def nats(self, decoder: nn.Module, encoder_out: Tensor, encoder_out_lens: Tensor, targets: Targets) -> Tensor:
        """The losses (B,) in nats, float32 (float64 where the decoder gives that); 0 where there is no path.

        Raises:
            UtteranceError: a transcript holds the blank or an id outside of the vocabulary.
        """
        self.check_tokens(targets)
        log_probs = decoder(encoder_out)
        if log_probs.dtype != torch.float64:
            log_probs = log_probs.float()
        alignable = self.alignable(encoder_out_lens, targets)
        losses = F.ctc_loss(
            log_probs.transpose(0, 1),
            targets.tokens,
            encoder_out_lens,
            # The empty transcript is always alignable, so that no infinity arises whose gradient would be NaN.
            targets.token_lens.where(alignable, 0),
            blank=self.vocabulary.blank_id,
            reduction="none",
        )
        return losses.where(alignable, 0.0)

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
