"""The lattice of transducers: the likelihood of a transcript summed over all its paths, and what passes through each cell.

In the cell (t, u), frame t after u tokens, a path emits either the blank or token u + 1. The blank always moves on to the
next frame, (t + 1, u). What a token does is the *topology*:

========== ============================ ====================================== =====================
topology   a token moves to             meaning                                paths of U in S frames
========== ============================ ====================================== =====================
regular    (t, u + 1)                   any number of tokens in a frame, then   C(S + U - 1, U)
                                        a blank (Graves 2012, arXiv:1211.3711)
monotonic  (t + 1, u + 1)               one symbol per frame, token or blank    C(S, U)
                                        (recurrent neural aligner, Sak et al.
                                        2017; monotonic RNN-T, Tripathi et al.
                                        2019)
modified   as monotonic                 another name for it (k2, icefall)       C(S, U)
========== ============================ ====================================== =====================

Every path leads from (0, 0) to (S, U); with the regular topology its last move is therefore a blank. The sums are in
double precision whatever the scores are. Three implementations give the same numbers: numba on the CPU, Triton on GPUs,
and vectorised torch, which runs anywhere.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from speechkit.graphs.kernels import Kernel, pick_kernel

Topology = Literal["regular", "modified", "monotonic"]


class Occupancies(NamedTuple):
    """What :func:`forward_backward` computes.

    Args:
        log_likelihood: (B,) log of the sum over all paths (nats); ``-inf`` where there is none.
        blank: (B, S, U + 1) expected number of times that a path emits the blank in a cell, in [0, 1].
        label: (B, S, U) the same for the token.
    """

    log_likelihood: Tensor
    blank: Tensor
    label: Tensor


def labels_stay(topology: Topology) -> bool:
    """Whether a token leaves the path in its frame.

    Raises:
        ValueError: There is no such topology.
    """
    if topology not in ("regular", "modified", "monotonic"):
        raise ValueError(f"topology: expected regular, modified or monotonic, got {topology!r}")
    return topology == "regular"


def has_path(frame_lens: Tensor, token_lens: Tensor, topology: Topology) -> Tensor:
    """(B,) bool: whether there are frames enough: one if tokens stay in their frame, else one per token.

    Where there are neither frames nor tokens there is one path, the empty one, with probability 1.
    """
    return frame_lens >= (token_lens.clamp(max=1) if labels_stay(topology) else token_lens)


def cells_on_paths(frame_lens: Tensor, token_lens: Tensor, num_frames: int, num_tokens: int, topology: Topology) -> Tensor:
    """(B, S, U + 1) bool: the cells that some path comes through; all cells of an utterance, or two triangles less."""
    t = torch.arange(num_frames, device=frame_lens.device)[:, None]
    u = torch.arange(num_tokens + 1, device=frame_lens.device)
    frame_lens, token_lens = frame_lens[:, None, None], token_lens[:, None, None]
    cells = (t < frame_lens) & (u <= token_lens)
    if not labels_stay(topology):
        cells &= (u <= t) & (token_lens - u <= frame_lens - t)
    return cells


def transducer_loss(
    blank: Tensor,
    label: Tensor,
    frame_lens: Tensor,
    token_lens: Tensor,
    topology: Topology = "regular",
    fastemit: float = 0.0,
    kernel: Kernel = "auto",
) -> Tensor:
    """Minus the log-likelihood of each transcript, differentiable in the log-probabilities.

    Args:
        blank: (B, S, U + 1) log-probability of the blank in frame t after u tokens; ``-inf`` closes a way.
        label: (B, S, U) log-probability of token u + 1 there.
        frame_lens: (B,) int64 frames, each <= S.
        token_lens: (B,) int64 tokens, each <= U.
        topology: Where a token leads to.
        fastemit: Lambda of FastEmit (Yu et al. 2021, arXiv:2010.11148): the gradient of tokens, not that of
            blanks, is multiplied by ``1 + fastemit``, which teaches to emit early. The value is that of the loss without it;
            NeMo reports ``(1 + fastemit)`` times this value, with the same gradient as here.
        kernel: Which implementation.

    Returns:
        (B,) nats, float32 or float64 as the scores; ``+inf``, with zero gradient, where there is no path.
    """
    return transducer_loss_and_occupancies(blank, label, frame_lens, token_lens, topology, fastemit, kernel)[0]


def transducer_loss_and_occupancies(
    blank: Tensor,
    label: Tensor,
    frame_lens: Tensor,
    token_lens: Tensor,
    topology: Topology = "regular",
    fastemit: float = 0.0,
    kernel: Kernel = "auto",
) -> tuple[Tensor, Occupancies]:
    """The loss of :func:`transducer_loss`, and the occupancies, through which nothing is differentiated."""
    dtype = torch.promote_types(blank.dtype, torch.float32)
    loss, *occupancies = _TransducerLoss.apply(
        blank.to(dtype), label.to(dtype), frame_lens, token_lens, topology, fastemit, kernel
    )
    return loss, Occupancies(-loss.detach(), *occupancies)


class _TransducerLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, blank: Tensor, label: Tensor, frame_lens: Tensor, token_lens: Tensor,
        topology: Topology, fastemit: float, kernel: Kernel,
    ) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
        result = forward_backward(blank, label, frame_lens, token_lens, topology, kernel)
        ctx.fastemit = fastemit
        ctx.save_for_backward(result.blank, result.label)
        ctx.mark_non_differentiable(result.blank, result.label)
        return -result.log_likelihood, result.blank, result.label

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        blank, label = ctx.saved_tensors
        grad = -grad[:, None, None]
        return grad * blank, grad * (1 + ctx.fastemit) * label, None, None, None, None, None


def forward_backward(
    blank: Tensor,
    label: Tensor,
    frame_lens: Tensor,
    token_lens: Tensor,
    topology: Topology = "regular",
    kernel: Kernel = "auto",
) -> Occupancies:
    """The sum over all paths, and how often each move is made; arguments as for :func:`transducer_loss`.

    ``alpha(t, u)`` sums the paths to a cell, ``beta(t, u)`` those from it on; a move with log-probability l between two
    cells has the occupancy ``exp(alpha + l + beta - log_likelihood)``, which is minus the gradient of the loss in l. What
    stands outside of an utterance does not matter, and its occupancy is 0.
    """
    stays = labels_stay(topology)
    compute = KERNELS[pick_kernel(blank.device, kernel)]
    return Occupancies(*compute(blank.detach(), label.detach(), frame_lens, token_lens, stays))


def _torch(blank: Tensor, label: Tensor, frame_lens: Tensor, token_lens: Tensor, stays: bool) -> tuple[Tensor, ...]:
    """All cells that are equally far from the start at once: a frame, or with regular topology an anti-diagonal.

    Both topologies are then the same chain: ``alpha_{n+1}(u) = logaddexp(alpha_n(u) + blank_n(u), alpha_n(u-1) +
    label_n(u-1))``. Its end is after S (+ U) moves.
    """
    dtype, (num_frames, num_positions) = blank.dtype, blank.shape[1:]
    t, u = torch.arange(num_frames, device=blank.device)[:, None], torch.arange(num_positions, device=blank.device)
    frames, tokens = frame_lens[:, None, None], token_lens[:, None, None]
    blank = blank.double().where((t < frames) & (u <= tokens), -torch.inf)
    label = F.pad(label.double(), (0, 1)).where((t < frames) & (u < tokens), -torch.inf)
    if stays:
        blank, label = _to_diagonals(blank), _to_diagonals(label)
    num_moves = frame_lens + token_lens if stays else frame_lens
    blank, label = blank.transpose(0, 1), label.transpose(0, 1)  # (N, B, U + 1)

    alpha = blank.new_full((len(blank) + 1, *blank.shape[1:]), -torch.inf)
    alpha[0, :, 0] = 0
    for n in range(len(blank)):
        stepped = F.pad((alpha[n] + label[n])[:, :-1], (1, 0), value=-torch.inf)
        torch.logaddexp(alpha[n] + blank[n], stepped, out=alpha[n + 1])
    rows = torch.arange(len(frame_lens), device=blank.device)
    total = alpha[num_moves, rows, token_lens]

    beta = torch.full_like(alpha, -torch.inf)
    beta[num_moves, rows, token_lens] = 0
    after = F.pad(beta, (0, 1), value=-torch.inf)  # one more column, from which no path comes
    for n in range(len(blank) - 1, -1, -1):
        onward = torch.logaddexp(blank[n] + after[n + 1, :, :-1], label[n] + after[n + 1, :, 1:])
        after[n, :, :-1] = torch.logaddexp(after[n, :, :-1], onward)

    # Without a path the exponents are -inf, whatever finite number is taken from them.
    base = alpha[:-1] - total.where(total != -torch.inf, 0.0)[:, None]
    blank = (base + blank + after[1:, :, :-1]).exp().transpose(0, 1)
    label = (base + label + after[1:, :, 1:]).exp().transpose(0, 1)
    if stays:
        blank, label = _from_diagonals(blank, num_frames), _from_diagonals(label, num_frames)
    return total.to(dtype), blank.to(dtype), label[..., :-1].to(dtype)


def _to_diagonals(x: Tensor) -> Tensor:
    """(B, S, U + 1) -> (B, S + U, U + 1) whose row n holds the cells with t + u = n, in column u."""
    columns = F.pad(x.transpose(1, 2), (0, x.shape[2]), value=-torch.inf)
    batch, width, height = columns.shape
    # Read with rows that are one shorter, each column u starts u places later.
    return columns.reshape(batch, -1)[:, :-width].view(batch, width, height - 1).transpose(1, 2)


def _from_diagonals(x: Tensor, num_frames: int) -> Tensor:
    batch, height, width = x.shape
    columns = F.pad(x.transpose(1, 2).reshape(batch, -1), (0, width)).view(batch, width, height + 1)
    return columns[:, :, :num_frames].transpose(1, 2)


def _numba(*args: Any) -> tuple[Tensor, ...]:
    from speechkit.graphs.transducer_numba import forward_backward as compute

    return compute(*args)


def _triton(*args: Any) -> tuple[Tensor, ...]:
    from speechkit.graphs.transducer_triton import forward_backward as compute

    return compute(*args)


KERNELS = {"numba": _numba, "torch": _torch, "triton": _triton}
