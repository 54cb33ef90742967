from __future__ import annotations

import math

import torch

from speechkit.models.vocoder.base import VocoderInput
from speechkit.models.vocoder.wavernn import CoarseFineHead, FrameNetwork, Wavernn

GIVEN = VocoderInput(feat_dim=5, hop_length=6, sampling_rate=8000)


def build(**options) -> Wavernn:
    torch.manual_seed(0)
    small = {"dim": 6, "hidden_dim": 7, "aux_dim": 8, "num_blocks": 1, **options}
    return Wavernn.Config(**small).build(given=GIVEN).double().eval()


def test_each_layer_hears_its_own_quarter_of_the_auxiliary_features():
    """What does not reach the first GRU does not change what it remembers; the last quarter reaches the last layer only."""
    vocoder = build()
    cond, wav = vocoder.condition(torch.randn(1, 11, 5).double()), torch.rand(1, 66).double() - 0.5
    before = vocoder.predict(cond, wav)
    assert cond.shape == (1, 66, 13)
    for quarter, lasting in enumerate([True, True, False, False]):
        changed = cond.clone()
        changed[0, 20, 5 + 2 * quarter : 7 + 2 * quarter] += 3.0
        after = vocoder.predict(changed, wav)
        assert torch.equal(after[:, :20], before[:, :20]) and not torch.equal(after[:, 20], before[:, 20])
        assert torch.equal(after[:, 21:], before[:, 21:]) is not lasting


def test_the_fine_byte_hears_the_coarse_one_and_not_the_other_way():
    head = CoarseFineHead(5)
    x = torch.randn(1, 1, 5)
    one, other = head(x, torch.tensor([[3]])), head(x, torch.tensor([[200]]))
    assert torch.equal(one[..., :256], other[..., :256]) and not torch.equal(one[..., 256:], other[..., 256:])


def test_untrained_16_bits_cost_about_16_times_ln_2():
    vocoder = build(output="coarse_fine")
    nats = vocoder(torch.randn(2, 11, 5).double(), torch.rand(2, 66).double() - 0.5)
    assert abs(nats.mean().item() - 16 * math.log(2)) < 0.5


def test_what_is_said_in_16_bits_are_levels_of_16_bits():
    wav, _ = build(output="coarse_fine").generate(torch.randn(1, 11, 5).double(), torch.tensor([11]))
    levels = wav * 32768
    assert torch.equal(levels, levels.round()) and wav.min() >= -1 and wav.max() < 1
    assert len((levels % 256).unique()) > 20


def test_the_network_over_frames_sees_its_context_only():
    network = FrameNetwork(3, 8, num_blocks=2, context=2).double()
    feats = torch.randn(1, 11, 3).double()
    changed = feats.clone()
    changed[0, 5] += 1.0
    moved = ((network(changed) - network(feats)).abs() > 1e-12).any(-1)[0].nonzero().flatten()
    assert moved.tolist() == [3, 4, 5, 6, 7]
