from __future__ import annotations

import pytest
import torch

from speechkit.features.cmvn import GlobalCmvn
from speechkit.features.fbank import Fbank
from speechkit.features.spec_augment import SpecAugment, SpecAugmentConfig
from speechkit.models.asr import AsrModel
from speechkit.models.decoder.linear import Linear
from speechkit.models.encoder.conformer import Conformer
from speechkit.text.vocabulary import Vocabulary


@pytest.fixture
def model():
    featurizer = Fbank.Config(sampling_rate=8000, num_mel_bins=23, high_freq=0.0).build()
    encoder = Conformer.Config(dim=8, num_layers=1, num_heads=2, ff_dim=12, kernel_size=3).build(in_dim=23)
    decoder = Linear.Config().build(in_dim=8, vocabulary=Vocabulary(5))
    cmvn = GlobalCmvn.Config().build(feat_dim=23)
    cmvn.fit([torch.randn(50, 23)])
    return AsrModel(featurizer, cmvn, SpecAugment(SpecAugmentConfig()), encoder, {"ctc": decoder})


def test_an_utterance_alone_equals_itself_in_a_padded_batch(model):
    model.eval()
    wav, lens = torch.randn(2, 4001) * 0.1, torch.tensor([4001, 2503])
    batched, batched_lens = model(wav, lens)
    alone, alone_lens = model(wav[1:, :2503], lens[1:])
    assert batched_lens[1] == alone_lens[0]
    torch.testing.assert_close(batched[1, : alone_lens[0]], alone[0, : alone_lens[0]], rtol=1e-4, atol=1e-5)


def test_features_can_be_handed_in(model):
    model.eval()
    wav, lens = torch.randn(2, 4001) * 0.1, torch.tensor([4001, 2503])
    feats, feat_lens = model.features(wav, lens)
    for a, b in zip(model(wav, lens), model(feats, feat_lens, is_features=True)):
        torch.testing.assert_close(a, b)


def test_features_are_masked_in_training_only(model):
    wav, lens = torch.randn(1, 8001) * 0.1, torch.tensor([8001])
    seen = []
    model.encoder.register_forward_pre_hook(lambda module, args: seen.append(args[0].clone()))
    model.train()(wav, lens)
    model.eval()(wav, lens)
    assert not torch.equal(seen[0], seen[1])


def test_features_stay_in_float32_under_autocast(model):
    wav, lens = torch.randn(1, 4001) * 0.1, torch.tensor([4001])
    with torch.autocast("cpu", torch.bfloat16):
        feats, _ = model.features(wav, lens)
    torch.testing.assert_close(feats, model.features(wav, lens)[0])


def test_the_frame_shift_is_that_of_encoder_frames(model):
    assert model.frame_shift == pytest.approx(0.04)
