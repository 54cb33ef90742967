from __future__ import annotations

import torch

from speechkit.models.lm.lstm import Lstm
from speechkit.text.vocabulary import Vocabulary


def test_it_is_torchs_lstm_between_an_embedding_and_its_transpose():
    torch.manual_seed(0)
    lm = Lstm.Config(dim=6, num_layers=2).build(vocabulary=Vocabulary(5)).eval()
    tokens = torch.tensor([[4, 2, 3]])
    out, _ = lm.network.lstm(lm.network.embedding(tokens))
    torch.testing.assert_close(lm(tokens, torch.tensor([3])), out @ lm.network.embedding.weight.T + lm.bias)


def test_the_options_are_its_own_and_the_defaults_have_the_size_of_the_formula():
    config = Lstm.Config()
    assert config.name == "lstm" and config.component is Lstm and (config.dim, config.num_layers) == (512, 2)
    lm = config.build(vocabulary=Vocabulary(500))
    assert sum(p.numel() for p in lm.parameters()) == 500 * 513 + 2 * (4 * 512 * (512 + 512 + 2))
