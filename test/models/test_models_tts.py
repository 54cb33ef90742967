from __future__ import annotations

import torch

from speechkit.features.cmvn import GlobalCmvn
from speechkit.features.mel import HifiganMel
from speechkit.models.acoustic.base import AcousticFacts, AcousticModel, Controls, Learned, Speech, Spoken
from speechkit.models.tts import TtsModel
from speechkit.text.vocabulary import Vocabulary

MEL = HifiganMel.Config(sampling_rate=8000, n_fft=128, win_length=128, hop_length=48, num_mel_bins=11, high_freq=0.0)


class Echo(AcousticModel):
    """Says what it has heard last."""

    def forward(self, speech: Speech) -> Learned:
        self.heard = speech
        return Learned()

    def synthesize(self, tokens, token_lens, controls) -> Spoken:
        self.asked = controls
        return Spoken(self.heard.feats, self.heard.feat_lens, token_lens.unsqueeze(1))


def test_features_are_normalised_for_the_model_and_come_back_as_they_were():
    featurizer = MEL.build()
    cmvn = GlobalCmvn.Config().build(feat_dim=11)
    network = TtsModel(featurizer, cmvn, Echo(None, AcousticFacts(Vocabulary(7), 11, 0.006)))
    wav, lens = torch.randn(2, 999), torch.tensor([999, 600])
    feats, feat_lens = network.features(wav, lens)
    cmvn.fit([feats[0], feats[1, :12]])
    tokens, ones = torch.ones(2, 1, dtype=torch.int64), torch.ones(2, dtype=torch.int64)
    network(Speech(tokens, ones, feats, feat_lens, ones))
    heard = torch.cat([network.acoustic.heard.feats[0], network.acoustic.heard.feats[1, :12]])
    torch.testing.assert_close(heard.mean(0), torch.zeros(11), atol=1e-4, rtol=0)
    said = network.synthesize(tokens, ones, Controls())
    torch.testing.assert_close(said.feats, feats, atol=1e-4, rtol=1e-4)
    assert not said.feats[1, 12:].any()
    network.synthesize(tokens, ones, Controls(reference=feats, reference_lens=feat_lens))
    torch.testing.assert_close(network.acoustic.asked.reference, network.acoustic.heard.feats)
    assert network.energy(wav, lens).shape == feats.shape[:2]
