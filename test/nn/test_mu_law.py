from __future__ import annotations

import numpy as np
import pytest
import torch

from speechkit.nn.mu_law import mu_law_decode, mu_law_encode


def test_the_scale_is_that_of_the_recommendation():
    """With ln(1 + mu) below: f(1) = 1, f(0.5) = 0.875703; with 1 + mu, as one often sees it, no code would exceed 130."""
    codes = mu_law_encode(torch.tensor([-1.0, -0.5, 0.0, 0.5, 1.0]), 255)
    assert codes.tolist() == [0, round((1 - 0.875703) / 2 * 255), 128, round((1 + 0.875703) / 2 * 255), 255]


@pytest.mark.parametrize("bits", [2, 8, 9, 10])
def test_every_code_comes_back_and_the_scale_equals_numpy(bits):
    mu = 2**bits - 1
    codes = torch.arange(mu + 1)
    wav = mu_law_decode(codes, mu)
    assert torch.equal(mu_law_encode(wav, mu), codes)
    y = 2 * np.arange(mu + 1) / mu - 1
    np.testing.assert_allclose(wav.numpy(), np.sign(y) * ((1 + mu) ** np.abs(y) - 1) / mu, rtol=1e-5, atol=1e-6)


def test_what_is_too_loud_has_the_outermost_code():
    assert mu_law_encode(torch.tensor([-1.5, 7.0]), 255).tolist() == [0, 255]
