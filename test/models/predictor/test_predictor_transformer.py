from __future__ import annotations

import pytest
import torch

from speechkit.models.predictor.transformer import Transformer
from speechkit.text.vocabulary import Vocabulary


@pytest.mark.parametrize("left_context", [0, 2, None])
def test_two_layers_see_twice_the_left_context_and_no_more(left_context):
    torch.manual_seed(0)
    options = {"dim": 12, "num_layers": 2, "num_heads": 3, "ff_dim": 20, "left_context": left_context}
    predictor = Transformer.Config(**options).build(vocabulary=Vocabulary(11)).double().eval()
    tokens, lens = torch.randint(1, 10, (1, 9)), torch.tensor([9])
    other = tokens.clone()
    other[0, 0] = tokens[0, 0] % 9 + 1
    changed = (predictor(tokens, lens) - predictor(other, lens)).abs().sum(-1)[0] > 1e-9
    # The first label stands at row 1, behind the start symbol.
    last = 9 if left_context is None else 1 + 2 * left_context
    assert changed.tolist() == [1 <= u <= last for u in range(10)]
