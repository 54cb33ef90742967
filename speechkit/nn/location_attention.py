"""Attention with one query at a time, as recurrent decoders have it: by content, and by where the last query looked.

All classes are called alike: ``keys = attention.keys(memory)`` once, then for each query
``weights = attention(groups, query, keys, visible, previous)``. N queries may share B memories, see
:class:`speechkit.nn.groups.Groups`.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from speechkit.nn.groups import Groups

QueryAttentionName = Literal["dot", "additive", "location"]


class DotAttention(nn.Module):
    """``a = softmax(W_q q . W_k k_j / sqrt(A))`` (Chan et al., 2016, Listen, attend and spell, eq. 9 and 10).

    Args:
        query_dim: Width of the queries.
        memory_dim: Width M of the memory.
        dim: Width A in which both are compared.
    """

    def __init__(self, query_dim: int, memory_dim: int, dim: int) -> None:
        super().__init__()
        self.query = nn.Linear(query_dim, dim)
        self.key = nn.Linear(memory_dim, dim, bias=False)

    def keys(self, memory: Tensor) -> Tensor:
        """What of ``memory`` (B, S, M) all queries need: (B, S, A)."""
        return self.key(memory)

    def forward(self, groups: Groups, query: Tensor, keys: Tensor, visible: Tensor, previous: Tensor | None = None) -> Tensor:
        """Where to look.

        Args:
            groups: Which memory each query reads.
            query: (N, Q).
            keys: (B, S, A), from :meth:`keys`.
            visible: (B, S) bool, True where the memory may be seen; at least one per row.
            previous: (N, C, S), what the last queries looked at, where the attention asks for it.

        Returns:
            (N, S) weights at least in float32, which sum to 1 over what is visible and are 0 elsewhere.
        """
        scores = self.score(groups, query, keys, previous).masked_fill(~visible.unsqueeze(1), float("-inf"))  # (B, K, S)
        return groups.collect((scores if scores.dtype.itemsize > 2 else scores.float()).softmax(-1))

    def score(self, groups: Groups, query: Tensor, keys: Tensor, previous: Tensor | None) -> Tensor:
        """Scores (B, K, S) of all frames."""
        return groups.spread(self.query(query)) @ keys.transpose(1, 2) * keys.shape[-1] ** -0.5


class AdditiveAttention(DotAttention):
    """``a = softmax(w . tanh(W_q q + W_k k_j + b))`` (Bahdanau et al., 2015, arXiv:1409.0473, appendix A.1.2)."""

    def __init__(self, query_dim: int, memory_dim: int, dim: int) -> None:
        super().__init__(query_dim, memory_dim, dim)
        self.energy = nn.Linear(dim, 1, bias=False)

    def score(self, groups: Groups, query: Tensor, keys: Tensor, previous: Tensor | None) -> Tensor:
        """Scores (B, K, S) of all frames."""
        hidden = groups.spread(self.query(query)).unsqueeze(2) + keys.unsqueeze(1)  # (B, K, S, A)
        return self.energy(self.add_location(groups, hidden, previous).tanh_()).squeeze(-1)

    def add_location(self, groups: Groups, hidden: Tensor, previous: Tensor | None) -> Tensor:
        """What depends on ``previous`` added to ``hidden`` (B, K, S, A); nothing, here."""
        return hidden


class LocationAttention(AdditiveAttention):
    """``a_j = softmax(w . tanh(W_q q + W_k k_s + U f_s + b))`` with ``f = F * a_{j-1}`` (Chorowski et al., 2015,
    arXiv:1506.07503, eq. 8 and 9): it can go on from where it was, and tell one of several equal sounds from another.

    The convolution is a cross-correlation, ``f_s = sum_i F_i a_{s + i - (width - 1) / 2}``, so F = [1, 0, 0] looks to the
    left: it moves what was seen one frame to the right.

    Args:
        query_dim: Width of the queries.
        memory_dim: Width M of the memory.
        dim: Width A in which both are compared.
        num_filters: Rows of F.
        kernel_size: Frames that a filter spans, odd.
        channels: C, the vectors over the frames that are looked at: the last weights; Tacotron 2 also has their sum.
    """

    def __init__(
        self, query_dim: int, memory_dim: int, dim: int, num_filters: int = 10, kernel_size: int = 31, channels: int = 1
    ) -> None:
        super().__init__(query_dim, memory_dim, dim)
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size: expected an odd number of frames, got {kernel_size}; add 1")
        self.filters = nn.Conv1d(channels, num_filters, kernel_size, padding=kernel_size // 2, bias=False)
        self.location = nn.Linear(num_filters, dim, bias=False)

    def add_location(self, groups: Groups, hidden: Tensor, previous: Tensor | None) -> Tensor:
        """Add the filtered ``previous`` (N, C, S)."""
        assert previous is not None
        located = self.location(self.filters(previous.to(self.filters.weight.dtype)).transpose(1, 2))  # (N, S, A)
        return hidden + groups.spread(located)


def make_query_attention(
    name: QueryAttentionName, query_dim: int, memory_dim: int, dim: int, num_filters: int, kernel_size: int
) -> DotAttention:
    """The attention called ``name``; the last two arguments are those of :class:`LocationAttention`."""
    if name == "location":
        return LocationAttention(query_dim, memory_dim, dim, num_filters, kernel_size)
    return {"dot": DotAttention, "additive": AdditiveAttention}[name](query_dim, memory_dim, dim)
