"""What networks that say one sample after another do in each step, compiled: small products, gates, draws.

Every row (an utterance) is computed by itself, always in the same order: it sounds the same alone and with others.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

CODES, BYTES, MIXTURE = 0, 1, 2  # how a sample is drawn

_LOG2_E = 1.4426950408889634
_LN2_HIGH, _LN2_LOW = 0.6931471803691238, 1.9082149292705877e-10  # their sum is ln 2, times a small integer without rounding
_MAGIC = 6755399441055744.0  # 1.5 * 2^52: what is added to it is rounded to an integer, which its last bits hold
_LIMIT = 300.0


def compiled(function: Any) -> Any:
    """Numba's compiler, as all of these want it: without the GIL, with fused multiplication and addition."""
    return njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})(function)


@compiled
def multiply_add(x: np.ndarray, weight: np.ndarray, out: np.ndarray) -> None:
    """``out += x @ weight`` for ``x`` (B, K), ``weight`` (K, N), ``out`` (B, N)."""
    rows, depth = x.shape
    whole = depth - depth % 4
    for k in range(0, whole, 4):  # four rows of the weight at a time, so that out is read and written a quarter as often
        w0, w1, w2, w3 = weight[k], weight[k + 1], weight[k + 2], weight[k + 3]
        for b in range(rows):
            a0, a1, a2, a3, to = x[b, k], x[b, k + 1], x[b, k + 2], x[b, k + 3], out[b]
            for n in range(len(to)):
                to[n] += a0 * w0[n] + a1 * w1[n] + a2 * w2[n] + a3 * w3[n]
    for k in range(whole, depth):
        w0 = weight[k]
        for b in range(rows):
            a0, to = x[b, k], out[b]
            for n in range(len(to)):
                to[n] += a0 * w0[n]


@compiled
def exponential(values: np.ndarray, scratch: np.ndarray) -> None:
    """``exp`` of float64 ``values`` (N,) in place, to the last bits, within [-300, 300]; ``scratch`` is float64 of N or more.

    numba's own is called number by number. This one is loops that become vector instructions: ``exp(x) = 2^k exp(r)`` with
    k whole and ``|r| <= ln 2 / 2``, for which a polynomial of degree 13 is exact in double precision.
    """
    powers = scratch[: len(values)]
    bits = powers.view(np.int64)
    for i in range(len(values)):
        x = min(max(values[i], -_LIMIT), _LIMIT)
        shifted = x * _LOG2_E + _MAGIC
        powers[i] = shifted
        k = shifted - _MAGIC
        r = (x - k * _LN2_HIGH) - k * _LN2_LOW
        p = 1.0 / 6227020800.0
        p = p * r + 1.0 / 479001600.0
        p = p * r + 1.0 / 39916800.0
        p = p * r + 1.0 / 3628800.0
        p = p * r + 1.0 / 362880.0
        p = p * r + 1.0 / 40320.0
        p = p * r + 1.0 / 5040.0
        p = p * r + 1.0 / 720.0
        p = p * r + 1.0 / 120.0
        p = p * r + 1.0 / 24.0
        p = p * r + 1.0 / 6.0
        p = p * r + 0.5
        p = p * r + 1.0
        values[i] = p * r + 1.0
    for i in range(len(values)):
        bits[i] = (bits[i] + 1023) << 52  # the exponent of 2^k
    for i in range(len(values)):
        values[i] *= powers[i]


@compiled
def gate(hidden: np.ndarray, out: np.ndarray, work: np.ndarray, scratch: np.ndarray) -> None:
    """``out = tanh(a) sigmoid(b)`` (B, D) of ``hidden`` (B, 2 D), a before b; ``work`` and ``scratch`` are float64, 2 D."""
    dim = out.shape[1]
    for b in range(len(hidden)):
        row, to = hidden[b], out[b]
        for i in range(dim):
            work[i] = -2.0 * row[i]
        for i in range(dim, 2 * dim):
            work[i] = -row[i]
        exponential(work[: 2 * dim], scratch)
        for i in range(dim):
            to[i] = (1.0 - work[i]) / ((1.0 + work[i]) * (1.0 + work[dim + i]))


@compiled
def gru(
    heard: np.ndarray, remembered: np.ndarray, state: np.ndarray, work: np.ndarray, scratch: np.ndarray
) -> None:
    """One step of a GRU, in place in ``state`` (B, H), as torch defines it.

    ``r = sigmoid(a_r + c_r)``, ``z = sigmoid(a_z + c_z)``, ``n = tanh(a_n + r c_n)``, ``h <- (1 - z) n + z h`` of
    ``heard`` a (B, 3 H), from the input, and ``remembered`` c (B, 3 H), from the state.
    """
    dim = state.shape[1]
    for b in range(len(state)):
        a, c, h = heard[b], remembered[b], state[b]
        for i in range(2 * dim):
            work[i] = -(a[i] + c[i])
        exponential(work[: 2 * dim], scratch)
        for i in range(dim):
            work[2 * dim + i] = -2.0 * (a[2 * dim + i] + c[2 * dim + i] / (1.0 + work[i]))
        exponential(work[2 * dim : 3 * dim], scratch)
        for i in range(dim):
            new = (1.0 - work[2 * dim + i]) / (1.0 + work[2 * dim + i])
            update = 1.0 / (1.0 + work[dim + i])
            h[i] = new + update * (h[i] - new)


@compiled
def relu(x: np.ndarray) -> None:
    """``x`` (B, D) without what is negative, in place."""
    for b in range(len(x)):
        row = x[b]
        for i in range(len(row)):
            row[i] = max(row[i], row.dtype.type(0))


@compiled
def draw_code(logits: np.ndarray, uniform: float, work: np.ndarray, scratch: np.ndarray) -> int:
    """The code whose share of [0, 1), in the order of codes, holds ``uniform``; work and scratch as for :func:`gate`."""
    highest = logits[0]
    for i in range(len(logits)):
        highest = max(highest, logits[i])
    for i in range(len(logits)):
        work[i] = logits[i] - highest
    exponential(work[: len(logits)], scratch)
    total = 0.0
    for i in range(len(logits)):
        total += work[i]
    wanted, passed = uniform * total, 0.0
    for i in range(len(logits)):
        passed += work[i]
        if passed > wanted:
            return i
    return len(logits) - 1


@compiled
def draw_mixture(
    params: np.ndarray, noise: np.ndarray, floor: float, work: np.ndarray, scratch: np.ndarray
) -> float:
    """``mean + scale * noise[1]`` in [-1, 1] of the component that ``noise[0]`` chooses, of ``params`` (3 K,)."""
    count = len(params) // 3
    chosen = draw_code(params[:count], noise[0], work, scratch)
    value = params[count + chosen] + np.exp(max(params[2 * count + chosen], floor)) * noise[1]
    return min(max(value, -1.0), 1.0)
