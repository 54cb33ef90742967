from __future__ import annotations

import torch

from speechkit.nn.gaussian_upsampling import GaussianUpsampling, gaussian_weights
from speechkit.nn.length_regulator import regulate_length

B, U, D = 3, 5, 6
LENS = torch.tensor([5, 2, 4])
DURATIONS = torch.tensor([[3, 1, 4, 1, 5], [2, 6, 9, 9, 9], [1, 7, 1, 2, 9]])


def test_each_weight_is_its_share_of_the_densities_in_the_middle_of_the_frame():
    ranges = torch.rand(B, U, dtype=torch.float64) + 0.5
    weights, lens = gaussian_weights(DURATIONS, ranges, LENS)
    assert lens.tolist() == [14, 8, 11] and weights.shape == (3, 14, 5)
    for b, length in enumerate(LENS.tolist()):
        d = DURATIONS[b, :length].double()
        centres = torch.distributions.Normal(d.cumsum(0) - d / 2, ranges[b, :length])
        for t in range(int(lens[b])):
            densities = centres.log_prob(torch.tensor(t + 0.5)).exp()
            torch.testing.assert_close(weights[b, t, :length], densities / densities.sum())


def test_rows_sum_to_one_over_the_tokens_and_are_zero_at_padding():
    weights, lens = gaussian_weights(DURATIONS, torch.rand(B, U) + 0.1, LENS, num_frames=17)
    valid = torch.arange(17) < lens.unsqueeze(1)
    torch.testing.assert_close(weights.sum(2), valid.float())
    assert weights[1, :, 2:].eq(0).all()


def test_a_text_read_backwards_gives_the_frames_backwards():
    durations, ranges, lens = torch.tensor([[2.0, 3.5, 1.5]]), torch.tensor([[0.7, 2.0, 0.4]]), torch.tensor([3])
    forwards, _ = gaussian_weights(durations, ranges, lens)
    backwards, _ = gaussian_weights(durations.flip(1), ranges.flip(1), lens)
    torch.testing.assert_close(backwards, forwards.flip(1, 2))


def test_ranges_that_vanish_in_proportion_to_the_durations_give_the_length_regulator():
    x = torch.randn(B, U, D)
    weights, lens = gaussian_weights(DURATIONS, 1e-3 * DURATIONS, LENS)
    expected, expected_lens = regulate_length(x, LENS, DURATIONS)
    torch.testing.assert_close(weights @ x, expected)
    assert torch.equal(lens, expected_lens)
    nearest, _ = gaussian_weights(DURATIONS, torch.full((B, U), 1e-3), LENS)  # one small range for all does not
    assert not torch.allclose(nearest @ x, expected)


def test_a_token_without_duration_leaves_everything_finite():
    durations = torch.tensor([[2, 0, 3]])
    x = torch.randn(1, 3, D, requires_grad=True)
    out, lens, _ = GaussianUpsampling(D)(x, torch.tensor([3]), durations)
    out.sum().backward()
    assert lens.tolist() == [5] and out.isfinite().all() and x.grad.isfinite().all()


def test_lengths_of_real_durations_are_their_sums_with_halves_rounded_up():
    durations = torch.tensor([[1.25, 1.25], [1.2, 1.2], [0.0, 0.0]])
    assert gaussian_weights(durations, torch.ones(3, 2), torch.tensor([2, 2, 0]))[1].tolist() == [3, 2, 0]


def test_padding_does_not_change_the_output():
    module, x = GaussianUpsampling(D), torch.randn(B, U, D)
    out, lens, weights = module(x, LENS, DURATIONS)
    for b, length in enumerate(LENS.tolist()):
        alone = module(x[b : b + 1, :length], LENS[b : b + 1], DURATIONS[b : b + 1, :length])
        torch.testing.assert_close(out[b : b + 1, : lens[b]], alone[0])
        torch.testing.assert_close(weights[b : b + 1, : lens[b], :length], alone[2])
    x[1, 2:] = torch.nan
    torch.testing.assert_close(module(x, LENS, DURATIONS)[0], out)


def test_gradients_are_right_and_reach_every_parameter():
    durations = torch.rand(2, 3, dtype=torch.float64) * 2 + 1
    ranges = (torch.rand(2, 3, dtype=torch.float64) + 0.5).requires_grad_()
    lens = torch.tensor([3, 2])
    assert torch.autograd.gradcheck(lambda d, r: gaussian_weights(d, r, lens, 10)[0], (durations.requires_grad_(), ranges))
    module = GaussianUpsampling(D)
    out, _, _ = module(torch.randn(B, U, D), LENS, DURATIONS)
    out.square().sum().backward()
    assert all(p.grad.isfinite().all() and p.grad.ne(0).any() for p in module.parameters())
