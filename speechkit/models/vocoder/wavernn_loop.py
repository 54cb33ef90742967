"""The steps of WaveRNN, compiled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from speechkit.models.vocoder.sample_by_sample import SampleLoop, as_array, on_cpu
from speechkit.nn.mu_law import mu_law_decode
from speechkit.nn.sample_kernels import BYTES, CODES, compiled, draw_code, gru, multiply_add, relu
from speechkit.nn.sample_output import QUIETEST

if TYPE_CHECKING:
    from speechkit.models.vocoder.wavernn import Wavernn


@dataclass(frozen=True)
class WavernnState:
    """What B utterances remember: the states of both GRUs (B, H), and what is heard of the last sample (B, I)."""

    first: np.ndarray
    second: np.ndarray
    heard: np.ndarray


class WavernnLoop(SampleLoop):
    """See :class:`SampleLoop`. What conditions add to the first layer goes on through the input of the first GRU, which is
    linear, too: of that product only the part of the last sample is left for the loop.

    Args:
        model: A WaveRNN.
    """

    def __init__(self, model: Wavernn) -> None:
        num_inputs, dim = model.output.num_inputs, model.config.dim
        self.dim, self.dtype = dim, as_array(model.input.weight).dtype
        self.silence = as_array(model.output.inputs(torch.zeros(1)))[0].astype(self.dtype)
        self.cond_weight, self.cond_bias = _projection(model)
        heard = on_cpu(model.input.weight)[:, :num_inputs]  # (H, I)
        first, second = model.first, model.second
        tails = [model.out] if model.head is None else [model.head.coarse, model.head.hidden, model.head.fine]
        self.weights = tuple(
            as_array(weight.t())
            for weight in (
                heard,
                on_cpu(first.weight_ih_l0) @ heard,
                first.weight_hh_l0,
                second.weight_ih_l0[:, :dim],
                second.weight_hh_l0,
                model.third.weight[:, :dim],
                model.fourth.weight[:, : model.config.hidden_dim],
                *(tail.weight for tail in tails),
            )
        )
        self.biases = tuple(as_array(each) for each in (first.bias_hh_l0, second.bias_hh_l0, *(tail.bias for tail in tails)))
        self.kind = CODES if model.head is None else BYTES
        if model.head is None:
            levels = mu_law_decode(torch.arange(model.output.width), model.output.width - 1)
            self.table = as_array(levels.unsqueeze(1)).astype(self.dtype)
        else:
            self.table = as_array(model.head.heard.weight)

    def project(self, cond: Tensor) -> Tensor:
        """See :meth:`SampleLoop.project`."""
        return F.linear(cond, self.cond_weight, self.cond_bias)

    def start(self, rows: int) -> WavernnState:
        """See :meth:`SampleLoop.start`."""
        zeros = np.zeros((2, rows, self.dim), self.dtype)
        return WavernnState(zeros[0], zeros[1], np.repeat(self.silence[None], rows, axis=0))

    def run(
        self, state: WavernnState, first: int, projected: np.ndarray, noise: np.ndarray, lens: np.ndarray, out: np.ndarray
    ) -> None:
        """See :meth:`SampleLoop.run`."""
        run = _run_codes if self.kind == CODES else _run_bytes
        memory = state.first, state.second, state.heard
        run(first, projected, noise, lens, out, memory, self.weights, self.biases, self.table)


def _projection(model: Wavernn) -> tuple[Tensor, Tensor]:
    """The matrix (W, C) and bias (W,) from a condition [m, a_1, a_2, a_3, a_4] to what it adds in all layers."""
    cond_dim, part = model.cond_dim, model.config.aux_dim // 4
    start = model.given.feat_dim + part

    def placed(weight: Tensor, first: int) -> Tensor:
        return F.pad(weight, (first, cond_dim - first - weight.shape[1]))

    weight, bias = (on_cpu(each) for each in (model.input.weight[:, model.output.num_inputs :], model.input.bias))
    through = on_cpu(model.first.weight_ih_l0)
    later = [(model.second.weight_ih_l0, model.second.bias_ih_l0), *((x.weight, x.bias) for x in (model.third, model.fourth))]
    weights = [placed(weight, 0), placed(through @ weight, 0)]
    weights += [placed(on_cpu(each)[:, -part:], start + i * part) for i, (each, _) in enumerate(later)]
    biases = [bias, through @ bias + on_cpu(model.first.bias_ih_l0), *(on_cpu(each) for _, each in later)]
    return torch.cat(weights), torch.cat(biases)


@compiled
def _network(
    given: np.ndarray,
    memory: tuple[np.ndarray, ...],
    weights: tuple[np.ndarray, ...],
    biases: tuple[np.ndarray, ...],
    buffers: tuple[np.ndarray, ...],
    logits: np.ndarray,
    work: np.ndarray,
    scratch: np.ndarray,
) -> None:
    """One step of the first B utterances, with ``given`` (B, W) from the conditions, up to the last hidden layer,
    ``buffers[4]``, and the ``logits`` of what is drawn from it first."""
    rows = len(given)
    first, second, heard = memory[0][:rows], memory[1][:rows], memory[2][:rows]
    x, arrived, kept, third, fourth = _rows(buffers, rows)
    dim, hidden = first.shape[1], third.shape[1]
    for b in range(rows):
        row = given[b]
        x[b], arrived[b], kept[b] = row[:dim], row[dim : 4 * dim], biases[0]
    multiply_add(heard, weights[0], x)
    multiply_add(heard, weights[1], arrived)
    multiply_add(first, weights[2], kept)
    gru(arrived, kept, first, work, scratch)
    for b in range(rows):
        x[b] += first[b]
        arrived[b], kept[b] = given[b, 4 * dim : 7 * dim], biases[1]
    multiply_add(x, weights[3], arrived)
    multiply_add(second, weights[4], kept)
    gru(arrived, kept, second, work, scratch)
    for b in range(rows):
        x[b] += second[b]
        third[b], fourth[b] = given[b, 7 * dim : 7 * dim + hidden], given[b, 7 * dim + hidden :]
    multiply_add(x, weights[5], third)
    relu(third)
    multiply_add(third, weights[6], fourth)
    relu(fourth)
    for b in range(rows):
        logits[b] = biases[2]
    multiply_add(fourth, weights[7], logits[:rows])


@compiled
def _buffers(rows: int, dim: int, hidden: int, like: np.ndarray) -> tuple[np.ndarray, ...]:
    """The buffers of :func:`_network`."""
    return (
        np.empty((rows, dim), like.dtype),
        np.empty((rows, 3 * dim), like.dtype),
        np.empty((rows, 3 * dim), like.dtype),
        np.empty((rows, hidden), like.dtype),
        np.empty((rows, hidden), like.dtype),
    )


@compiled
def _rows(arrays: tuple[np.ndarray, ...], count: int) -> tuple[np.ndarray, ...]:
    """The first rows of five arrays."""
    return arrays[0][:count], arrays[1][:count], arrays[2][:count], arrays[3][:count], arrays[4][:count]


@compiled
def _run_codes(
    first: int,
    projected: np.ndarray,
    noise: np.ndarray,
    lens: np.ndarray,
    out: np.ndarray,
    memory: tuple[np.ndarray, ...],
    weights: tuple[np.ndarray, ...],
    biases: tuple[np.ndarray, ...],
    levels: np.ndarray,
) -> None:
    """See :meth:`SampleLoop.run`; for mu-law codes, with the sample of each code in ``levels``."""
    active, dim, hidden = projected.shape[1], memory[0].shape[1], weights[6].shape[1]
    width = len(biases[2])
    buffers, logits = _buffers(active, dim, hidden, out), np.empty((active, width), out.dtype)
    work, scratch = np.empty(max(3 * dim, width)), np.empty(max(3 * dim, width))
    for step in range(len(projected)):
        t = first + step
        while active > 0 and lens[active - 1] <= t:
            active -= 1
        _network(projected[step, :active], memory, weights, biases, buffers, logits, work, scratch)
        for b in range(active):
            code = draw_code(logits[b], noise[b, t, 0], work, scratch)
            memory[2][b, 0] = 2.0 * code / (width - 1) - 1.0
            out[b, t] = levels[code, 0]


@compiled
def _run_bytes(
    first: int,
    projected: np.ndarray,
    noise: np.ndarray,
    lens: np.ndarray,
    out: np.ndarray,
    memory: tuple[np.ndarray, ...],
    weights: tuple[np.ndarray, ...],
    biases: tuple[np.ndarray, ...],
    heard_coarse: np.ndarray,
) -> None:
    """See :meth:`SampleLoop.run`; for two bytes, with what the fine one hears of each coarse one in ``heard_coarse``."""
    active, dim, hidden = projected.shape[1], memory[0].shape[1], weights[6].shape[1]
    buffers, logits = _buffers(active, dim, hidden, out), np.empty((active, 256), out.dtype)
    before_fine, coarse = np.empty((active, hidden), out.dtype), np.empty(active, np.int64)
    work, scratch = np.empty(max(3 * dim, 256)), np.empty(max(3 * dim, 256))
    for step in range(len(projected)):
        t = first + step
        while active > 0 and lens[active - 1] <= t:
            active -= 1
        _network(projected[step, :active], memory, weights, biases, buffers, logits, work, scratch)
        for b in range(active):
            coarse[b] = draw_code(logits[b], noise[b, t, 0], work, scratch)
            before_fine[b] = biases[3] + heard_coarse[coarse[b]]
            logits[b] = biases[4]
        multiply_add(buffers[4][:active], weights[8], before_fine[:active])
        relu(before_fine[:active])
        multiply_add(before_fine[:active], weights[9], logits[:active])
        for b in range(active):
            fine = draw_code(logits[b], noise[b, t, 1], work, scratch)
            memory[2][b, 0], memory[2][b, 1] = coarse[b] / 127.5 - 1.0, fine / 127.5 - 1.0
            out[b, t] = (coarse[b] * 256 + fine) * QUIETEST - 1.0
