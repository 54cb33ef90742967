"""The steps of WaveNet, compiled: each layer keeps what its taps will ask for in a ring, so that no output is made twice
(Le Paine et al., 2016, Fast WaveNet generation, arXiv:1611.09482)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from speechkit.models.vocoder.sample_by_sample import SampleLoop, as_array, on_cpu
from speechkit.nn.mu_law import mu_law_decode
from speechkit.nn.sample_kernels import CODES, MIXTURE, compiled, draw_code, draw_mixture, gate, multiply_add, relu
from speechkit.nn.sample_output import MuLawOutput, SampleOutput
from speechkit.nn.wavenet import WaveNetStack


@dataclass(frozen=True)
class WavenetState:
    """What B utterances remember: the inputs of all layers (rows of all rings, B, D), and the last sample or code (B,)."""

    rings: np.ndarray
    last: np.ndarray


class WavenetLoop(SampleLoop):
    """See :class:`SampleLoop`.

    Args:
        output: What samples are drawn from.
        table: The first layer: an embedding of codes, or linear in the sample.
        stack: The convolutions.
        hidden: Behind the skips.
        out: To the parameters of a sample.
    """

    def __init__(self, output: SampleOutput, table: nn.Module, stack: WaveNetStack, hidden: nn.Linear, out: nn.Linear) -> None:
        layers = stack.layers()
        of_codes = isinstance(output, MuLawOutput)
        self.last = (output.width - 1) // 2 + 1 if of_codes else 0  # of silence
        self.cond_weight = on_cpu(stack.cond.weight.squeeze(2))
        self.cond_bias = on_cpu(torch.cat([layer.conv.bias for layer in layers]))
        steps = [dilation * (stack.kernel_size - 1) + 1 for dilation in stack.dilations]
        self.num_rows, self.dim, self.dtype = sum(steps), stack.dim, as_array(out.weight).dtype
        pads = [(stack.dim + stack.skip_dim - len(layer.out.bias), 0) for layer in layers]
        self.facts = np.array([CODES if of_codes else MIXTURE, stack.kernel_size, stack.skip_dim], dtype=np.int64)
        self.rings = np.stack([np.cumsum([0, *steps[:-1]]), steps, stack.dilations], axis=1).astype(np.int64)
        self.weights = (
            as_array(table.weight if of_codes else table.weight.t()),
            as_array(hidden.weight.t()),
            as_array(out.weight.t()),
        )
        if of_codes:
            table_bias = np.zeros(stack.dim, self.dtype)
            levels = as_array(mu_law_decode(torch.arange(output.width), output.width - 1)).astype(self.dtype)
        else:
            table_bias, levels = as_array(table.bias), np.array([output.log_scale_floor], self.dtype)
        self.biases = (table_bias, as_array(hidden.bias), as_array(out.bias), levels)
        self.convs = np.stack([as_array(layer.conv.weight.permute(2, 1, 0)) for layer in layers])  # (layers, K, D, 2 D)
        self.outs = np.stack([as_array(F.pad(layer.out.weight.squeeze(2).t(), pad)) for layer, pad in zip(layers, pads)])
        self.out_biases = np.stack([as_array(F.pad(layer.out.bias, pad)) for layer, pad in zip(layers, pads)])

    def project(self, cond: Tensor) -> Tensor:
        """See :meth:`SampleLoop.project`."""
        return F.linear(cond, self.cond_weight, self.cond_bias)

    def start(self, rows: int) -> WavenetState:
        """See :meth:`SampleLoop.start`."""
        return WavenetState(np.zeros((self.num_rows, rows, self.dim), self.dtype), np.full(rows, self.last, self.dtype))

    def run(
        self, state: WavenetState, first: int, projected: np.ndarray, noise: np.ndarray, lens: np.ndarray, out: np.ndarray
    ) -> None:
        """See :meth:`SampleLoop.run`."""
        weights = self.weights, self.biases, self.convs, self.outs, self.out_biases
        _run(first, projected, noise, lens, out, state.rings, state.last, self.facts, self.rings, *weights)


@compiled
def _run(
    first: int,
    projected: np.ndarray,
    noise: np.ndarray,
    lens: np.ndarray,
    out: np.ndarray,
    history: np.ndarray,
    last: np.ndarray,
    facts: np.ndarray,
    rings: np.ndarray,
    weights: tuple[np.ndarray, ...],
    biases: tuple[np.ndarray, ...],
    convs: np.ndarray,
    outs: np.ndarray,
    out_biases: np.ndarray,
) -> None:
    """See :meth:`SampleLoop.run`; ``rings`` holds each layer's first row, number of rows and dilation."""
    kind, taps, skip_dim = facts
    table, hidden_weight, last_weight = weights
    table_bias, hidden_bias, last_bias, levels = biases
    dim, batch = convs.shape[2], projected.shape[1]
    x, filters = np.empty((batch, dim), out.dtype), np.empty((batch, 2 * dim), out.dtype)
    z, both = np.empty((batch, dim), out.dtype), np.empty((batch, dim + skip_dim), out.dtype)
    skips, hidden = np.empty((batch, skip_dim), out.dtype), np.empty((batch, len(hidden_bias)), out.dtype)
    params = np.empty((batch, len(last_bias)), out.dtype)
    work, scratch = np.empty(max(2 * dim, len(last_bias))), np.empty(max(2 * dim, len(last_bias)))
    active = batch
    for step in range(len(projected)):
        t = first + step
        while active > 0 and lens[active - 1] <= t:
            active -= 1
        for b in range(active):
            x[b] = table[int(last[b])] if kind == CODES else last[b] * table[0] + table_bias
            skips[b] = 0
        for i in range(len(rings)):
            begin, size, dilation = rings[i]
            history[begin + t % size, :active] = x[:active]
            filters[:active] = projected[step, :active, 2 * i * dim : 2 * (i + 1) * dim]
            for tap in range(taps):
                # Rows that nobody has written yet are 0, as is what lies before the first sample.
                row = (t + size - (taps - 1 - tap) * dilation) % size
                multiply_add(history[begin + row, :active], convs[i, tap], filters[:active])
            gate(filters[:active], z[:active], work, scratch)
            for b in range(active):
                both[b] = out_biases[i]
            multiply_add(z[:active], outs[i], both[:active])
            for b in range(active):
                x[b] += both[b, :dim]
                skips[b] += both[b, dim:]
        for b in range(active):
            hidden[b] = hidden_bias
            params[b] = last_bias
        relu(skips[:active])
        multiply_add(skips[:active], hidden_weight, hidden[:active])
        relu(hidden[:active])
        multiply_add(hidden[:active], last_weight, params[:active])
        for b in range(active):
            if kind == CODES:
                code = draw_code(params[b], noise[b, t, 0], work, scratch)
                last[b] = code
                out[b, t] = levels[code]
            else:
                last[b] = draw_mixture(params[b], noise[b, t], levels[0], work, scratch)
                out[b, t] = last[b]
