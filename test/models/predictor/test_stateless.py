from __future__ import annotations

import pytest
import torch

from speechkit.models.predictor.stateless import Stateless
from speechkit.text.vocabulary import Vocabulary


def build(**options):
    torch.manual_seed(0)
    return Stateless.Config(dim=12, **options).build(vocabulary=Vocabulary(11)).eval()


@pytest.mark.parametrize("k", [1, 2, 3])
def test_histories_that_agree_in_the_last_k_labels_are_the_same_and_others_are_not(k):
    predictor, lens = build(context_size=k), torch.tensor([6])
    one, other = torch.tensor([[2, 9, 4, 5, 6, 7]]), torch.tensor([[8, 3, 4, 5, 6, 7]])  # they differ before place 2
    same = (predictor(one, lens) == predictor(other, lens)).all(-1)[0]
    # Row u sees the labels u - k ... u - 1; rows that see the start symbols only are equal as well.
    assert same.tolist() == [u == 0 or u - k >= 2 for u in range(7)]


def test_it_equals_a_grouped_convolution():
    predictor = build(context_size=3, group_size=4)
    conv = torch.nn.Conv1d(12, 12, 3, groups=3, bias=False)
    # (groups, k * inputs, outputs) -> (groups * outputs, inputs, k)
    weight = predictor.weight.detach().unflatten(1, (3, 4)).permute(0, 3, 2, 1).flatten(0, 1)
    conv.weight.data.copy_(weight)
    history = torch.tensor([[0, 0, 0, 5, 2, 9, 4]])
    expected = conv(predictor.embedding(history).transpose(1, 2)).transpose(1, 2).relu()
    torch.testing.assert_close(predictor(torch.tensor([[5, 2, 9, 4]]), torch.tensor([4])), expected)


def test_a_group_size_that_divides_nothing_is_an_error():
    with pytest.raises(ValueError, match="group_size: expected a divisor of dim 12, got 5; change"):
        build(group_size=5)
