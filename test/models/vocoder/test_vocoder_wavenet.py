from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from speechkit.models.vocoder.base import VocoderInput
from speechkit.models.vocoder.wavenet import Wavenet

GIVEN = VocoderInput(feat_dim=5, hop_length=6, sampling_rate=8000)


def build(given: VocoderInput = GIVEN, **options) -> Wavenet:
    torch.manual_seed(0)
    small = {"dim": 7, "skip_dim": 9, "num_cycles": 2, "cycle_length": 3, "cond_dim": 3, **options}
    return Wavenet.Config(**small).build(given=given).double().eval()


@pytest.mark.parametrize(("kernel_size", "reach"), [(2, 15), (3, 29)])
def test_a_sample_depends_on_as_many_before_it_as_the_receptive_field_says(kernel_size, reach):
    vocoder = build(kernel_size=kernel_size, output="gaussians", num_components=1)
    wav = torch.rand(1, 66).double() - 0.5
    changed = wav.clone()
    changed[0, 20] += 0.3
    cond = vocoder.condition(torch.randn(1, 11, 5).double())
    moved = ((vocoder.predict(cond, wav) - vocoder.predict(cond, changed)).abs() > 1e-14).any(-1)[0].nonzero().flatten()
    assert vocoder.receptive_field == reach  # 1 + (K - 1) (1 + 2 + 4) twice
    assert (moved.min().item(), moved.max().item()) == (21, 20 + reach)


def test_global_features_are_conditions_that_no_frame_changes():
    vocoder = build(num_global=2)
    feats = torch.randn(1, 11, 5).double()
    cond = vocoder.condition(feats)
    assert cond.shape == (1, 66, 5)
    torch.testing.assert_close(cond[0, :, 3:], feats[0, :1, 3:].expand(66, 2))
    louder = feats.clone()
    louder[..., 3:] += 1.0
    assert torch.equal(vocoder.condition(louder)[..., :3], cond[..., :3])
    wav = torch.rand(1, 66).double() - 0.5
    assert not torch.allclose(vocoder(louder, wav), vocoder(feats, wav))


def test_it_learns_a_tone():
    """A tone is known from its past: from ln 64 = 4.2 nats per sample down to less than one."""
    given = VocoderInput(feat_dim=5, hop_length=16, sampling_rate=8000)
    vocoder = build(given, bits=6, dim=16, skip_dim=32, num_cycles=1, cycle_length=4).float().train()
    optimizer = torch.optim.Adam(vocoder.parameters(), lr=1e-2)
    phases = torch.linspace(0, 6, 8).unsqueeze(1)
    wav, feats = 0.5 * torch.sin(0.3 * torch.arange(128) + phases), torch.zeros(8, 8, 5)
    for _ in range(80):
        nats = vocoder(feats, wav)[:, 32:].mean()
        optimizer.zero_grad()
        nats.backward()
        optimizer.step()
    assert nats.item() < 1.0


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="num_global: expected less than the 5 features, got 5"):
        build(num_global=5)
    with pytest.raises(ValidationError, match="cycle_length: expected at most 20, got 30"):
        Wavenet.Config(cycle_length=30)
