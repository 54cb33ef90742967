from __future__ import annotations

import pytest
import torch

from speechkit.nn.length_regulator import average_by_durations, frame_tokens, regulate_length, round_durations

PAPER = torch.tensor([[2, 2, 3, 1]])
FOUR = torch.tensor([4])
every_rounding = pytest.mark.parametrize("rounding", ["half_up", "keep_total"])


def test_the_example_of_fastspeech():
    out, lens = regulate_length(torch.tensor([[[1.0], [2.0], [3.0], [4.0]]]), FOUR, PAPER)
    assert out.flatten().tolist() == [1, 1, 2, 2, 3, 3, 3, 4] and lens.tolist() == [8]


@pytest.mark.parametrize(("alpha", "expected"), [(1.0, [2, 2, 3, 1]), (1.3, [3, 3, 4, 1]), (0.5, [1, 1, 2, 1])])
def test_the_speeds_of_fastspeech(alpha, expected):
    # Section 3.2; torch.round would give [1, 1, 2, 0] for 0.5.
    assert round_durations(PAPER, FOUR, alpha).tolist() == [expected]


def test_halves_are_rounded_up_in_every_precision():
    halves = torch.tensor([[0.5, 1.5, 2.5, 3.5, 0.49, 4.51]])
    for dtype in (torch.float32, torch.float64):
        assert round_durations(halves.to(dtype), torch.tensor([6])).tolist() == [[1, 2, 3, 4, 0, 5]]


def test_no_end_moves_by_more_than_half_a_frame_if_the_total_is_kept():
    durations, lens = torch.rand(7, 31) * 3, torch.arange(3, 31, 4)
    whole = round_durations(durations, lens, 0.7, "keep_total")
    exact = durations.double() * 0.7
    for b, length in enumerate(lens.tolist()):
        ends = exact[b, :length].cumsum(0)
        assert whole[b, :length].sum() == int(ends[-1] + 0.5)
        assert (whole[b, :length].cumsum(0) - ends).abs().max() <= 0.5 and whole[b, length:].eq(0).all()
    assert round_durations(durations, lens, 0.7).sum(1).ne(whole.sum(1)).any()


@every_rounding
def test_padding_and_what_lies_there_do_not_matter(rounding):
    durations, lens = torch.rand(3, 5) * 4, torch.tensor([5, 2, 0])
    whole = round_durations(durations, lens, 1.1, rounding, minimum=1)
    for b, length in enumerate(lens.tolist()):
        alone = round_durations(durations[b : b + 1, :length], lens[b : b + 1], 1.1, rounding, minimum=1)
        assert torch.equal(whole[b : b + 1, :length], alone) and whole[b, length:].eq(0).all()
    durations[1, 2:] = torch.nan
    assert torch.equal(round_durations(durations, lens, 1.1, rounding, minimum=1), whole)


@every_rounding
def test_every_token_gets_the_minimum(rounding):
    durations = torch.tensor([[0.1, 0.2, 3.6, 0.1, 2.2]])
    whole = round_durations(durations, torch.tensor([5]), rounding=rounding, minimum=1)
    # The total without the minimum is 6.2.
    assert whole.tolist() == {"half_up": [[1, 1, 4, 1, 2]], "keep_total": [[1, 1, 2, 1, 1]]}[rounding]


def test_it_equals_repeat_interleave_for_each_utterance_and_pads_with_zeros():
    x, lens = torch.randn(4, 7, 3), torch.tensor([7, 3, 1, 0])
    durations = torch.randint(0, 5, (4, 7))  # zeros among them
    out, out_lens = regulate_length(x, lens, durations, num_frames=30)
    assert out.shape == (4, 30, 3)
    for b, length in enumerate(lens.tolist()):
        alone = x[b, :length].repeat_interleave(durations[b, :length], dim=0)
        assert out_lens[b] == len(alone)
        assert torch.equal(out[b, : len(alone)], alone) and out[b, len(alone) :].eq(0).all()
    shortest, same_lens = regulate_length(x, lens, durations)
    assert torch.equal(shortest, out[:, : out_lens.max()]) and torch.equal(same_lens, out_lens)


def test_gradients_are_right_and_padding_has_none():
    x = torch.randn(2, 3, 2, dtype=torch.float64, requires_grad=True)
    lens, durations = torch.tensor([3, 2]), torch.tensor([[2, 0, 3], [1, 2, 9]])
    assert torch.autograd.gradcheck(lambda x: regulate_length(x, lens, durations)[0], x)
    regulate_length(x, lens, durations)[0].sum().backward()
    assert x.grad[:, :, 0].tolist() == [[2, 0, 3], [1, 2, 0]]


def test_averaging_undoes_repeating_and_counts_the_chosen_frames_only():
    x, lens = torch.randn(3, 5, 2), torch.tensor([5, 2, 4])
    durations = torch.tensor([[3, 1, 4, 1, 2], [2, 6, 5, 5, 5], [1, 0, 2, 2, 7]])
    frames, _ = regulate_length(x, lens, durations)
    expected = x.masked_fill(durations.eq(0).unsqueeze(2) | (torch.arange(5) >= lens.unsqueeze(1)).unsqueeze(2), 0.0)
    torch.testing.assert_close(average_by_durations(frames, lens, durations), expected)
    pitch = torch.tensor([[100.0, 0.0, 120.0, 0.0, 0.0, 80.0]]).unsqueeze(2)
    mean = average_by_durations(pitch, torch.tensor([3]), torch.tensor([[3, 2, 1]]), pitch.squeeze(2) > 0)
    assert mean.flatten().tolist() == [110, 0, 80]


def test_the_token_of_each_frame():
    tokens, lens = frame_tokens(torch.tensor([[2, 0, 1]]), torch.tensor([3]), num_frames=5)
    assert tokens.tolist() == [[0, 0, 2, 2, 2]] and lens.tolist() == [3]
