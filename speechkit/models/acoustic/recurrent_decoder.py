"""The decoder of both Tacotrons: prenet, attention RNN, recurrent layers, frames and whether they are the last."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from speechkit.models.acoustic.attention_model import AttentionModel
from speechkit.models.acoustic.speaking import Decoded
from speechkit.nn.attention_rnn import AttentionRnn, AttentionRnnState
from speechkit.nn.linear import Linear
from speechkit.nn.prenet import Prenet
from speechkit.nn.recurrent import State
from speechkit.nn.recurrent_stack import RecurrentStack


class RecurrentModel(AttentionModel):
    """What both Tacotrons are; their decoder is a :class:`RecurrentDecoder`."""

    class Config(AttentionModel.Config):
        """Options of both."""

        window: tuple[int, int] | None = None
        """Tokens back and ahead of the one last looked at most that synthesis may look at, [1, 3] for instance; null for all.
        It can then neither skip nor repeat much, nor lose its place in a long text."""
        forward_attention: bool = False
        """Only stay or go on by one token from step to step (Zhang et al., 2018). It aligns sooner and never jumps."""

    def start_speaking(self, memory: Tensor, memory_lens: Tensor) -> RecurrentState:
        """The state before the first step of synthesis."""
        return self.decoder.start(memory, memory_lens, self.config.window)


@dataclass(frozen=True)
class RecurrentState:
    """B decoders between two steps: that of the attention RNN, and those of the layers behind it."""

    attention: AttentionRnnState
    stack: tuple[State, ...]


class RecurrentDecoder(nn.Module):
    """``[h_t; c_t] = attention RNN(prenet(y_{t-1}))``, ``d = stack([h; c])``, ``y_t = W [d_t; c_t]``.

    In training only the attention RNN goes step by step: the prenet hears all frames at once before it, and all other layers
    read all of its results behind it.

    Args:
        prenet: Of the last frame.
        attention_rnn: From the prenet's output to ``[h; c]``.
        stack: The layers behind it.
        in_dim: Width to which ``[h; c]`` is projected before them; None where they read it as it is.
        out_context: Whether the output also reads c.
        feat_dim: F.
        reduction_factor: r, frames per step.
    """

    def __init__(
        self,
        prenet: Prenet,
        attention_rnn: AttentionRnn,
        stack: RecurrentStack,
        in_dim: int | None,
        out_context: bool,
        feat_dim: int,
        reduction_factor: int,
    ) -> None:
        super().__init__()
        self.prenet, self.attention_rnn, self.stack = prenet, attention_rnn, stack
        self.feat_dim, self.query_dim, self.out_context = feat_dim, attention_rnn.rnn.dim, out_context
        width = self.query_dim + attention_rnn.memory_dim
        self.narrow = nn.Identity() if in_dim is None else Linear(width, in_dim)
        width = stack.out_dim + (attention_rnn.memory_dim if out_context else 0)
        self.out = Linear(width, reduction_factor * feat_dim)
        self.stop = Linear(width, reduction_factor)

    def start(self, memory: Tensor, memory_lens: Tensor, window: tuple[int, int] | None = None) -> RecurrentState:
        """The state before the first step, of ``memory`` (B, U, M) with lengths (B,); for the window see the config."""
        return RecurrentState(self.attention_rnn.start(memory, memory_lens, window), self.stack.start(len(memory), memory))

    def forward(
        self, frames: Tensor, state: RecurrentState, generator: torch.Generator | None = None
    ) -> tuple[Decoded, RecurrentState]:
        """Some steps more; see :meth:`speechkit.models.acoustic.attention_model.AttentionModel.decode`."""
        heard = self.prenet(frames, generator)
        looked, weights, attention = self.attention_rnn(heard, state.attention)
        states, stack = self.stack(self.narrow(looked), state.stack)
        out = states
        if self.out_context:
            out = torch.cat([states, looked[..., self.query_dim :].to(out.dtype)], dim=2)
        feats = self.out(out).unflatten(2, (-1, self.feat_dim)).flatten(1, 2)
        return Decoded(feats, self.stop(out).flatten(1), weights, states), RecurrentState(attention, stack)
