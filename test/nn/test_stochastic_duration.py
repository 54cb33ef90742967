from __future__ import annotations

import pytest
import torch
from flow_cases import check_flow, stirred

from speechkit.nn.stochastic_duration import MOST, PlainDurationPredictor, StochasticDurationPredictor

LENS = torch.tensor([4, 2])


def stochastic() -> StochasticDurationPredictor:
    return stirred(StochasticDurationPredictor(3, 8, num_layers=2, num_flows=2, num_bins=4))


def encodings(batch: int = 2) -> torch.Tensor:
    return torch.randn(1, 4, 3).expand(batch, -1, -1)


def test_both_flows_can_be_undone_and_know_their_determinants():
    predictor = stochastic()
    for flow in (predictor.flow, predictor.posterior):
        check_flow(flow, torch.randn(2, 5, 2), torch.randn(2, 5, 8))


@torch.no_grad()
def test_its_nats_bound_a_distribution_over_whole_durations_which_is_that_of_its_draws():
    """The mean of exp(-nats) over many draws of u and v is p(d), which says how often d is drawn."""
    predictor = StochasticDurationPredictor(3, 8, num_layers=1, num_flows=2, num_bins=4, dropout=0.0).eval()
    for parameter in predictor.parameters():
        parameter.add_(0.15 * torch.randn_like(parameter))
    predictor.flow.flows[0].shift[0] = -0.8  # so that durations are a few frames
    predictor.posterior.flows[0].log_scale.fill_(0.3)  # draws where p has its mass, and beyond
    x, count = torch.randn(1, 1, 3), 2000
    drawn = predictor.sample(x.expand(count, -1, -1), torch.ones(count, dtype=torch.long))
    often = drawn.flatten().bincount(minlength=7)[1:7] / count
    durations = torch.arange(1, 7).repeat_interleave(count).unsqueeze(1)
    nats = predictor(x.expand(len(durations), -1, -1), torch.ones(len(durations), dtype=torch.long), durations)
    found = torch.exp(-nats).view(6, count)
    errors = (found.var(1) / count + often * (1 - often) / count).sqrt()
    assert often.sum() > 0.8 and often.max() < 0.5 and (errors < 0.03).all()
    assert ((found.mean(1) - often).abs() < 4 * errors).all(), (found.mean(1), often)


@pytest.mark.parametrize("make", [stochastic, lambda: stirred(PlainDurationPredictor(3, 7))])
def test_padding_changes_nothing(make, monkeypatch):
    monkeypatch.setattr(torch, "randn_like", torch.zeros_like)
    predictor, x, durations = make(), encodings().clone(), torch.tensor([[1, 5, 2, 3], [4, 1, 0, 9]])
    nats, drawn = predictor(x, LENS, durations), predictor.sample(x, LENS, temperature=0.0)
    x[1, 2:] = 4.0
    assert torch.equal(predictor(x, LENS, durations), nats)
    torch.testing.assert_close(predictor(x[1:, :2], LENS[1:], durations[1:, :2]), nats[1:])
    assert torch.equal(predictor.sample(x[1:, :2], LENS[1:], temperature=0.0), drawn[1:, :2])
    assert (drawn[1, 2:] == 0).all() and (drawn[1, :2] >= 1).all()


def test_draws_are_as_random_as_they_are_asked_to_be():
    predictor, x, lens = stochastic(), encodings(300), torch.full((300,), 4)
    with torch.no_grad():
        predictor.flow.flows[0].shift.fill_(-2.0)
        warm, cold = predictor.sample(x, lens, 1.0), predictor.sample(x, lens, 0.0)
        again = [predictor.sample(x, lens, 1.0, torch.Generator().manual_seed(3)) for _ in range(2)]
    assert torch.equal(*again) and (cold == cold[0]).all()
    assert (warm.float().std(0) > 0.3).all()


def test_what_has_not_learned_yet_asks_for_no_more_than_there_is_memory():
    predictor = stochastic()
    with torch.no_grad():
        predictor.flow.flows[0].shift.fill_(-900.0)
        assert (predictor.sample(encodings(), LENS, 0.0)[0] == MOST).all()


def test_plain_nats_are_half_the_squared_error_of_the_logarithm_and_a_constant():
    predictor, x = stirred(PlainDurationPredictor(3, 7)), encodings()
    durations = torch.tensor([[1, 5, 2, 3], [4, 1, 0, 0]])
    normal = torch.distributions.Normal(predictor.predictor(x, LENS), 1.0)
    each = normal.log_prob(durations.clamp(min=1).float().log())
    torch.testing.assert_close(predictor(x, LENS, durations), -torch.stack([each[0].sum(), each[1, :2].sum()]))
