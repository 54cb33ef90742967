"""A voice's network: features, their normalisation, and the acoustic model that predicts them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from speechkit.features.base import Featurizer
from speechkit.features.cmvn import Cmvn
from speechkit.features.prosody import frame_energy
from speechkit.models.acoustic.base import AcousticModel, Controls, Learned, Speech, Spoken


class TtsModel(nn.Module):
    """Speaks tokens. The acoustic model learns normalised features; what comes out are the featurizer's own.

    Args:
        featurizer: Waveform to features.
        cmvn: Normalisation of features that can be undone.
        acoustic: Tokens to normalised features.
    """

    def __init__(self, featurizer: Featurizer, cmvn: Cmvn, acoustic: AcousticModel) -> None:
        super().__init__()
        self.featurizer, self.cmvn, self.acoustic = featurizer, cmvn, acoustic

    @torch.no_grad()
    def features(self, wav: Tensor, wav_lens: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, T, F) in float32, not normalised, and their lengths (B,)."""
        with torch.autocast(wav.device.type, enabled=False):
            return self.featurizer(wav.float(), wav_lens)

    @torch.no_grad()
    def energy(self, wav: Tensor, wav_lens: Tensor) -> Tensor:
        """The energy (B, T) of each frame, 0 at padding; see :func:`~speechkit.features.prosody.frame_energy`."""
        with torch.autocast(wav.device.type, enabled=False):
            return frame_energy(self.featurizer, wav.float(), wav_lens)[0]

    def fit(self, speeches: Iterable[Speech]) -> None:
        """Let the acoustic model look at recordings, whose features are not normalised yet."""
        self.acoustic.fit(map(self.normalized, speeches))

    def forward(self, speech: Speech) -> Learned:
        """Learn from recordings, whose features are not normalised yet."""
        return self.acoustic(self.normalized(speech))

    def normalized(self, speech: Speech) -> Speech:
        """Recordings, with features as the acoustic model learns them."""
        return dataclasses.replace(speech, feats=self.cmvn(speech.feats, speech.feat_lens))

    def synthesize(self, tokens: Tensor, token_lens: Tensor, controls: Controls) -> Spoken:
        """Speak tokens (B, U) with lengths (B,); the features are as the featurizer makes them, and 0 at padding.

        So are those of ``controls.reference``.
        """
        if controls.reference is not None:
            heard = self.cmvn(controls.reference, controls.reference_lens)
            controls = dataclasses.replace(controls, reference=heard)
        spoken = self.acoustic.synthesize(tokens, token_lens, controls)
        if spoken.feats is None:
            return spoken
        return dataclasses.replace(spoken, feats=self.cmvn.inverse(spoken.feats, spoken.feat_lens))
