from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from speechkit.nn.style_tokens import ReferenceEncoder, StyleTokens

B, T, BINS, D, K, H = 3, 13, 7, 12, 5, 3
LENS = torch.tensor([13, 6, 1])


def tokens(**options) -> StyleTokens:
    return StyleTokens(BINS, **{"dim": D, "num_tokens": K, "num_heads": H, "reference_dim": 11, "channels": (2, 3), **options})


def test_weights_lie_on_the_simplex_and_the_style_is_their_mixture():
    style, feats = tokens().eval(), torch.randn(B, T, BINS)
    weights = style.weights(feats, LENS)
    assert weights.shape == (B, H, K) and weights.min() >= 0
    torch.testing.assert_close(weights.sum(2), torch.ones(B, H))
    each = torch.stack([style.mix(row.unsqueeze(0))[0] for row in torch.eye(K)]).view(K, H, -1)
    expected = torch.stack([torch.stack([weights[b, h] @ each[:, h] for h in range(H)]).flatten() for b in range(B)])
    torch.testing.assert_close(style(feats, LENS), expected)


def test_attention_is_that_of_torch():
    style, feats = tokens().eval(), torch.randn(B, T, BINS)
    learned = style.tokens.tanh()
    query, key, value = (
        layer(x).unflatten(-1, (H, -1)).movedim(-2, 0)
        for layer, x in ((style.query, style.reference(feats, LENS)), (style.key, learned), (style.value, learned))
    )
    expected = F.scaled_dot_product_attention(query, key, value).movedim(0, 1).flatten(1)
    torch.testing.assert_close(style(feats, LENS), expected)


def test_a_single_token_is_the_same_style_whatever_is_heard():
    style = tokens(num_tokens=1)
    out = style(torch.randn(B, T, BINS), LENS)
    torch.testing.assert_close(out, style.mix(torch.ones(1, 1)).expand(B, -1))
    assert tokens()(torch.randn(B, T, BINS), LENS).std(0).max() > 1e-5


@pytest.mark.parametrize("training", [False, True])
def test_padding_does_not_change_the_style(training):
    style, feats = tokens().train(training), torch.randn(B, T, BINS)
    expected = style(feats, LENS)
    padded = torch.full((B, T + 8, BINS), 1e3)
    for b, length in enumerate(LENS.tolist()):
        padded[b, :length] = feats[b, :length]
    torch.testing.assert_close(style(padded, LENS), expected, atol=1e-5, rtol=1e-4)
    if not training:
        alone = torch.cat([style(feats[b : b + 1, :n], LENS[b : b + 1]) for b, n in enumerate(LENS.tolist())])
        torch.testing.assert_close(alone, expected, atol=1e-5, rtol=1e-4)


def test_the_reference_encoder_equals_the_layers_of_torch():
    encoder, feats = ReferenceEncoder(BINS, 11, (2, 3)).train(), torch.randn(2, T, BINS)
    x = feats.unsqueeze(1)
    for conv in encoder.convs:
        x = F.batch_norm(conv(x), None, None, training=True).relu()
    assert x.shape == (2, 3, 4, 2)
    expected = encoder.gru(x.transpose(1, 2).flatten(2))[0][:, -1]
    torch.testing.assert_close(encoder(feats, torch.tensor([T, T])), expected, atol=1e-5, rtol=1e-4)


def test_gradients_reach_every_parameter():
    style = tokens()
    style(torch.randn(B, T, BINS), LENS).square().sum().backward()
    missed = [name for name, p in style.named_parameters() if p.grad is None or not p.grad.ne(0).any()]
    assert missed == []


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(ValueError, match="num_heads: expected a divisor of dim 12, got 5"):
        tokens(num_heads=5)
