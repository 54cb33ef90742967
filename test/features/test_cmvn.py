from __future__ import annotations

import numpy as np
import pytest
import torch

from speechkit.config import Choice, Config, ConfigError, validate
from speechkit.features.cmvn import Cmvn, GlobalCmvn, NoCmvn, UtteranceCmvn

DIM = 5


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    feats = 3 + 2 * torch.randn(2, 17, DIM, generator=torch.Generator().manual_seed(0))
    lens = torch.tensor([17, 11])
    feats[1, 11:] = 0
    return feats, lens


def build(name: str) -> Cmvn:
    cmvn = Cmvn.registry[name].Config().build(feat_dim=DIM)
    if name == "global":
        cmvn.fit([batch()[0][0]])
    return cmvn


@pytest.mark.parametrize("name", sorted(Cmvn.registry))
def test_padding_stays_zero_and_does_not_matter(name):
    cmvn, (feats, lens) = build(name), batch()
    normal = cmvn(feats, lens)
    assert normal.shape == feats.shape and (normal[1, 11:] == 0).all()
    torch.testing.assert_close(normal[1:, :11], cmvn(feats[1:, :11], lens[1:]))


def test_none_changes_nothing():
    feats, lens = batch()
    assert NoCmvn.Config().build(feat_dim=DIM)(feats, lens) is feats


def test_global_statistics_are_numpys_over_all_frames():
    generator = np.random.default_rng(0)
    utterances = [generator.normal(4.0, 3.0, (length, DIM)) for length in (7, 13, 1)]
    cmvn = GlobalCmvn.Config().build(feat_dim=DIM)
    cmvn.fit(iter(utterances))  # read once
    frames = np.concatenate(utterances)
    np.testing.assert_allclose(cmvn.mean, frames.mean(0), rtol=1e-5)
    np.testing.assert_allclose(cmvn.inv_std, 1 / frames.std(0), rtol=1e-5)
    normal = cmvn(torch.from_numpy(frames).float()[None], torch.tensor([21]))
    np.testing.assert_allclose(normal[0].std(0, unbiased=False), np.ones(DIM), rtol=1e-5)


def test_without_scaling_only_the_mean_goes():
    feats, lens = batch()
    cmvn = GlobalCmvn.Config(scale_variance=False).build(feat_dim=DIM)
    cmvn.fit([feats[0]])
    torch.testing.assert_close(cmvn(feats, lens)[0], feats[0] - feats[0].mean(0), atol=1e-5, rtol=0)
    centred = UtteranceCmvn.Config(scale_variance=False).build(feat_dim=DIM)(feats, lens)
    torch.testing.assert_close(centred[1, :11], feats[1, :11] - feats[1, :11].mean(0), atol=1e-5, rtol=0)


def test_each_utterance_gets_mean_0_and_variance_1():
    feats, lens = batch()
    normal = UtteranceCmvn.Config().build(feat_dim=DIM)(feats, lens)
    for row, length in zip(normal, lens.tolist(), strict=True):
        torch.testing.assert_close(row[:length].mean(0), torch.zeros(DIM), atol=1e-5, rtol=0)
        torch.testing.assert_close(row[:length].std(0, unbiased=False), torch.ones(DIM), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["global", "utterance"])
def test_a_feature_that_never_changes_is_centred_only(name):
    feats = torch.full((1, 7, DIM), -15.9)
    cmvn = Cmvn.registry[name].Config().build(feat_dim=DIM)
    if name == "global":
        cmvn.fit([feats[0]])
        assert (cmvn.inv_std == 1).all()
        torch.testing.assert_close(cmvn(feats + 6, torch.tensor([7])), torch.full_like(feats, 6.0))
    assert cmvn(feats, torch.tensor([7])).abs().max() < 1


def test_an_empty_utterance_gives_no_nan():
    normal = UtteranceCmvn.Config().build(feat_dim=DIM)(torch.zeros(1, 3, DIM), torch.tensor([0]))
    assert (normal == 0).all()


def test_statistics_travel_with_the_model():
    cmvn, (feats, lens) = build("global"), batch()
    twin = GlobalCmvn.Config().build(feat_dim=DIM)
    twin.load_state_dict(cmvn.state_dict())
    assert sorted(cmvn.state_dict()) == ["inv_std", "mean"]
    assert torch.equal(twin(feats, lens), cmvn(feats, lens))


def test_missing_or_unfit_statistics_are_errors():
    cmvn = GlobalCmvn.Config().build(feat_dim=DIM)
    with pytest.raises(ValueError, match=r"expected global statistics, got none; call fit\(\)"):
        cmvn(*batch())
    with pytest.raises(ValueError, match="expected frames to fit on, got none"):
        cmvn.fit([])
    with pytest.raises(ValueError, match=r"expected features \(T, 5\), got \(3, 4\) for utterance 1"):
        cmvn.fit([torch.zeros(2, DIM), torch.zeros(3, 4)])
    with pytest.raises(ValueError, match="NaN or infinity in utterance 0"):
        cmvn.fit([torch.full((2, DIM), torch.nan)])


def test_yaml_picks_it_by_name():
    class Recipe(Config):
        cmvn: Choice[Cmvn] = NoCmvn.Config()

    assert validate(Recipe, {"cmvn": "global"}).cmvn == GlobalCmvn.Config()
    with pytest.raises(ConfigError, match="choices: global, none, utterance"):
        validate(Recipe, {"cmvn": "glob"})


def test_global_statistics_can_be_undone_and_those_of_utterances_say_that_they_cannot():
    feats, lens = torch.randn(2, 17, 5) * 3 + 1, torch.tensor([17, 11])
    feats[1, 11:] = 0
    cmvn = GlobalCmvn.Config().build(feat_dim=5)
    with pytest.raises(ValueError, match="expected global statistics, got none"):
        cmvn.inverse(feats, lens)
    cmvn.fit([feats[0], feats[1, :11]])
    torch.testing.assert_close(cmvn.inverse(cmvn(feats, lens), lens), feats)
    assert NoCmvn.Config().build(feat_dim=5).inverse(feats, lens) is feats
    assert cmvn.invertible and NoCmvn.invertible and not UtteranceCmvn.invertible
