"""Multi-head attention: to the sequence itself (plain, rotary, relative) and to another one.

The mask is (B, 1, 1, T) bool, True where a key may be seen, made once per forward by :func:`attention_mask`; that of
:func:`causal_mask` lets nobody see what comes later.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from speechkit.nn.dropout import Dropout
from speechkit.nn.linear import Linear
from speechkit.nn.position import Position


def attention_mask(padding_mask: Tensor) -> Tensor:
    """True where a key may be seen.

    An utterance of length 0 sees its first frame, because a softmax over nothing is NaN.

    Args:
        padding_mask: (B, T) bool, True at padding.

    Returns:
        (B, 1, 1, T) bool.
    """
    visible = ~padding_mask
    visible[:, 0] = True
    return visible[:, None, None, :]


def causal_mask(length: int, device: torch.device | str = "cpu") -> Tensor:
    """(1, 1, T, T) bool, True where the key is the query itself or before it."""
    return torch.ones(length, length, dtype=torch.bool, device=device).tril()[None, None]


class SelfAttention(nn.Module):
    """``softmax(Q K^T / sqrt(d)) V`` in H heads (Vaswani et al., 2017, section 3.2).

    Args:
        dim: Model dimension D, a multiple of ``num_heads``.
        num_heads: Heads H.
        dropout: On the attention weights, in [0, 1).
    """

    def __init__(self, dim: int, num_heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        if dim % num_heads:
            raise ValueError(f"num_heads: expected a divisor of dim {dim}, got {num_heads}; change one of them")
        self.num_heads, self.head_dim = num_heads, dim // num_heads
        self.qkv = Linear(dim, 3 * dim)
        self.out = Linear(dim, dim)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, positions: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """Attend.

        Args:
            x: (B, T, D).
            positions: What the position module gave: None, or see the subclasses.
            mask: (B, 1, 1, T) or (B, 1, T, T) bool, True where a key may be seen; None when all may.

        Returns:
            (B, T, D).
        """
        query, key, value = self._project(x)
        context = self.attend(query, key, value, positions, mask)
        return self.out(context.transpose(1, 2).flatten(2))

    def step(self, x: Tensor, past: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """One token more of each sequence, which sees itself and all before it; for attention without ``positions``.

        Args:
            x: (N, 1, D).
            past: (2, N, H, T, d) keys and values of the T tokens before, which is not changed; None for none.

        Returns:
            (N, 1, D) and (2, N, H, T + 1, d).
        """
        projected = self._project(x)
        seen = projected[1:] if past is None else torch.cat([past, projected[1:]], dim=3)
        context = self.attend(projected[0], seen[0], seen[1], None, None)
        return self.out(context.transpose(1, 2).flatten(2)), seen

    def _project(self, x: Tensor) -> Tensor:
        """Queries, keys and values (3, B, H, T, d) of ``x`` (B, T, D)."""
        return self.qkv(x).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)

    def attend(self, query: Tensor, key: Tensor, value: Tensor, positions: Tensor | None, mask: Tensor | None) -> Tensor:
        """Weighted values (B, H, T, d) for query, key, value of that shape."""
        dropout = self.dropout.p if self.training else 0.0
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=dropout)


class CrossAttention(nn.Module):
    """Attention of one sequence to another, the memory (Vaswani et al., 2017, section 3.2.3).

    Args:
        dim: Model dimension D, a multiple of ``num_heads``.
        num_heads: Heads H.
        memory_dim: Width M of the memory.
        dropout: On the attention weights, in [0, 1).
    """

    def __init__(self, dim: int, num_heads: int, memory_dim: int, dropout: float = 0.0) -> None:
        super().__init__()
        if dim % num_heads:
            raise ValueError(f"num_heads: expected a divisor of dim {dim}, got {num_heads}; change one of them")
        self.num_heads = num_heads
        self.query = Linear(dim, dim)
        self.key_value = Linear(memory_dim, 2 * dim)
        self.out = Linear(dim, dim)
        self.dropout = Dropout(dropout)

    def memory(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values, each (B, H, S, d), of ``x`` (B, S, M), for any number of queries."""
        key, value = self.key_value(x).unflatten(-1, (2, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        return key, value

    def forward(self, x: Tensor, memory: tuple[Tensor, Tensor], mask: Tensor | None = None) -> Tensor:
        """Attend.

        Args:
            x: (B, Q, D), where the queries come from.
            memory: What :meth:`memory` gave.
            mask: (B, 1, 1, S) bool, True where a key may be seen; None when all may.

        Returns:
            (B, Q, D).
        """
        dropout = self.dropout.p if self.training else 0.0
        context = F.scaled_dot_product_attention(self._query(x), *memory, attn_mask=mask, dropout_p=dropout)
        return self.out(context.transpose(1, 2).flatten(2))

    def forward_with_weights(
        self, x: Tensor, memory: tuple[Tensor, Tensor], mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """As the call, with the weights (B, Q, S), at least float32: a distribution over the keys, the mean of the heads'."""
        key, value = memory
        query = self._query(x)
        scores = query @ key.transpose(-2, -1) * query.shape[-1] ** -0.5  # (B, H, Q, S)
        scores = scores if mask is None else scores.masked_fill(~mask, float("-inf"))
        weights = scores.softmax(-1, dtype=torch.promote_types(scores.dtype, torch.float32))
        context = self.dropout(weights).to(value.dtype) @ value
        return self.out(context.transpose(1, 2).flatten(2)), weights.mean(1)

    def _query(self, x: Tensor) -> Tensor:
        return self.query(x).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)


class RotarySelfAttention(SelfAttention):
    """Attention whose scores see the distance of frames because queries and keys are turned by their positions.

    Su et al., 2021, RoFormer, eq. 34; ``positions`` is (T, d): interleaved sine and cosine.
    """

    def attend(self, query: Tensor, key: Tensor, value: Tensor, positions: Tensor | None, mask: Tensor | None) -> Tensor:
        """Turn query and key (B, H, T, d), then attend."""
        assert positions is not None
        return super().attend(rotate(query, positions), rotate(key, positions), value, None, mask)


def rotate(x: Tensor, positions: Tensor) -> Tensor:
    """Turn each pair ``(x_2i, x_2i+1)`` by the angle whose sine and cosine are ``positions[:, 2i : 2i + 2]``.

    Args:
        x: (..., T, d).
        positions: (T, d) interleaved sine and cosine.

    Returns:
        (..., T, d) in the type of ``x``.
    """
    sine, cosine = positions.to(x.dtype).unflatten(-1, (-1, 2)).unbind(-1)  # (T, d / 2)
    even, odd = x.unflatten(-1, (-1, 2)).unbind(-1)
    return torch.stack([even * cosine - odd * sine, odd * cosine + even * sine], dim=-1).flatten(-2)


class RelativeSelfAttention(SelfAttention):
    """Attention whose scores also depend on the distance of frames (Dai et al., 2019, Transformer-XL, section 3.3).

    ``score[i, j] = ((q_i + u) . k_j + (q_i + v) . r_{i-j}) / sqrt(d)``; ``r`` is a projection of the sinusoid of the
    distance; u and v are learned per head. ``positions`` is (2T - 1, D), distances from T - 1 down to 1 - T.
    """

    def __init__(self, dim: int, num_heads: int, dropout: float = 0.0) -> None:
        super().__init__(dim, num_heads, dropout)
        self.distance = Linear(dim, dim, bias=False)
        self.content_bias = nn.Parameter(torch.empty(num_heads, 1, self.head_dim))
        self.distance_bias = nn.Parameter(torch.empty(num_heads, 1, self.head_dim))
        nn.init.xavier_uniform_(self.content_bias.squeeze(1))
        nn.init.xavier_uniform_(self.distance_bias.squeeze(1))

    def attend(self, query: Tensor, key: Tensor, value: Tensor, positions: Tensor | None, mask: Tensor | None) -> Tensor:
        """Attend with content and distance scores."""
        assert positions is not None
        # Heads first: then all utterances share one product with the distances of a head.
        query, key, value = (part.transpose(0, 1) for part in (query, key, value))  # (H, B, T, d)
        distances = self.distance(positions).unflatten(-1, (self.num_heads, -1)).transpose(0, 1)  # (H, 2T - 1, d)
        biases = (bias.to(query.dtype) for bias in (self.content_bias, self.distance_bias))
        hidden = None if mask is None else ~mask.transpose(0, 1)  # (1, B, 1, T)
        scores = _RelativeScores.apply(query, key, distances, *biases, hidden)
        return (self.dropout(scores.softmax(dim=-1)) @ value).transpose(0, 1)


class _RelativeScores(torch.autograd.Function):
    """``((q_i + u) . k_j + (q_i + v) . r_{i-j}) / sqrt(d)``, with as few passes over T x T numbers as can be.

    query, key: (H, B, T, d); distances: (H, 2T - 1, d); u, v: (H, 1, d); hidden: (1, B, 1, T) or None, True where the
    score shall be minus infinity; scores: (H, B, T, T).
    """

    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, distances: Tensor, u: Tensor, v: Tensor, hidden: Tensor | None
    ) -> Tensor:
        heads, batch, length, dim = query.shape
        scale = dim**-0.5
        by_content, by_distance = (
            torch.add(bias.unsqueeze(1) * scale, query, alpha=scale, out=query.new_empty(query.shape)) for bias in (u, v)
        )
        key = key.contiguous()
        ctx.save_for_backward(by_content, by_distance, key, distances)
        by_distance = torch.bmm(by_distance.flatten(1, 2), distances.transpose(1, 2))  # (H, B T, 2T - 1)
        scores = torch.baddbmm(
            relative_shift(by_distance.view(heads, batch, length, -1)).flatten(0, 1),
            by_content.flatten(0, 1),
            key.flatten(0, 1).transpose(1, 2),
        )
        scores = scores.view(heads, batch, length, length)
        return scores if hidden is None else scores.masked_fill_(hidden, float("-inf"))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        by_content, by_distance, key, distances = ctx.saved_tensors
        heads, batch, length, dim = key.shape
        flat_grad = grad.contiguous().flatten(0, 1)
        grad_content = torch.bmm(flat_grad, key.flatten(0, 1)).view(key.shape)
        grad_key = torch.bmm(flat_grad.transpose(1, 2), by_content.flatten(0, 1)).view(key.shape)
        shifted = grad.new_zeros(heads, batch, length, 2 * length - 1)
        relative_shift(shifted).copy_(grad)
        shifted = shifted.flatten(1, 2)  # (H, B T, 2T - 1)
        grad_distance = torch.bmm(shifted, distances).view(key.shape)
        grad_distances = torch.bmm(shifted.transpose(1, 2), by_distance.flatten(1, 2))
        scale = dim**-0.5
        grad_u, grad_v = (part.sum(dim=(1, 2)).unsqueeze(1) * scale for part in (grad_content, grad_distance))
        return grad_content.add_(grad_distance).mul_(scale), grad_key, grad_distances, grad_u, grad_v, None


def relative_shift(x: Tensor) -> Tensor:
    """A view of scores by distance as scores by key: ``y[..., i, j] = x[..., i, T - 1 - i + j]``.

    Args:
        x: (A, B, T, 2T - 1) contiguous, column c for the distance ``i - j = T - 1 - c``.

    Returns:
        (A, B, T, T), a view.
    """
    length = x.shape[2]
    if length == 1:
        return x
    # y[i, j] lies at T - 1 + i (2T - 2) + j of the flattened x: rows of 2T - 2.
    flat = x.flatten(2).narrow(-1, length - 1, length * (2 * length - 2))
    return flat.unflatten(-1, (length, 2 * length - 2))[..., :length]


_ATTENTION: dict[str, type[SelfAttention]] = {"relative": RelativeSelfAttention, "rotary": RotarySelfAttention}


def make_attention(position: Position, dim: int, num_heads: int, dropout: float = 0.0) -> SelfAttention:
    """The attention that goes with the position module called ``position``."""
    return _ATTENTION.get(position, SelfAttention)(dim, num_heads, dropout)
