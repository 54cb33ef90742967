"""The part of an attention decoder that has to go step by step: a recurrent layer that hears what it looks at."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from speechkit.nn.dropout import Dropout
from speechkit.nn.location_attention import AdditiveAttention
from speechkit.nn.recurrent import RecurrentLayer, State
from speechkit.nn.step_attention import StepAttention


@dataclass(frozen=True)
class AttentionRnnState:
    """B decoders between two steps.

    Args:
        loop: The products of the recurrent layer; made once, with ``attention``.
        attention: What all steps need of the memory.
        cell: The recurrent layer's state.
        context: (B, M), what was last looked at.
        weights: (B, U), where that was.
        total: (B, U), their sum over all steps.
        window: Tokens back and ahead of the one last looked at most that may be looked at; None for all.
    """

    loop: object
    attention: StepAttention
    cell: State
    context: Tensor
    weights: Tensor
    total: Tensor
    window: tuple[int, int] | None = None


class AttentionRnn(nn.Module):
    """``h_t = RNN(h_{t-1}, [x_t; c_{t-1}])``, ``c_t = attention(h_t)`` (Shen et al., 2018, Tacotron 2, arXiv:1712.05884;
    Wang et al., 2017, Tacotron, arXiv:1703.10135, with the attention RNN hearing its context).

    Only these layers are in the loop. What stands behind them in a decoder reads h and c of all steps at once.

    Args:
        rnn: From P + M numbers, x and c, to h.
        attention: From queries h to a memory of width M; a :class:`LocationAttention` has 2 channels: the last weights, and
            the sum of all.
        dropout: On h, where it leaves the layer; in [0, 1).
        forward_attention: See :class:`StepAttention`.
    """

    def __init__(
        self, rnn: RecurrentLayer, attention: AdditiveAttention, dropout: float = 0.0, forward_attention: bool = False
    ) -> None:
        super().__init__()
        self.rnn, self.attention, self.dropout = rnn, attention, Dropout(dropout)
        self.memory_dim, self.forward_attention = attention.key.in_features, forward_attention

    def start(
        self, memory: Tensor, memory_lens: Tensor, window: tuple[int, int] | None = None
    ) -> AttentionRnnState:
        """The state before the first step, of ``memory`` (B, U, M) with lengths (B,); for the window see the state."""
        attention = StepAttention(self.attention, memory, memory_lens, self.forward_attention)
        loop = self.rnn.loop(self.rnn.in_dim - self.memory_dim)
        return AttentionRnnState(loop, attention, self.rnn.start(len(memory), memory), *attention.start(), window)

    def forward(self, x: Tensor, state: AttentionRnnState) -> tuple[Tensor, Tensor, AttentionRnnState]:
        """Some steps more.

        Args:
            x: (B, S, P).
            state: The one before; it is not changed.

        Returns:
            ``[h; c]`` (B, S, H + M), the weights (B, S, U), and the new state.
        """
        loop, attention, cell = state.loop, state.attention, state.cell
        looked = state.context, state.weights, state.total
        outs, contexts, weights = [], [], []
        projected = loop.project(x)
        with torch.autocast(x.device.type, enabled=False):
            for given in projected.unbind(1):
                out, cell = loop(given, looked[0], cell)
                out = self.dropout(out)
                looked = attention(out, *looked[1:], state.window)
                outs.append(out)
                contexts.append(looked[0])
                weights.append(looked[1])
        out = torch.cat([torch.stack(outs, dim=1), torch.stack(contexts, dim=1).to(projected.dtype)], dim=2)
        new = replace(state, cell=cell, context=looked[0], weights=looked[1], total=looked[2])
        return out, torch.stack(weights, dim=1), new
