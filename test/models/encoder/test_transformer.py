from __future__ import annotations

import torch
from torch import nn

from speechkit.models.encoder.transformer import Transformer, TransformerLayer


def test_a_block_equals_the_pre_norm_layer_of_torch():
    torch.manual_seed(0)
    ours = TransformerLayer(Transformer.Config(dim=12, num_heads=3, ff_dim=20, dropout=0.0, position="none"))
    theirs = nn.TransformerEncoderLayer(12, 3, 20, dropout=0.0, batch_first=True, norm_first=True)
    pairs = {
        theirs.self_attn.in_proj_weight: ours.attention.qkv.weight,
        theirs.self_attn.in_proj_bias: ours.attention.qkv.bias,
        theirs.self_attn.out_proj.weight: ours.attention.out.weight,
        theirs.self_attn.out_proj.bias: ours.attention.out.bias,
        theirs.linear1.weight: ours.feed.expand.weight,
        theirs.linear1.bias: ours.feed.expand.bias,
        theirs.linear2.weight: ours.feed.contract.weight,
        theirs.linear2.bias: ours.feed.contract.bias,
    }
    with torch.no_grad():
        for target, source in pairs.items():
            target.copy_(source)
    x = torch.randn(2, 7, 12)
    torch.testing.assert_close(ours(x, None, None, None), theirs(x))
