"""What every objective is: model outputs and targets in, one loss per utterance out."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from speechkit.config import Choice, Component, ComponentConfig
from speechkit.models.decoder.base import Decoder
from speechkit.models.decoder.linear import Linear


class Objective(Component, kind="objective"):
    """A loss of ASR. It owns no parameters: the task builds ``config.decoder`` and hands it in.

    A subclass implements :meth:`nats`, and :meth:`alignable` where not every utterance can be used.

    Args:
        config: The options.
        vocab_size: V, blank included.
        blank_id: Id of the blank.
    """

    class Config(ComponentConfig):
        """Options of all objectives."""

        weight: float = Field(1.0, ge=0.0)
        """Factor of this objective in the sum of the losses."""
        normalize: Literal["utterance", "token", "frame"] = "utterance"
        """What a loss is per: plain nats, which the trainer divides by the utterances of the step (utterance), or nats per
        token of the transcript (token) or per encoder frame (frame), averaged over the utterances."""
        decoder: Choice[Decoder] = Linear.Config()
        """The network from encoder output to scores of tokens."""

    def __init__(self, config: Config, *, vocab_size: int, blank_id: int = 0) -> None:
        self.config = config
        self.vocab_size = vocab_size
        self.blank_id = blank_id

    def __call__(
        self, decoder: nn.Module, encoder_out: Tensor, encoder_out_lens: Tensor, tokens: Tensor, token_lens: Tensor
    ) -> Tensor:
        """The loss of each utterance.

        Args:
            decoder: What ``config.decoder`` built.
            encoder_out: (B, S, D).
            encoder_out_lens: (B,) int64 frames per utterance.
            tokens: (B, U) int64 transcripts, padded with anything.
            token_lens: (B,) int64 tokens per utterance.

        Returns:
            (B,) losses at least in float32, normalised as the config says; exactly 0, with zero gradients, for an
            utterance that is not :meth:`alignable`.
        """
        nats = self.nats(decoder, encoder_out, encoder_out_lens, tokens, token_lens)
        if self.config.normalize == "token":
            return nats / token_lens.clamp(min=1)
        if self.config.normalize == "frame":
            return nats / encoder_out_lens.clamp(min=1)
        return nats

    def nats(
        self, decoder: nn.Module, encoder_out: Tensor, encoder_out_lens: Tensor, tokens: Tensor, token_lens: Tensor
    ) -> Tensor:
        """The losses (B,) before normalisation: negative log-likelihoods in nats; arguments as for the call."""
        raise NotImplementedError

    def alignable(self, encoder_out_lens: Tensor, tokens: Tensor, token_lens: Tensor) -> Tensor:
        """Which utterances have a transcript that the objective can place in their frames; all of them, here.

        Args:
            encoder_out_lens: (B,) int64 frames per utterance.
            tokens: (B, U) int64 transcripts.
            token_lens: (B,) int64 tokens per utterance.

        Returns:
            (B,) bool; the task names the cuts where it is False, which learn nothing.
        """
        return torch.ones_like(token_lens, dtype=torch.bool)
