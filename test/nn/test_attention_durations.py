from __future__ import annotations

import pytest
import torch

from speechkit.nn.attention_durations import attention_durations, coverage, diagonal_rate, focus_rate, monotonic_rate

B, N, T, U = 3, 2, 11, 5
FRAMES, TOKENS = torch.tensor([11, 4, 7]), torch.tensor([5, 2, 3])
RATES = (focus_rate, diagonal_rate, monotonic_rate, coverage)
every_rate = pytest.mark.parametrize("rate", RATES)


def attention():
    """Rows sum to 1 over the tokens; padding holds whatever a network leaves there."""
    scores = torch.randn(B, N, T, U).mul(3).masked_fill((torch.arange(U) >= TOKENS.unsqueeze(1))[:, None, None], -torch.inf)
    return scores.softmax(3)


def hard(*places):
    """One utterance with one head that looks exactly there."""
    weights = torch.nn.functional.one_hot(torch.tensor(places)).float()[None, None]
    return weights, torch.tensor([len(places)]), torch.tensor([weights.shape[3]])


def test_the_identity_gives_every_token_one_frame_and_is_perfect():
    given = torch.eye(7)[None, None], torch.tensor([7]), torch.tensor([7])
    durations, heads = attention_durations(*given)
    assert durations.tolist() == [[1] * 7] and heads.tolist() == [0]
    assert [rate(*given).item() for rate in RATES] == [1, 1, 1, 1]


def test_the_focus_rate_is_the_mean_of_the_maxima_and_chooses_the_head():
    # By hand: means of (0.6, 0.9, 0.5) and of (0.7, 0.8, 0.9).
    blurred = [[0.6, 0.4], [0.1, 0.9], [0.5, 0.5]]
    sharp = [[0.7, 0.3], [0.8, 0.2], [0.1, 0.9]]
    given = torch.tensor([[blurred, sharp]]), torch.tensor([3]), torch.tensor([2])
    assert focus_rate(*given)[0].tolist() == pytest.approx([2 / 3, 0.8])
    durations, heads = attention_durations(*given)
    assert heads.tolist() == [1] and durations.tolist() == [[2, 1]]


def test_durations_count_the_maxima_of_each_utterance_and_sum_to_its_frames():
    weights = attention()
    durations, heads = attention_durations(weights, FRAMES, TOKENS)
    assert torch.equal(durations.sum(1), FRAMES)
    for b, (t, u) in enumerate(zip(FRAMES.tolist(), TOKENS.tolist())):
        alone = weights[b, :, :t, :u]
        best = max(range(N), key=lambda n: alone[n].amax(1).mean())
        assert heads[b] == best
        assert durations[b, :u].tolist() == alone[best].argmax(1).bincount(minlength=u).tolist()


@every_rate
def test_padding_does_not_matter(rate):
    weights = attention()
    rates = rate(weights, FRAMES, TOKENS)
    assert rates.shape == (B, N) and (0 <= rates).all() and (rates <= 1).all()
    for b, (t, u) in enumerate(zip(FRAMES.tolist(), TOKENS.tolist())):
        alone = rate(weights[b : b + 1, :, :t, :u], FRAMES[b : b + 1], TOKENS[b : b + 1])
        torch.testing.assert_close(rates[b : b + 1], alone)
    for b, t in enumerate(FRAMES.tolist()):
        weights[b, :, t:] = 0.9
    weights[1, :, :, 2:] = 7.0
    torch.testing.assert_close(rate(weights, FRAMES, TOKENS), rates)


@every_rate
def test_empty_utterances_have_finite_rates(rate):
    weights, none = torch.zeros(2, 1, 4, 3), torch.tensor([0, 0])
    assert rate(weights, none, none).isfinite().all()
    assert attention_durations(weights, torch.tensor([4, 0]), none)[0].eq(0).all()


def test_going_back_and_leaping_are_not_monotonic_and_what_is_leapt_over_is_not_covered():
    assert monotonic_rate(*hard(0, 0, 1, 2, 2)).item() == 1
    assert monotonic_rate(*hard(0, 2, 1, 2, 3)).item() == pytest.approx(2 / 4)
    assert coverage(*hard(0, 1, 1, 3, 4)).item() == pytest.approx(4 / 5)


def test_uniform_attention_has_the_share_of_the_band_and_the_other_diagonal_almost_none():
    frames, tokens = torch.tensor([100]), torch.tensor([50])
    uniform = torch.full((1, 1, 100, 50), 1 / 50)
    assert diagonal_rate(uniform, frames, tokens, width=0.2).item() == pytest.approx(2 * 0.2 - 0.2**2, abs=0.01)
    across = torch.eye(101).flip(1)[None, None]
    lens = torch.tensor([101])
    assert diagonal_rate(across, lens, lens, width=0.1).item() == pytest.approx(11 / 101)
    assert monotonic_rate(across, lens, lens).item() == 0 and focus_rate(across, lens, lens).item() == 1


def test_the_diagonal_is_that_of_the_middles_of_frames_and_tokens():
    weights, frames, tokens = torch.rand(1, 2, 7, 3).softmax(3), torch.tensor([7]), torch.tensor([3])
    rates = diagonal_rate(weights, frames, tokens, width=0.17)
    torch.testing.assert_close(rates, diagonal_rate(weights.flip(2, 3), frames, tokens, width=0.17))
    assert diagonal_rate(*hard(0, 0, 1, 1), width=0.25).item() == 1
