import math

import numpy as np
import pytest
import torch

from speechkit.nn.mu_law import mu_law, mu_law_decode, mu_law_encode, mu_law_inverse


def test_the_denominator_is_a_logarithm():
    values = mu_law(torch.tensor([1.0, 0.5, 0.0, -0.5, -1.0], dtype=torch.float64)).tolist()
    half = math.log(1 + 255 * 0.5) / math.log(256)
    assert half == pytest.approx(0.875703, abs=1e-6)
    assert values == pytest.approx([1, half, 0, -half, -1], abs=1e-12)


def test_the_inverse_is_one_for_any_mu():
    x = torch.linspace(-1, 1, 1001, dtype=torch.float64)
    for mu in (1, 100, 255, 65535):
        torch.testing.assert_close(mu_law_inverse(mu_law(x, mu), mu), x, atol=1e-12, rtol=0)
        assert (mu_law(x, mu).diff() > 0).all()


@pytest.mark.parametrize("mu", [255, 1023])
def test_every_value_is_decoded_and_encoded_to_itself(mu):
    codes = torch.arange(mu + 1)
    samples = mu_law_decode(codes, mu)
    assert (samples[0], samples[-1]) == (-1.0, 1.0) and samples.dtype == torch.float32
    assert mu_law_encode(samples, mu).equal(codes)


def test_the_nearest_of_the_companded_values_is_taken():
    x = torch.linspace(-1, 1, 4001, dtype=torch.float64)
    grid = torch.linspace(-1, 1, 256, dtype=torch.float64)
    distances = (mu_law(x).unsqueeze(1) - grid).abs()
    chosen = distances.gather(1, mu_law_encode(x).unsqueeze(1)).squeeze(1)
    torch.testing.assert_close(chosen, distances.amin(1))


def test_codes_worked_out_by_hand():
    """0.5: (0.875703 + 1) / 2 * 255 = 239.15; 0.01: ln 3.55 / ln 256 = 0.228469, so 156.63; silence: 127.5."""
    assert mu_law_encode(torch.tensor([-1.0, -0.5, -0.01, 0.0, 0.01, 0.5, 1.0])).tolist() == [0, 16, 98, 128, 157, 239, 255]


def test_beyond_full_scale_is_clipped():
    assert mu_law_encode(torch.tensor([-3.0, 3.0])).tolist() == [0, 255]


@pytest.mark.parametrize("function", [mu_law, mu_law_inverse, mu_law_encode])
def test_arrays_give_arrays_and_the_same_numbers(function):
    x = torch.linspace(-1.5, 1.5, 101)
    found, expected = function(x.numpy()), function(x)
    assert isinstance(found, np.ndarray) and found.dtype == expected.numpy().dtype
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-6)
    codes = np.arange(256)
    np.testing.assert_allclose(mu_law_decode(codes), mu_law_decode(torch.from_numpy(codes)).numpy(), atol=1e-6)


def test_companding_has_gradients():
    x = torch.tensor([-0.7, -0.01, 0.02, 0.9], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(mu_law, x) and torch.autograd.gradcheck(mu_law_inverse, x)
