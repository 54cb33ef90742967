"""Sums over the paths of one graph on the CPU: four utterances side by side, as many fours at once as threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from speechkit.graphs.forward_backward_arcs import ByArcs
from speechkit.graphs.forward_backward_nodes import LANES, ByNodes, State
from speechkit.graphs.nodes import Nodes

MEMORY = 256 << 20  # bytes of forward values that four utterances may keep; beyond, some are computed twice
SLACK = {np.float64: 1e-250, np.float32: 1e-25}  # what must be left of a product, above what its factors lose as zeros


class Form(Protocol):
    """A graph in a form that is computed with, weights being probabilities."""

    initial: np.ndarray
    """(N,) scaled, what paths begin with."""
    num_kept: int
    """K, of the values of a frame those that the backward pass needs."""
    num_betas: int
    """Backward values of a frame."""
    shift: float
    """Logarithm of the scales."""
    loose: type
    """As what forward values are kept where float32 is precise enough."""

    def forward(self, values: np.ndarray, probs: np.ndarray, alphas: np.ndarray) -> None:
        """Pass some frames; ``values[0]`` (N, 4) go in and out, ``values[1]`` is room, ``alphas`` (S, K, 4) are kept."""

    def backward(
        self, alphas: np.ndarray, probs: np.ndarray, lens: np.ndarray, slack: float, room: np.ndarray, state: State
    ) -> None:
        """Pass them again, from the last one; ``probs`` (S, C, 4) become occupancies."""


class FormSums:
    """A graph in some form, ready for utterances."""

    def __init__(self, form: Form) -> None:
        self.form = form

    def __call__(self, probs: Tensor, lens: Tensor, precise: bool) -> tuple[Tensor, Tensor, Tensor]:
        """Total scores, occupancies, and whether they are exact."""
        batch, num_frames, _ = probs.shape
        blocks = range(0, batch, LANES)
        totals, exact = np.zeros(len(blocks) * LANES), np.zeros(len(blocks) * LANES, dtype=bool)
        occupancies = torch.empty_like(probs)

        def one(first: int) -> None:
            few = slice(first, min(first + LANES, batch))
            lanes = np.zeros((num_frames, probs.shape[2], LANES))
            lanes[:, :, : few.stop - first] = probs[few].permute(1, 2, 0).numpy()
            block_lens = np.zeros(LANES, dtype=np.int64)
            block_lens[: few.stop - first] = lens[few].numpy()
            state = self._four(lanes, block_lens, np.float64 if precise else self.form.loose)
            totals[first : first + LANES], exact[first : first + LANES] = state.totals, state.exact
            occupancies[few] = torch.from_numpy(lanes).permute(2, 0, 1)[: few.stop - first]

        threads = min(torch.get_num_threads(), len(blocks))
        if threads > 1:
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(one, blocks))
        else:
            list(map(one, blocks))
        return torch.from_numpy(totals[:batch]), occupancies, torch.from_numpy(exact[:batch])

    def _four(self, probs: np.ndarray, lens: np.ndarray, kept: type) -> State:
        """Of four utterances: probabilities (S, C, 4) in, which become occupancies."""
        form, span = self.form, self._span(len(probs), np.dtype(kept).itemsize)
        starts = range(0, len(probs), span)
        alphas = np.empty((span, form.num_kept, LANES), dtype=kept)
        values = np.empty((2, len(form.initial), LANES))
        values[0] = form.initial[:, None]
        checkpoints = []
        for start in starts:
            checkpoints.append(values[0].copy() if start else values[0])
            form.forward(values, probs[start : start + span], alphas)
        state = State.new(form.num_betas, form.shift)
        for start in reversed(starts):
            frames = probs[start : start + span]
            if start != starts[-1]:
                values[0] = checkpoints[start // span] if start else form.initial[:, None]
                form.forward(values, frames, alphas)
            checkpoints.pop()
            form.backward(alphas, frames, lens - start, SLACK[kept], values[1], state)
        return state

    def _span(self, num_frames: int, size: int) -> int:
        """How many frames' forward values to keep: all, or so few that these and one for each span are fewest."""
        if num_frames * self.form.num_kept * LANES * size <= MEMORY:
            return max(num_frames, 1)
        return int(np.ceil(np.sqrt(num_frames)))


class Sums(FormSums):
    """A graph, ready for utterances; see :data:`speechkit.graphs.forward_backward.KERNELS`."""

    def __init__(self, nodes: Nodes, device: torch.device) -> None:
        # States that are entered with many labels would be many nodes.
        by_nodes = nodes.num_arcs <= 1.25 * nodes.graph.num_arcs
        super().__init__(ByNodes(nodes) if by_nodes else ByArcs(nodes.graph, nodes.classes))
