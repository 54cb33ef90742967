from __future__ import annotations

import math

import pytest
import torch

from speechkit.objectives.guided_attention import distance_from_diagonal, guided_attention

# speechbrain/speechbrain, tests/unittests/test_losses.py: frames x tokens, g = 0.2.
FRAME_LENS, TOKEN_LENS = torch.tensor([3, 2, 6]), torch.tensor([4, 3, 5])
SPEECHBRAIN = [
    """0.0       0.54216665 0.9560631 0.9991162
       0.7506478 0.08314464 0.2933517 0.8858382
       0.9961341 0.8858382  0.2933517 0.08314464""",
    """0.0       0.7506478 0.9961341
       0.9560631 0.2933517 0.2933517""",
    """0.0       0.39346933 0.86466473 0.988891   0.99966455
       0.2933517 0.01379288 0.49366438 0.90436554 0.993355
       0.7506478 0.1992626  0.05404053 0.5888877  0.93427145
       0.9560631 0.6753475  0.1175031  0.1175031  0.6753475
       0.9961341 0.93427145 0.5888877  0.05404053 0.1992626
       0.9998301 0.993355   0.90436554 0.49366438 0.01379288""",
]


def test_published_matrices_of_speechbrain():
    distance = distance_from_diagonal(TOKEN_LENS, FRAME_LENS, 5, 6, 0.2)
    for b, text in enumerate(SPEECHBRAIN):
        expected = torch.zeros(6, 5)
        rows = torch.tensor([[float(number) for number in line.split()] for line in text.splitlines()])
        expected[: rows.shape[0], : rows.shape[1]] = rows
        torch.testing.assert_close(distance[b], expected.T, rtol=1e-5, atol=1e-6)


def test_published_penalty_of_speechbrain():
    # The same file: its own value is the mean over all 2 x 4 x 3 places.
    weights = torch.tensor(
        [
            [[0.8, 0.2, 0.0], [0.4, 0.6, 0.0], [0.2, 0.8, 0.0], [0.0, 0.0, 0.0]],
            [[0.6, 0.2, 0.2], [0.1, 0.7, 0.2], [0.3, 0.4, 0.3], [0.2, 0.3, 0.5]],
        ]
    )
    penalty = guided_attention(weights, torch.tensor([3, 4]), torch.tensor([2, 3]), 0.2)
    assert penalty.sum().item() / 24 == pytest.approx(0.1142, abs=1e-4)


def test_attention_on_the_diagonal_is_free_and_far_from_it_costs_one_per_token():
    eye = torch.eye(7).unsqueeze(0)
    lens = torch.tensor([7])
    assert guided_attention(eye, lens, lens).item() == 0
    farthest = guided_attention(eye.flip(2), lens, lens, width=0.01)
    assert farthest.item() == pytest.approx(6.0, abs=1e-6)  # the token in the middle looks at the middle


def test_padding_and_empty_sequences_cost_nothing():
    weights = torch.ones(3, 5, 7)
    penalty = guided_attention(weights, torch.tensor([2, 0, 3]), torch.tensor([7, 7, 0]))
    assert penalty[1] == penalty[2] == 0 and math.isfinite(penalty[0])
