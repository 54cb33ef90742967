from __future__ import annotations

import pytest
import torch
from aligning_cases import ENCODER, TEXT, facts

from speechkit.config import validate
from speechkit.models.acoustic.aligning import AligningModel, Gaussians, find_durations, hard_alignment, spread
from speechkit.models.acoustic.base import Controls


def model(num_speakers: int = 1, mean_only: bool = False, **options) -> AligningModel:
    return AligningModel(validate(AligningModel.Config, {**TEXT, **options}), facts(num_speakers), 7, mean_only).eval()


def test_durations_are_those_of_the_most_likely_segmentation():
    """Tokens far apart: each frame is near the mean of its own; and of two tokens in one place the narrow one takes what is
    near it."""
    means = torch.tensor([[[0.0, 0.0], [9.0, 9.0], [0.0, 0.0]], [[5.0, 5.0], [5.0, 5.0], [0.0, 0.0]]])
    log_stds = torch.zeros(2, 3, 2)
    log_stds[1, 0] = 2.0
    z = torch.tensor([[0.1, -0.1, 0.2, 8.8, 9.3, 0.4, 0.1], [9.0, -2.0, 5.1, 4.9, 5.0, 3.0, 3.0]])
    z = z.unsqueeze(2).expand(-1, -1, 2)
    prior = Gaussians(means, means, log_stds)
    found = find_durations(z, torch.tensor([7, 5]), prior, torch.tensor([3, 2]))
    assert found.tolist() == [[3, 2, 2], [2, 3, 0]]


def test_frames_get_the_gaussian_of_their_token_and_one_hot_weights():
    means = torch.tensor([[[1.0], [2.0]], [[3.0], [4.0]]])
    lens, token_lens, durations = torch.tensor([3, 2]), torch.tensor([2, 1]), torch.tensor([[1, 2], [2, 0]])
    frame_means, log_stds = spread(Gaussians(means, means, -means), token_lens, durations, 3)
    assert frame_means.squeeze(2).tolist() == [[1, 2, 2], [3, 3, 0]] and torch.equal(log_stds, -frame_means)
    alignment = hard_alignment(durations, token_lens, lens, 3)
    assert alignment.weights.tolist() == [[[1, 0], [0, 1], [0, 1]], [[1, 0], [1, 0], [0, 0]]]
    assert torch.equal(alignment.step_lens, lens) and torch.equal(alignment.durations, durations)


@pytest.mark.parametrize("layers", [0, 2])
def test_a_text_alone_equals_itself_in_a_batch(layers):
    text = model(prenet_layers=layers).text
    if layers:
        torch.nn.init.normal_(text.prenet.out.weight)
    tokens = torch.tensor([[1, 2, 3, 4], [5, 6, 7, 7]])
    both, alone = text(tokens, torch.tensor([4, 2])), text(tokens[1:, :2], torch.tensor([2]))
    for found, expected in zip(both, alone):
        torch.testing.assert_close(found[1, :2], expected[0])
    assert both.means.shape == (2, 4, 7) and both.hidden.shape == (2, 4, 8)


def test_deviations_are_one_where_only_the_mean_is_asked_for():
    text = model(mean_only=True).text
    assert (text(torch.tensor([[1, 2]]), torch.tensor([2])).log_stds == 0).all()


def test_speakers_are_heard_where_there_are_several():
    several, lens = model(3), torch.tensor([4, 2])
    nobody, first = several.condition(Controls(), lens), several.condition(Controls(torch.tensor([0, 1])), lens)
    assert torch.equal(nobody[0], nobody[1]) and torch.equal(nobody[0], first[0])
    assert first.shape == (2, 1, 5) and not torch.equal(first[0], first[1])
    assert model(1).condition(Controls(), lens) is None and model(1).cond_dim == 0


def test_an_encoder_that_drops_tokens_is_refused():
    with pytest.raises(ValueError, match=r"encoder.subsampling_factor: expected 1, .* got 2; set encoder"):
        model(encoder={**ENCODER, "subsampling_factor": 2})
