"""The decoder of a DNN-HMM hybrid: a distribution over HMM states per frame, and how often each state occurs."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from speechkit.models.decoder.base import Decoder
from speechkit.nn.dropout import Dropout
from speechkit.text.vocabulary import Vocabulary


class Hmm(Decoder, name="hmm"):
    """``log p(state | frame)`` by one projection, and ``log p(frame | state)``, up to a constant, by Bayes' rule.

    Every token has ``states_per_token`` states in a row; the first of those of the blank is silence, and the others are
    never used. State k of token v is column ``v * states_per_token + k``.

    Source: Bourlard and Morgan 1994, Connectionist Speech Recognition, chapter 7; Hinton et al. 2012.
    """

    class Config(Decoder.Config):
        """Options of the hybrid's decoder."""

        dropout: float = Field(0.1, ge=0, lt=1)
        """Dropout probability of the encoder output."""
        states_per_token: int = Field(3, ge=1)
        """States that each token goes through from left to right, a frame or more in each."""
        prior_scale: float = Field(1.0, ge=0)
        """Exponent of the states' priors, by which posteriors are divided; less than 1 trusts the network's own ones more."""

    def __init__(self, config: Config, in_dim: int, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.config = config
        self.vocabulary = vocabulary
        self.dropout = Dropout(config.dropout)
        self.out = nn.Linear(in_dim, vocabulary.size * config.states_per_token)
        self.register_buffer("state_counts", torch.zeros(self.out.out_features))
        self.register_buffer("num_batches", torch.tensor(0))

    @property
    def silence(self) -> int:
        """The column of silence."""
        return self.vocabulary.blank_id * self.config.states_per_token

    def forward(self, encoder_out: Tensor) -> Tensor:
        """Map ``encoder_out`` (B, S, D) to log-posteriors of states (B, S, V * states_per_token), float32 at least."""
        logits = self.out(self.dropout(encoder_out))
        return logits.log_softmax(-1, dtype=torch.promote_types(logits.dtype, torch.float32))

    def likelihoods(self, log_posteriors: Tensor) -> Tensor:
        """``log p(state | frame) - prior_scale * log p(state)``: log-likelihoods less what a frame gives to all states."""
        counts = self.state_counts + 1.0  # a state may be needed before it was met
        priors = (counts / counts.sum()).log()
        return log_posteriors - self.config.prior_scale * priors

    @torch.no_grad()
    def count(self, states: Tensor) -> None:
        """Take the states (N,) of a training batch into account; batches of long ago count less."""
        self.state_counts.mul_(0.999).add_(torch.bincount(states, minlength=len(self.state_counts)))
        self.num_batches += 1
