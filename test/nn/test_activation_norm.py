from __future__ import annotations

import torch
from flow_cases import check_flow, stirred

from speechkit.nn.activation_norm import ActivationNorm
from speechkit.utils.lens import padding_mask


def test_it_is_a_flow():
    check_flow(stirred(ActivationNorm(3)), torch.randn(2, 5, 3))


def test_the_first_training_batch_gets_mean_0_and_variance_1_whatever_the_padding():
    x, lens = 3.0 + 2.0 * torch.randn(3, 17, 5), torch.tensor([17, 11, 8])
    mask = padding_mask(lens)
    x[mask] = 1e4
    norm = ActivationNorm(5)
    y, log_det = norm(x, mask)
    valid = y[~mask]
    torch.testing.assert_close(valid.mean(0), torch.zeros(5), atol=1e-5, rtol=0)
    torch.testing.assert_close(valid.var(0, correction=0), torch.ones(5))
    torch.testing.assert_close(log_det, -0.5 * x[~mask].var(0, correction=0).log().sum() * lens)


def test_later_batches_and_evaluation_change_nothing():
    norm = ActivationNorm(2)
    norm.eval()(torch.randn(1, 7, 2))
    assert not norm.is_initialized and (norm.log_scale == 0).all()
    norm.train()(torch.randn(1, 7, 2) * 4)
    before = [p.clone() for p in norm.parameters()]
    norm(torch.randn(1, 7, 2) * 9)
    assert all(map(torch.equal, before, norm.parameters()))


def test_a_loaded_norm_does_not_begin_again():
    trained, loaded = ActivationNorm(2), ActivationNorm(2)
    trained(torch.randn(1, 7, 2) * 4)
    loaded.load_state_dict(trained.state_dict())
    loaded(torch.randn(1, 7, 2) * 9)
    assert torch.equal(loaded.log_scale, trained.log_scale)
    trained.load_state_dict(ActivationNorm(2).state_dict())
    trained(torch.randn(1, 7, 2) * 9)
    assert not torch.equal(loaded.log_scale, trained.log_scale)


def test_a_channel_that_never_changes_stays_finite():
    norm = ActivationNorm(2)
    assert norm(torch.full((1, 7, 2), 5.0))[0].isfinite().all()


def test_ranks_begin_with_the_statistics_of_all_their_frames(monkeypatch):
    """Two ranks that saw the halves of a batch: what one is told are the sums of both."""
    whole, told = torch.randn(2, 7, 3), []
    alone = ActivationNorm(3)
    alone(whole)
    sums = [whole.flatten(0, 1).double().sum(0), (whole.flatten(0, 1).double() - whole.double().mean((0, 1))).square().sum(0)]
    answers = [[14.0, *sums[0].tolist()], sums[1].tolist()]

    def both(values, device):
        told.append(values)
        return answers[len(told) - 1]

    monkeypatch.setattr("speechkit.nn.activation_norm.sums_over_ranks", both)
    first = ActivationNorm(3)
    first(whole[:1])
    assert told[0][0] == 7.0 and len(told) == 2
    torch.testing.assert_close(first.log_scale, alone.log_scale)
    torch.testing.assert_close(first.bias, alone.bias)
