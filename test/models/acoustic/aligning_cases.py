"""Tiny models that find durations themselves, and utterances for them."""

from __future__ import annotations

from dataclasses import replace

import torch

from speechkit.models.acoustic.base import AcousticFacts, AcousticModel, Speech
from speechkit.text.vocabulary import Vocabulary

ENCODER = {
    "name": "transformer",
    "subsampling": "stack",
    "subsampling_factor": 1,
    "dim": 8,
    "num_layers": 1,
    "num_heads": 2,
    "ff_dim": 12,
    "dropout": 0.0,
}
TEXT = {"embed_dim": 6, "encoder": ENCODER, "speaker_dim": 5}
FEATS, HOP = 6, 4


def facts(num_speakers: int = 1) -> AcousticFacts:
    return AcousticFacts(Vocabulary(11), FEATS, 0.01, num_speakers, hop_length=HOP, sampling_rate=400)


def speech() -> Speech:
    """Two utterances of 13 and 8 frames and of 5 and 3 tokens; what lies at padding is nonsense."""
    return Speech(
        tokens=torch.tensor([[3, 1, 4, 1, 5], [9, 2, 6, 7, 7]]),
        token_lens=torch.tensor([5, 3]),
        feats=torch.randn(2, 13, FEATS),
        feat_lens=torch.tensor([13, 8]),
        speakers=torch.tensor([2, 1]),
        wav=0.3 * torch.randn(2, 13 * HOP),
    )


def second_alone(both: Speech) -> Speech:
    """The second of the two utterances, without padding."""
    tokens, frames = int(both.token_lens[1]), int(both.feat_lens[1])
    return replace(
        both,
        tokens=both.tokens[1:, :tokens],
        token_lens=both.token_lens[1:],
        feats=both.feats[1:, :frames],
        feat_lens=both.feat_lens[1:],
        speakers=both.speakers[1:],
        wav=both.wav[1:, : frames * HOP],
    )


def stir(model: AcousticModel) -> AcousticModel:
    """The model with parameters that are not those it begins with, in which many layers are 0."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model
