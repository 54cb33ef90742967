"""Connectionist temporal classification: the likelihood of a transcript, summed over all its alignments."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from speechkit.objectives.base import Objective
from speechkit.utils.lens import padding_mask


class CtcObjective(Objective, name="ctc"):
    """``-log sum over paths of prod_t p_t(path_t)`` (Graves et al. 2006, equations 3 and 5 to 8), torch's kernel.

    A path gives a token or the blank to each frame; it spells the transcript when its repeats are merged and then its
    blanks removed. An empty transcript has one path, all blanks. Two equal tokens in a row need a blank between
    them, so a transcript of U tokens with r such pairs needs U + r frames; an utterance with fewer has no path, its
    loss would be infinite and its gradient NaN. It is found by this count before the loss is computed.
    """

    def nats(
        self, decoder: nn.Module, encoder_out: Tensor, encoder_out_lens: Tensor, tokens: Tensor, token_lens: Tensor
    ) -> Tensor:
        """The losses (B,) in nats, float32 (float64 where the decoder gives that); 0 where there is no path.

        Raises:
            ValueError: a transcript holds the blank or an id outside of the vocabulary.
        """
        self._check_tokens(tokens, token_lens)
        log_probs = decoder(encoder_out)
        if log_probs.dtype != torch.float64:
            log_probs = log_probs.float()
        alignable = self.alignable(encoder_out_lens, tokens, token_lens)
        losses = F.ctc_loss(
            log_probs.transpose(0, 1),
            tokens,
            encoder_out_lens,
            # The empty transcript is always alignable, so that no infinity arises whose gradient would be NaN.
            token_lens.where(alignable, 0),
            blank=self.blank_id,
            reduction="none",
        )
        return losses.where(alignable, 0.0)

    def alignable(self, encoder_out_lens: Tensor, tokens: Tensor, token_lens: Tensor) -> Tensor:
        """(B,) bool: whether the frames suffice for the tokens and a blank between equal neighbours."""
        within = ~padding_mask(token_lens, tokens.shape[1])
        repeats = ((tokens[:, 1:] == tokens[:, :-1]) & within[:, 1:]).sum(1)
        return encoder_out_lens >= token_lens + repeats

    def _check_tokens(self, tokens: Tensor, token_lens: Tensor) -> None:
        # The kernels read memory by these ids, unchecked.
        wrong = (tokens < 0) | (tokens >= self.vocab_size) | (tokens == self.blank_id)
        wrong &= ~padding_mask(token_lens, tokens.shape[1])
        if wrong.any():
            row, place = wrong.nonzero()[0].tolist()
            raise ValueError(
                f"utterance {row} of the batch: expected token ids in [0, {self.vocab_size}) other than the blank "
                f"{self.blank_id}, got {tokens[row, place]} at place {place}; use the tokenizer of this model"
            )
