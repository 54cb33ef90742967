from __future__ import annotations

import numpy as np
import pytest
import torch

from speechkit.nn.sample_kernels import draw_code, draw_mixture, exponential, gate, gru, multiply_add, relu


def work(size: int = 64) -> tuple[np.ndarray, np.ndarray]:
    return np.empty(size), np.empty(size)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("depth", [3, 4, 11])
def test_the_product_equals_numpy(dtype, depth):
    x, weight = np.random.randn(3, depth).astype(dtype), np.random.randn(depth, 37).astype(dtype)
    out = np.random.randn(3, 37).astype(dtype)
    expected = out + x @ weight
    multiply_add(x, weight, out)
    np.testing.assert_allclose(out, expected, rtol=1e-4 if dtype == np.float32 else 1e-12)


def test_a_row_has_the_same_bits_alone_and_among_others():
    x, weight = np.random.randn(5, 11), np.random.randn(11, 37)
    together, alone = np.zeros((5, 37)), np.zeros((1, 37))
    multiply_add(x, weight, together)
    multiply_add(x[3:4], weight, alone)
    assert np.array_equal(together[3], alone[0])


def test_the_exponential_equals_numpy_to_the_last_bits():
    x = np.concatenate([np.linspace(-40, 40, 4001), [0.0, 1e-300, -299.0, 299.0]])
    values = x.copy()
    exponential(values, np.empty(len(x)))
    np.testing.assert_allclose(values, np.exp(x), rtol=1e-15)
    extremes = np.array([-1e6, 1e6, -np.inf, np.inf])
    exponential(extremes, np.empty(4))
    np.testing.assert_allclose(extremes, np.exp([-300.0, 300.0] * 2))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_gate_equals_numpy(dtype):
    hidden = (4 * np.random.randn(2, 10)).astype(dtype)
    hidden[0, :2], hidden[1, 5:7] = [1e4, -1e4], [1e4, -1e4]
    out = np.empty((2, 5), dtype)
    gate(hidden, out, *work())
    expected = np.tanh(hidden[:, :5]) * torch.from_numpy(hidden[:, 5:]).sigmoid().numpy()
    np.testing.assert_allclose(out, expected, atol=1e-6 if dtype == np.float32 else 1e-15)


def test_the_recurrent_unit_equals_torch():
    cell = torch.nn.GRUCell(3, 5).double()
    x, state = torch.randn(2, 3).double(), torch.randn(2, 5).double()
    heard, remembered = x @ cell.weight_ih.T + cell.bias_ih, state @ cell.weight_hh.T + cell.bias_hh
    new = state.numpy().copy()
    gru(heard.detach().numpy(), remembered.detach().numpy(), new, *work())
    np.testing.assert_allclose(new, cell(x, state).detach().numpy(), atol=1e-14)


def test_codes_are_drawn_as_often_as_the_softmax_says():
    logits = np.array([1.0, -2.0, 0.5, 3.0])
    probs = torch.from_numpy(logits).softmax(0).numpy()
    edges = np.concatenate([[0], probs.cumsum()])
    for code in range(4):
        for uniform in (edges[code] + 1e-9, edges[code + 1] - 1e-9):
            assert draw_code(logits, uniform, *work()) == code
    assert draw_code(logits, 1.0, *work()) == 3


def test_a_mixture_is_drawn_from_the_component_that_the_first_number_chooses():
    params = np.array([0.0, np.log(3.0), 0.1, -0.2, np.log(0.01), -50.0])
    assert draw_mixture(params, np.array([0.2, 2.0]), -9.0, *work()) == pytest.approx(0.12)
    assert draw_mixture(params, np.array([0.3, 2.0]), -9.0, *work()) == pytest.approx(-0.2 + 2 * np.exp(-9.0))
    assert draw_mixture(params, np.array([0.2, 1e4]), -9.0, *work()) == 1.0


def test_the_rectifier_keeps_what_is_positive():
    x = np.array([[-1.0, 0.0, 2.0]], np.float32)
    relu(x)
    assert x.tolist() == [[0, 0, 2]]
