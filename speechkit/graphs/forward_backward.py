"""The log-sum over all paths of a graph through a batch of frame scores, with its exact gradient."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Literal

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

from speechkit.graphs.forward_backward_log import log_sums, log_sums_of_each
from speechkit.graphs.forward_backward_log_torch import log_sums as torch_log_sums
from speechkit.graphs.graph import Graph
from speechkit.graphs.kernels import pick_kernel
from speechkit.graphs.label_graph import LabelGraphs
from speechkit.graphs.nodes import Nodes
from speechkit.utils.lens import padding_mask

Kernel = Literal["auto", "numba", "torch", "dense", "triton"]
KERNELS = ("numba", "torch", "dense", "triton")
"""The modules ``forward_backward_<kernel>``, each with a class ``Sums(nodes, device)`` to be called for batches.

In go probabilities (B, S, C) float64 of the classes that the graph has, divided by the highest one of the frame, and zero
behind the lengths; the lengths (B,); and whether the result is to be more precise than float32. Out come total scores (B,),
occupancies (B, S, C) and exact (B,) bool, False where so much of the sum was too small a number in comparison that the rest
may be wrong; such utterances are computed again with logarithms."""


class TotalScore:
    """``log sum over paths of exp(score)`` of one graph, for batches of utterances.

    With e running over the arcs of a path, t over the frames, and l_t the label of the arc that takes frame t, the score of
    a path is ``initial + sum_e weight(e) + sum_t scores[t, l_t] + final``. With weights and scores as probabilities, each
    frame's scaled to a sum of one (Rabiner 1989, section V.A), a frame costs a multiplication and an addition per arc::

        alpha_t(n) = p_t(label n) * sum over arcs m -> n of w * alpha_{t-1}(m)
        beta_t(m) = sum over arcs m -> n of w * p_{t+1}(label n) * beta_{t+1}(n)

    The gradient is the occupancy, ``sum over nodes with the label of alpha_t beta_t`` divided by the total. Sums are in double
    precision whatever the type of the scores, and memory grows with the graph's nodes, not its arcs.

    Args:
        graph: Of any size.
        kernel: What computes it; ``auto`` is numba in main memory, Triton on CUDA where it is installed, else torch, and on
            all of them matrix products (dense) for graphs with so many arcs that this is faster.
    """

    def __init__(self, graph: Graph, kernel: Kernel = "auto") -> None:
        if kernel not in ("auto", *KERNELS):
            raise ValueError(f"kernel: expected auto, {', '.join(KERNELS)}, got {kernel!r}")
        self.graph = graph
        self.kernel = kernel
        self.nodes = Nodes.of(graph)
        self._sums: dict[torch.device, Callable] = {}

    def __call__(self, scores: Tensor, lens: Tensor) -> Tensor:
        """The total score of each utterance.

        Args:
            scores: (B, S, V) log-scores (nats) of each class in each frame; need not be normalised.
            lens: (B,) int64 frames per utterance; frames behind them are never used.

        Returns:
            (B,) nats, float64 if ``scores`` is, else float32. ``-inf``, with zero gradient, for an utterance without a path;
            NaN, with a gradient of NaN, for one with a score of NaN or ``+inf``.

        Raises:
            ValueError: The graph has labels that ``scores`` has no class for.
        """
        self.graph.check_classes(scores.shape[2])
        return _PathSum.apply(scores, lens, self._compute).to(torch.promote_types(scores.dtype, torch.float32))

    def _sums_on(self, device: torch.device) -> Callable:
        if device not in self._sums:
            module = import_module(f"speechkit.graphs.forward_backward_{self._kernel_on(device)}")
            self._sums[device] = module.Sums(self.nodes, device)
        return self._sums[device]

    def _kernel_on(self, device: torch.device) -> str:
        kernel = self.kernel
        if kernel == "auto":
            kernel = "dense" if self._is_dense_on(device) else pick_kernel(device)
        if kernel == "numba" and device.type != "cpu":
            raise ValueError(f"kernel: expected auto, torch, dense or triton for scores on {device}, got numba")
        return kernel

    def _is_dense_on(self, device: torch.device) -> bool:
        # An element of a full matrix takes about a quarter of the time of an arc of a sparse one, but on GPUs, in small graphs,
        # the calls take longer than the products.
        least = 1 if device.type == "cpu" else 100
        return least**2 <= self.nodes.num_emitting**2 <= 4 * self.nodes.num_arcs

    def _compute(self, scores: Tensor, lens: Tensor, highest: Tensor, padding: Tensor) -> tuple[Tensor, Tensor]:
        """Total scores (B,) and occupancies (B, S, V) for scores that have no NaN and no ``+inf``, with the highest of each
        frame (B, S), 0 in padding."""
        classes = torch.from_numpy(self.nodes.classes).to(scores.device)
        few = scores if len(classes) == scores.shape[2] else scores.index_select(2, classes)
        shift = highest.double().masked_fill(highest == -torch.inf, 0.0)
        probs = few.double().sub(shift.unsqueeze(2)).exp_().masked_fill_(padding.unsqueeze(2), 0.0)
        totals, occupancies, exact = self._sums_on(scores.device)(probs, lens, scores.dtype == torch.float64)
        totals += shift.sum(1)
        again = (~exact & (lens > 0)).nonzero().flatten()
        if len(again):
            totals[again], occupancies[again] = log_sums(self.nodes, few[again], lens[again])
        if few is not scores:
            occupancies = occupancies.new_zeros(scores.shape).index_copy_(2, classes, occupancies)
        return totals.where(lens > 0, self.nodes.no_frames), occupancies


EachKernel = Literal["auto", "numba", "torch"]


def total_score_of_each(graphs: LabelGraphs, scores: Tensor, lens: Tensor, kernel: EachKernel = "auto") -> Tensor:
    """``log sum over paths of exp(score)`` with a graph for each utterance; see :class:`TotalScore`.

    The graphs may have single paths through thousands of frames, far from the likeliest labels, so sums are of logarithms.

    Args:
        graphs: B of them.
        scores: (B, S, V) log-scores (nats).
        lens: (B,) int64.
        kernel: ``auto`` is numba, on GPUs as well: these graphs are small, and many short steps are what CPUs are good at.
    """
    if kernel not in ("auto", "numba", "torch"):
        raise ValueError(f"kernel: expected auto, numba, torch, got {kernel!r}")
    sums = torch_log_sums if kernel == "torch" else log_sums_of_each
    if graphs.num_classes > scores.shape[2]:
        got = graphs.num_classes - 1
        raise ValueError(f"graphs: expected labels below {scores.shape[2]}, got {got}; use this model's tokenizer")

    def compute(scores: Tensor, lens: Tensor, highest: Tensor, padding: Tensor) -> tuple[Tensor, Tensor]:
        totals, occupancies = sums(graphs, scores, lens)
        return totals.where(lens > 0, torch.from_numpy(graphs.no_frames).to(totals)), occupancies

    return _PathSum.apply(scores, lens, compute).to(torch.promote_types(scores.dtype, torch.float32))


class _PathSum(torch.autograd.Function):
    """From scores (B, S, V) to totals (B,) float64."""

    @staticmethod
    def forward(ctx: FunctionCtx, scores: Tensor, lens: Tensor, compute: Callable) -> Tensor:
        padding = padding_mask(lens, scores.shape[1])
        highest = scores.detach().amax(2)
        unknown = ~(highest < torch.inf)  # of NaN as well
        hidden = padding | unknown
        masked = scores.detach().masked_fill(hidden.unsqueeze(2), 0.0)
        totals, occupancies = compute(masked, lens, highest.masked_fill(hidden, 0.0), padding)
        wrong = (unknown & ~padding).any(1)
        if ctx.needs_input_grad[0]:
            ctx.save_for_backward(occupancies.to(scores.dtype), wrong)
        return totals.masked_fill(wrong, torch.nan)

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, grad: Tensor) -> tuple[Tensor | None, ...]:
        occupancies, wrong = ctx.saved_tensors
        grad = grad.masked_fill(wrong & (grad != 0), torch.nan).to(occupancies.dtype)
        return grad[:, None, None] * occupancies, None, None
