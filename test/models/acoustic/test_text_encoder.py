from __future__ import annotations

import torch

from speechkit.models.acoustic.text_encoder import TextEncoder, TextEncoderConfig


def test_tokens_become_vectors_that_know_their_neighbours_and_no_padding():
    config = TextEncoderConfig(embedding_dim=5, encoder_dim=6, encoder_layers=1)
    encoder = TextEncoder(config, vocab_size=7).eval()
    tokens = torch.tensor([[3, 1, 4, 1, 5], [2, 6, 0, 0, 0]])
    out = encoder(tokens, torch.tensor([5, 2]))
    assert out.shape == (2, 5, encoder.out_dim) == (2, 5, 6)
    assert (out[0, 1] != out[0, 3]).all()  # the same token in two places
    torch.testing.assert_close(encoder(tokens[1:, :2], torch.tensor([2]))[0], out[1, :2])
    assert out[1, 2:].eq(0).all()
