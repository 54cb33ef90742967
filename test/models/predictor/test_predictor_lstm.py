from __future__ import annotations

import torch

from speechkit.models.predictor.lstm import Lstm
from speechkit.text.vocabulary import Vocabulary


def test_the_lstm_reads_blank_then_the_labels_and_remembers_the_first_one():
    torch.manual_seed(0)
    predictor = Lstm.Config(dim=5, num_layers=2).build(vocabulary=Vocabulary(11)).eval()
    expected, _ = predictor.lstm(predictor.embedding(torch.tensor([[0, 3, 1, 4]])))
    torch.testing.assert_close(predictor(torch.tensor([[3, 1, 4]]), torch.tensor([3])), expected)
    other = predictor(torch.tensor([[2, 1, 4]]), torch.tensor([3]))
    assert (other[0, 3] - expected[0, 3]).abs().max() > 1e-4
