from __future__ import annotations

import math

import pytest
import torch
from torch.distributions import Bernoulli, Normal, kl_divergence

from speechkit.objectives.regression import bce, gaussian_kl, gaussian_nll, l1, mse, stop_targets

B, T, D = 4, 11, 3
LENS = torch.tensor([11, 4, 7, 0])


def tensors(number, shape=(B, T, D)):
    return [torch.randn(shape, dtype=torch.float64) for _ in range(number)]


# The loss, how many tensors it takes, and what it is number by number, from torch's own distributions.
LOSSES = {
    "l1": (l1, 2, lambda x, y: abs(x - y)),
    "mse": (mse, 2, lambda x, y: (x - y) ** 2),
    "bce": (
        lambda x, y, *rest, **options: bce(x, (y > 0).double(), *rest, **options),
        2,
        lambda x, y: -Bernoulli(logits=x).log_prob((y > 0).double()),
    ),
    "gaussian_nll": (gaussian_nll, 3, lambda x, m, s: -Normal(m, s.exp()).log_prob(x)),
    "gaussian_kl": (gaussian_kl, 4, lambda m, s, n, r: kl_divergence(Normal(m, s.exp()), Normal(n, r.exp()))),
}
every_loss = pytest.mark.parametrize("name", LOSSES)


@every_loss
@pytest.mark.parametrize("shape", [(B, T, D), (B, T)])
def test_each_loss_equals_torch_for_each_utterance_and_is_per_what_it_says(name, shape):
    loss, number, reference = LOSSES[name]
    given = tensors(number, shape)
    expected = [reference(*(each[b, :length] for each in given)) for b, length in enumerate(LENS.tolist())]
    sums = torch.stack([each.sum() for each in expected])
    torch.testing.assert_close(loss(*given, LENS, per="utterance"), sums)
    torch.testing.assert_close(loss(*given, LENS, per="frame"), sums / LENS.clamp(min=1))
    means = torch.stack([each.sum() / max(each.numel(), 1) for each in expected])
    torch.testing.assert_close(loss(*given, LENS), means)


@every_loss
def test_gradients_are_right_and_padding_has_none_even_if_it_is_not_finite(name):
    loss, number, _ = LOSSES[name]
    lens = torch.tensor([3, 1])
    given = [x.requires_grad_() for x in tensors(number, (2, 3, 2))]
    free = given[:1] if name == "bce" else given
    assert torch.autograd.gradcheck(lambda *x: loss(*x, *given[len(x) :], lens), free)
    broken = [x.detach().clone().index_fill_(1, torch.tensor([2]), math.nan).requires_grad_() for x in given]
    found = loss(*broken, torch.tensor([2, 0]))
    found.sum().backward()
    assert found[1] == 0 and found.isfinite().all()
    for x in broken[: len(free)]:
        assert x.grad[0, :2].ne(0).all() and x.grad[0, 2].eq(0).all() and x.grad[1].eq(0).all()


def test_half_precision_is_summed_in_float32():
    x = torch.full((1, 5000), 3.0, dtype=torch.float16)
    total = l1(x, torch.zeros_like(x), torch.tensor([5000]), per="utterance")
    assert total.dtype == torch.float32 and total.item() == 15000


def test_equal_gaussians_have_no_divergence_and_nearly_equal_ones_almost_none():
    mean, log_std = torch.randn(B, T, D), torch.randn(B, T, D)
    assert gaussian_kl(mean, log_std, mean, log_std, LENS).eq(0).all()
    # Half of the squared relative difference, twice: e^2 per number; as a difference of squares it would drown in float32.
    near = gaussian_kl(mean, log_std + 1e-3, mean, log_std, LENS)
    torch.testing.assert_close(near[:3], torch.full((3,), 1e-6), rtol=0.1, atol=0)


def test_a_decoder_stops_at_the_last_frame_which_weighs_more():
    lens = torch.tensor([3, 1])
    target = stop_targets(lens, 4)
    assert target.tolist() == [[False, False, True, True], [True, True, True, True]]
    found = bce(torch.zeros(2, 4), target, lens, positive_weight=5.0, per="utterance")
    assert found.tolist() == pytest.approx([7 * math.log(2), 5 * math.log(2)])


def test_shapes_that_would_be_broadcast_are_an_error():
    with pytest.raises(ValueError, match=r"expected equal shapes, got \(4, 11\) and \(4, 11, 1\)"):
        mse(torch.zeros(4, 11), torch.zeros(4, 11, 1), LENS)
