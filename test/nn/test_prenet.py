from __future__ import annotations

import pytest
import torch

from speechkit.nn.prenet import Prenet

B, T, F = 3, 17, 5


def seeded(seed=7):
    return torch.Generator().manual_seed(seed)


def test_without_dropout_it_is_two_layers_with_relu():
    prenet, x = Prenet(F, (7, 4), dropout=0.0), torch.randn(B, T, F)
    first, second = prenet.layers
    assert prenet.out_dim == 4
    torch.testing.assert_close(prenet(x), second(first(x).relu()).relu())
    off = Prenet(F, (7, 4), always_on=False).eval()
    torch.testing.assert_close(off(x), off.layers[1](off.layers[0](x).relu()).relu())


def test_dropout_stays_on_at_inference_and_equal_seeds_agree():
    prenet, x = Prenet(F, (32, 32)).eval(), torch.randn(B, T, F)
    assert torch.equal(prenet(x, seeded()), prenet(x, seeded()))
    assert not torch.equal(prenet(x, seeded(1)), prenet(x, seeded(2)))
    assert not torch.equal(prenet(x), prenet(x))


@pytest.mark.parametrize("given", [True, False])
def test_elements_are_dropped_as_often_as_asked_and_the_rest_is_scaled(given):
    prenet = Prenet(1, (200,), dropout=0.25).eval()
    prenet.layers[0].weight.data.fill_(1.0)
    prenet.layers[0].bias.data.zero_()
    out = prenet(torch.ones(1, 100, 1), seeded() if given else None)
    assert out.unique().tolist() == pytest.approx([0, 1 / 0.75], abs=1e-6)
    assert out.eq(0).float().mean().item() == pytest.approx(0.25, abs=0.02)


def test_with_a_generator_an_utterance_sounds_the_same_alone_and_in_a_batch():
    prenet, x = Prenet(F, (7, 4)).eval(), torch.randn(B, T, F)
    together = prenet(x, seeded())
    torch.testing.assert_close(prenet(x[1:2], seeded()), together[1:2])


def test_all_frames_at_once_have_the_same_dropped_as_one_after_the_other():
    prenet, x, generator = Prenet(F, (7, 4)).eval(), torch.randn(B, T, F), seeded()
    steps = torch.cat([prenet(frame, generator) for frame in x.split(1, dim=1)], dim=1)
    torch.testing.assert_close(steps, prenet(x, seeded()))


def test_gradients_reach_every_parameter():
    prenet = Prenet(F, (7, 4))
    prenet(torch.randn(B, T, F)).sum().backward()
    assert all(p.grad.ne(0).any() for p in prenet.parameters())


def test_a_probability_of_one_is_an_error():
    with pytest.raises(ValueError, match=r"dropout: expected a probability in \[0, 1\), got 1"):
        Prenet(F, dropout=1.0)
