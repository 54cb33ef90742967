from __future__ import annotations

import torch

from speechkit.models.decoder.asg import Asg
from speechkit.text.vocabulary import Vocabulary


def test_the_extra_label_repeats_the_token_before_or_is_silent():
    repeat, silence = (
        Asg.Config(between_equals=each).build(in_dim=3, vocabulary=Vocabulary(5)) for each in ("repeat", "silence")
    )
    assert repeat.spell([0, 2, 2, 0, 2, 3]) == [(2, 1, 3), (2, 3, 4), (2, 4, 5), (3, 5, 6)]
    assert silence.spell([0, 2, 2, 0, 2, 3]) == [(2, 1, 3), (2, 4, 5), (3, 5, 6)]
    assert repeat.spell([]) == silence.spell([0, 0]) == []


def test_emissions_are_a_projection_that_nothing_normalises():
    decoder = Asg.Config().build(in_dim=3, vocabulary=Vocabulary(5)).eval()
    x = torch.randn(2, 7, 3)
    torch.testing.assert_close(decoder(x), x @ decoder.out.weight.T + decoder.out.bias)
    assert decoder.to(torch.bfloat16)(x.bfloat16()).dtype == torch.float32
