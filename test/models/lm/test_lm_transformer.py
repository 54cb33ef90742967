from __future__ import annotations

import torch

from speechkit.models.lm.transformer import Transformer
from speechkit.text.vocabulary import Vocabulary

SMALL = {"dim": 12, "num_layers": 2, "num_heads": 3, "ff_dim": 20, "dropout": 0.0}


def test_with_a_left_context_a_layer_sees_no_farther():
    torch.manual_seed(0)
    lm = Transformer.Config(**SMALL, left_context=1).build(vocabulary=Vocabulary(7)).double().eval()
    tokens = torch.tensor([[6, 2, 3, 4, 5, 2]])
    other = tokens.clone()
    other[0, 1] = 5
    a, b = (lm(each, torch.tensor([6])) for each in (tokens, other))
    changed = (a != b).any(-1)[0].tolist()
    assert changed == [False, True, True, True, False, False]  # two layers of one token each
    state = lm.start(1)
    for u in range(6):
        log_probs, state = lm.step(tokens[:, u], state)
        torch.testing.assert_close(log_probs, a[:, u].log_softmax(-1))


def test_the_defaults_have_the_size_of_the_formula():
    lm = Transformer.Config().build(vocabulary=Vocabulary(500))
    layer = 4 * 512 * 512 + 4 * 512 + 2 * 512 * 2048 + 2048 + 512 + 4 * 512
    assert sum(p.numel() for p in lm.parameters()) == 500 * 513 + 6 * layer + 2 * 512
