"""The transducer's loss straight from projected encodings and predictions: the logits of all cells are never held at once.

A cell's distribution is ``softmax(W tanh(a_t + b_u) + c)``. Of its V logits the lattice needs two log-probabilities, so the
forward pass goes over the cells chunk by chunk and keeps those two numbers; the lattice then says how often paths pass each
cell, and the backward pass goes over the cells again. Only cells that some path can pass are computed, packed into a list:
padding costs nothing, and the windows of a pruned transducer are the same computation with fewer cells.

A cell of occupancy gamma adds at most 2 gamma to the gradient of its logits (in L1 norm), and most of a lattice is far from
every likely path. The backward pass leaves out the least passed cells, as many as together have less than 2^-24 in their
frame and at their position (2^-53 in double precision): half a unit in the last place of 1, which is what the occupancies
of a frame sum to at least.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from speechkit.graphs.kernels import Kernel
from speechkit.graphs.transducer import Topology, cells_on_paths, forward_backward
from speechkit.graphs.transducer_numba import tanh_of_sums
from speechkit.utils.lens import padding_mask

LOGITS_PER_CHUNK = {"cpu": 1 << 19, "cuda": 1 << 26}
"""Unless the options say otherwise: what stays in the cache of a CPU, what fills a GPU."""
TANH_LIMIT = 40.0  # exp(2 * 40) is far from overflow in float32


class JointOptions(NamedTuple):
    """How :func:`joint_loss` computes."""

    topology: Topology = "regular"
    """Where a token leads to; see :mod:`speechkit.graphs.transducer`."""
    fastemit: float = 0.0
    """Lambda of FastEmit; see :func:`speechkit.graphs.transducer.transducer_loss`."""
    chunk: int | None = None
    """Cells whose hidden vectors and logits are held at the same time; None for what suits the device."""
    cache: float = 256.0
    """MiB of log-probabilities that the forward pass may keep for the backward pass, which computes all others again."""
    neglect: float | None = None
    """Occupancy that the backward pass may leave out, in sum over any frame and over any position; None for half a unit in
    the last place of 1, 0 for none."""
    kernel: Kernel = "auto"
    """Implementation of the lattice."""


DEFAULTS = JointOptions()


@dataclass(frozen=True)
class Cells:
    """N cells of a batch, utterance by utterance and frame by frame.

    Args:
        index: (N,) places in a flat lattice (B, S, U + 1).
        frame: (N,) rows of the encodings (B * S, J).
        position: (N,) rows of the predictions (B * (U + 1), J).
        label: (N,) ids of the next token; the blank after the last one.
    """

    index: Tensor
    frame: Tensor
    position: Tensor
    label: Tensor

    @classmethod
    def of(cls, chosen: Tensor, tokens: Tensor, blank_id: int) -> Cells:
        """The cells where ``chosen`` (B, S, U + 1) is True, for ``tokens`` (B, U)."""
        _, num_frames, width = chosen.shape
        index = chosen.flatten().nonzero().flatten()
        frame = index // width
        position = frame // num_frames * width + index % width
        return cls(index, frame, position, F.pad(tokens, (0, 1), value=blank_id).flatten()[position])

    def __len__(self) -> int:
        return len(self.index)

    def at(self, places: slice | Tensor) -> Cells:
        """Some of them."""
        return Cells(self.index[places], self.frame[places], self.position[places], self.label[places])


class Joiner:
    """``log_softmax(W tanh(a_t + b_u) + c)`` of lists of cells, the products in autocast's type where that is on.

    Args:
        encoded: (B, S, J) projected encodings.
        predicted: (B, U + 1, J) projected predictions.
        weight: (V, J).
        bias: (V,).
        cells: All that will be computed.
    """

    def __init__(self, encoded: Tensor, predicted: Tensor, weight: Tensor, bias: Tensor, cells: Cells) -> None:
        device = encoded.device.type
        products = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else weight.dtype
        self.weight, self.bias = weight.detach().to(products), bias.detach().to(products)
        self.dtype = torch.promote_types(weight.dtype, torch.float32)
        self.encoded, self.predicted = encoded.detach().flatten(0, 1), predicted.detach().flatten(0, 1)
        self.exponentials = None
        if device == "cpu":  # where tanh takes as long as a third of a product
            self.encoded, self.predicted = self.encoded.to(self.dtype), self.predicted.to(self.dtype)
            rows = (self.encoded, cells.frame), (self.predicted, cells.position)  # what stands in the padding has no say
            if len(cells) and all(bool(each.abs().amax(1)[used].max() < TANH_LIMIT) for each, used in rows):
                self.exponentials = [(2 * each).exp().numpy() for each, _ in rows]

    def hidden(self, cells: Cells) -> Tensor:
        """(N, J) in the type of the products."""
        if self.exponentials is not None:
            out = self.encoded.new_empty(len(cells), self.encoded.shape[1])
            tanh_of_sums(*self.exponentials, cells.frame.numpy(), cells.position.numpy(), out.numpy())
        else:
            out = self.encoded.index_select(0, cells.frame) + self.predicted.index_select(0, cells.position)
            out.tanh_()
        return out.to(self.weight.dtype)

    def log_probs(self, hidden: Tensor, out: Tensor | None = None) -> Tensor:
        """(N, V) float32 or float64; written to ``out`` where that is given."""
        return torch.log_softmax(torch.addmm(self.bias, hidden, self.weight.T), 1, dtype=self.dtype, out=out)


def joint_loss(
    encoded: Tensor,
    predicted: Tensor,
    weight: Tensor,
    bias: Tensor,
    tokens: Tensor,
    frame_lens: Tensor,
    token_lens: Tensor,
    blank_id: int = 0,
    options: JointOptions = DEFAULTS,
    chosen: Tensor | None = None,
) -> Tensor:
    """Minus the log-likelihood of each transcript, differentiable in the first four arguments.

    Args:
        encoded: (B, S, J) projected encodings a.
        predicted: (B, U + 1, J) projected predictions b.
        weight: (V, J) W.
        bias: (V,) c.
        tokens: (B, U) int64; what stands in the padding does not matter.
        frame_lens: (B,) int64.
        token_lens: (B,) int64.
        blank_id: Id of the blank.
        options: How to compute.
        chosen: (B, S, U + 1) bool: paths are restricted to these cells; None for no restriction.

    Returns:
        (B,) nats, float32, or float64 if the weight is; ``+inf``, with zero gradient, where there is no path.
    """
    cells = _cells(encoded.shape[1], tokens, frame_lens, token_lens, blank_id, options.topology, chosen)
    factors = (encoded, predicted, weight, bias)
    is_learning = torch.is_grad_enabled() and any(factor.requires_grad for factor in factors)
    return _JointLoss.apply(*factors, cells, frame_lens, token_lens, blank_id, options, is_learning)


@torch.no_grad()
def joint_log_probs(
    encoded: Tensor,
    predicted: Tensor,
    weight: Tensor,
    bias: Tensor,
    tokens: Tensor,
    frame_lens: Tensor,
    token_lens: Tensor,
    blank_id: int = 0,
    options: JointOptions = DEFAULTS,
) -> tuple[Tensor, Tensor]:
    """What :func:`joint_loss` gives to the lattice: log-probabilities (B, S, U + 1) of the blank and (B, S, U) of the next
    token, ``-inf`` in cells that no path comes through; arguments as there."""
    cells = _cells(encoded.shape[1], tokens, frame_lens, token_lens, blank_id, options.topology)
    joiner = Joiner(encoded, predicted, weight, bias, cells)
    return _two_of_each(joiner, cells, (*encoded.shape[:2], predicted.shape[1]), blank_id, options, None)


def significant(occupancy: Tensor, neglect: float) -> Tensor:
    """(B, S, U + 1) bool: all cells but the least, whose sum over a frame, and over a position, is at most ``neglect``."""
    left_out = torch.ones_like(occupancy, dtype=torch.bool)
    for dim in (1, 2):
        values = occupancy.sort(dim).values
        least_kept = values.where(values.cumsum(dim) > neglect, torch.inf).amin(dim, keepdim=True)
        left_out &= occupancy < least_kept
    return ~left_out  # NaN is not left out, so that it is noticed


def _cells(
    num_frames: int, tokens: Tensor, frame_lens: Tensor, token_lens: Tensor, blank_id: int, topology: Topology,
    chosen: Tensor | None = None,
) -> Cells:  # fmt: skip
    tokens = tokens.masked_fill(padding_mask(token_lens, tokens.shape[1]), blank_id)
    on_paths = cells_on_paths(frame_lens, token_lens, num_frames, tokens.shape[1], topology)
    return Cells.of(on_paths if chosen is None else on_paths & chosen, tokens, blank_id)


def _chunks(cells: int, vocab_size: int, device: torch.device, options: JointOptions, border: int = 0) -> Iterator[slice]:
    """Cut ``range(cells)``, also at ``border``."""
    logits = LOGITS_PER_CHUNK.get(device.type, LOGITS_PER_CHUNK["cuda"])
    size = options.chunk or max(1, logits // vocab_size)
    for first, last in ((0, border), (border, cells)):
        for start in range(first, last, size):
            yield slice(start, min(start + size, last))


def _two_of_each(
    joiner: Joiner, cells: Cells, shape: tuple[int, int, int], blank_id: int, options: JointOptions, cache: Tensor | None
) -> tuple[Tensor, Tensor]:
    """The lattice's log-probabilities; the first cells' distributions go to ``cache`` (K, V)."""
    blank, label = joiner.encoded.new_full((2, shape[0] * shape[1] * shape[2]), -torch.inf, dtype=joiner.dtype)
    kept = 0 if cache is None else len(cache)
    with torch.autocast(blank.device.type, enabled=False):
        for chunk in _chunks(len(cells), len(joiner.weight), blank.device, options, kept):
            part = cells.at(chunk)
            log_probs = joiner.log_probs(joiner.hidden(part), cache[chunk] if chunk.start < kept else None)
            blank[part.index] = log_probs[:, blank_id]
            label[part.index] = log_probs.gather(1, part.label[:, None])[:, 0]
    return blank.view(shape), label.view(shape)[..., :-1]


class _JointLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, encoded: Tensor, predicted: Tensor, weight: Tensor, bias: Tensor, cells: Cells,
        frame_lens: Tensor, token_lens: Tensor, blank_id: int, options: JointOptions, is_learning: bool,
    ) -> Tensor:  # fmt: skip
        joiner = Joiner(encoded, predicted, weight, bias, cells)
        shape, vocab_size = (*encoded.shape[:2], predicted.shape[1]), len(weight)
        kept = int(options.cache * 2**20 / (vocab_size * joiner.dtype.itemsize)) if is_learning else 0
        cache = bias.new_empty((min(kept, len(cells)), vocab_size), dtype=joiner.dtype)
        log_probs = _two_of_each(joiner, cells, shape, blank_id, options, cache)
        result = forward_backward(*log_probs, frame_lens, token_lens, options.topology, options.kernel)
        if not is_learning:
            return -result.log_likelihood
        blank, label = result.blank, F.pad(result.label, (0, 1)) * (1 + options.fastemit)
        neglect = torch.finfo(joiner.dtype).eps / 2 if options.neglect is None else options.neglect
        places = significant(blank + label, neglect).flatten()[cells.index].nonzero().flatten()
        blank, label = blank.flatten()[cells.index], label.flatten()[cells.index]
        cells = cells.at(places)
        ctx.joiner, ctx.blank_id, ctx.options = joiner, blank_id, options
        ctx.save_for_backward(encoded, predicted, weight, bias, cache, places, blank[places], label[places],
                              cells.index, cells.frame, cells.position, cells.label)  # fmt: skip
        return -result.log_likelihood

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        *factors, cache, places, blank, label = ctx.saved_tensors[:8]
        cells, joiner = Cells(*ctx.saved_tensors[8:]), ctx.joiner
        of_utterance = grad.to(joiner.dtype)[cells.frame // factors[0].shape[1]]
        blank, label = blank * of_utterance, label * of_utterance
        grads = [torch.zeros_like(factor, dtype=joiner.dtype) for factor in factors]
        by_frame, by_position = (each.view(-1, each.shape[2]) for each in grads[:2])
        border = int((places < len(cache)).sum())
        with torch.autocast(grad.device.type, enabled=False):
            for chunk in _chunks(len(cells), cache.shape[1], grad.device, ctx.options, border):
                part = cells.at(chunk)
                hidden = joiner.hidden(part)
                kept = chunk.start < border
                log_probs = cache.index_select(0, places[chunk]) if kept else joiner.log_probs(hidden)
                of_logits = log_probs.exp_().mul_((blank[chunk] + label[chunk])[:, None])
                of_logits[:, ctx.blank_id] -= blank[chunk]
                of_logits.scatter_add_(1, part.label[:, None], -label[chunk, None])
                grads[3] += of_logits.sum(0)
                of_logits = of_logits.to(hidden.dtype)
                grads[2] += of_logits.T @ hidden
                of_sums = torch.ops.aten.tanh_backward(of_logits @ joiner.weight, hidden).to(joiner.dtype)
                by_frame.index_add_(0, part.frame, of_sums)
                by_position.index_add_(0, part.position, of_sums)
        return *(each.to(factor.dtype) for each, factor in zip(grads, factors)), None, None, None, None, None, None
