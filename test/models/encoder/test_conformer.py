from __future__ import annotations

import torch

from speechkit.models.encoder.conformer import Conformer, ConformerLayer


def test_a_block_adds_half_feed_forwards_attention_and_convolution():
    torch.manual_seed(0)
    config = Conformer.Config(dim=12, num_heads=3, ff_dim=20, kernel_size=5, dropout=0.0, position="none")
    layer = ConformerLayer(config).eval()
    x = torch.randn(2, 7, 12)
    y = x + layer.feed_first(layer.norm_first(x)) / 2
    y = y + layer.attention(layer.norm_attention(y))
    y = y + layer.conv(layer.norm_conv(y))
    y = y + layer.feed_last(layer.norm_last(y)) / 2
    torch.testing.assert_close(layer(x, None, None, None), layer.norm(y))


def test_a_conformer_learns_to_copy_one_bit():
    """Ten steps of Adam on one batch must bring the loss down: signs, scales and gradients all have to be right."""
    torch.manual_seed(0)
    config = Conformer.Config(dim=16, num_layers=1, num_heads=2, ff_dim=32, kernel_size=3, subsampling="stack", dropout=0.0)
    encoder = config.build(in_dim=3)
    optimizer = torch.optim.Adam(encoder.parameters(), lr=1e-2)
    feats, lens = torch.randn(4, 40, 3), torch.tensor([40, 40, 36, 30])
    target = (feats[:, ::4, 0] > 0).float()
    losses = []
    for _ in range(30):
        out, _ = encoder(feats, lens)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(out[..., 0], target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]
