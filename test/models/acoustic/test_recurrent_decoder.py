from __future__ import annotations

from collections import Counter

import torch
from autoregressive_cases import B, F, build, speech


def test_only_the_attention_rnn_is_called_step_by_step():
    model, given = build("tacotron2", reduction_factor=2), speech()
    calls = Counter()
    for name in ("prenet", "attention_rnn.dropout", "out", "stop"):
        model.decoder.get_submodule(name).register_forward_hook(lambda *_, name=name: calls.update([name]))
    model(given)
    assert calls == {"prenet": 1, "attention_rnn.dropout": 7, "out": 1, "stop": 1}


def test_the_frames_of_a_step_are_said_in_their_order():
    decoder = build("tacotron2", reduction_factor=3).decoder
    torch.nn.init.zeros_(decoder.out.weight)
    decoder.out.bias.data = torch.arange(3.0 * F)
    memory = torch.randn(B, 4, 10)
    said, _ = decoder(torch.randn(B, 2, F), decoder.start(memory, torch.tensor([4, 2])))
    torch.testing.assert_close(said.feats[0], torch.arange(3.0 * F).view(3, F).repeat(2, 1))
