"""The attention decoders that tests run over, tiny, by a name for each."""

from __future__ import annotations

import torch

from speechkit.models.decoder.las import Las
from speechkit.models.decoder.transformer import TransformerDecoder
from speechkit.text.vocabulary import Vocabulary

D, V = 7, 6

CONFIGS = {
    "transformer": TransformerDecoder.Config(dim=6, num_layers=2, num_heads=3, ff_dim=5),
    "bare": TransformerDecoder.Config(dim=6, num_layers=1, num_heads=3, ff_dim=5, memory_positions=False),
    "tied": TransformerDecoder.Config(dim=4, num_layers=1, num_heads=1, ff_dim=5, tie_embeddings=True),
    "las": Las.Config(dim=5, num_layers=2, attention_dim=3, num_filters=2, kernel_size=3),
    "las_dot": Las.Config(dim=5, attention="dot", attention_dim=3),
    "las_additive": Las.Config(dim=5, attention="additive", attention_dim=3),
}


def build(name, vocab_size=V, scale=1.0):
    """In double precision, without dropout; weights drawn ``scale`` times as large as usual, for peaked distributions."""
    torch.manual_seed(0)
    decoder = CONFIGS[name].build(in_dim=D, vocabulary=Vocabulary(vocab_size)).double().eval()
    (decoder.embedding if decoder.out is None else decoder.out).weight.data *= scale
    return decoder
