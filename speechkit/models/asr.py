"""A recogniser's network: features, normalisation, encoder, and one decoder per objective."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from speechkit.features.base import Featurizer
from speechkit.features.spec_augment import SpecAugment
from speechkit.models.decoder.base import Decoder
from speechkit.models.encoder.base import Encoder


class AsrModel(nn.Module):
    """Waveforms or features in, encodings out; ``decoders`` turn encodings into each objective's scores.

    Args:
        featurizer: Waveform to features.
        cmvn: ``(feats, feat_lens) -> feats``.
        spec_augment: Masks features in training; None for none.
        encoder: Features to encodings.
        decoders: Objective name to its decoder.
    """

    def __init__(
        self,
        featurizer: Featurizer,
        cmvn: nn.Module,
        spec_augment: SpecAugment | None,
        encoder: Encoder,
        decoders: dict[str, Decoder],
    ) -> None:
        super().__init__()
        self.featurizer, self.cmvn, self.spec_augment, self.encoder = featurizer, cmvn, spec_augment, encoder
        self.decoders = nn.ModuleDict(decoders)

    @property
    def frame_shift(self) -> float:
        """Seconds from one encoder frame to the next."""
        return self.featurizer.frame_shift * self.encoder.subsampling_factor

    @torch.no_grad()
    def features(self, wav: Tensor, wav_lens: Tensor) -> tuple[Tensor, Tensor]:
        """Features in float32 whatever the autocast type: their range exceeds that of half precision."""
        with torch.autocast(wav.device.type, enabled=False):
            return self.featurizer(wav.float(), wav_lens)

    def forward(self, inputs: Tensor, input_lens: Tensor, is_features: bool = False) -> tuple[Tensor, Tensor]:
        """Encode a batch.

        Args:
            inputs: (B, L) waveforms in [-1, 1], or (B, T, F) features.
            input_lens: (B,) samples or frames.
            is_features: Which of the two ``inputs`` are.

        Returns:
            encoder_out (B, S, D) and encoder_out_lens (B,).
        """
        feats, feat_lens = (inputs, input_lens) if is_features else self.features(inputs, input_lens)
        feats = self.cmvn(feats, feat_lens)
        if self.spec_augment is not None and self.training:
            feats = self.spec_augment(feats, feat_lens)
        return self.encoder(feats, feat_lens)
