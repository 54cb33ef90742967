"""Tiny feed-forward models, and two recordings for them to learn."""

from __future__ import annotations

import torch

from speechkit.config import validate
from speechkit.models.acoustic.base import AcousticFacts, AcousticModel, Speech
from speechkit.text.vocabulary import Vocabulary

F_BINS, HOP = 5, 6
FACTS = AcousticFacts(Vocabulary(11), F_BINS, 0.01, num_speakers=3, hop_length=HOP, sampling_rate=600)
ENCODER = {"name": "fft", "dim": 12, "num_layers": 1, "num_heads": 3, "ff_dim": 14, "kernel_sizes": [3, 1], "dropout": 0.0}
PREDICTOR = {"dim": 7, "dropout": 0.0}
TINY = {"embed_dim": 10, "encoder": ENCODER, "decoder": ENCODER, "duration": PREDICTOR}
VARIED = {**TINY, "pitch": PREDICTOR, "energy": PREDICTOR}
BUCKETS = {**PREDICTOR, "embedding": "buckets", "num_buckets": 9}
CONFORMER = {"name": "conformer", "dim": 12, "num_layers": 1, "num_heads": 3, "ff_dim": 14, "kernel_size": 3, "dropout": 0.0,
             "conv_norm": "layer"}  # fmt: skip


def speech() -> Speech:
    """Three recordings of 7, 3 and 1 tokens in 19, 11 and 2 frames."""
    g = torch.Generator().manual_seed(3)
    durations = torch.tensor([[2, 3, 1, 5, 4, 3, 1], [4, 0, 7, 0, 0, 0, 0], [2, 0, 0, 0, 0, 0, 0]])
    pitch = torch.rand(3, 19, generator=g) * 150 + 80
    pitch[torch.rand(3, 19, generator=g) < 0.3] = 0.0
    return Speech(
        tokens=torch.randint(1, 11, (3, 7), generator=g),
        token_lens=torch.tensor([7, 3, 1]),
        feats=torch.randn(3, 19, F_BINS, generator=g),
        feat_lens=torch.tensor([19, 11, 2]),
        speakers=torch.tensor([0, 2, 1]),
        durations=durations,
        pitch=pitch,
        energy=torch.rand(3, 19, generator=g) * 40,
        wav=torch.rand(3, 19 * HOP, generator=g) - 0.5,
    )


def alone(batch: Speech, index: int) -> Speech:
    """One of the recordings without padding."""
    tokens, frames = int(batch.token_lens[index]), int(batch.feat_lens[index])
    one = slice(index, index + 1)
    return Speech(
        batch.tokens[one, :tokens],
        batch.token_lens[one],
        batch.feats[one, :frames],
        batch.feat_lens[one],
        batch.speakers[one],
        batch.durations[one, :tokens],
        batch.pitch[one, :frames],
        batch.energy[one, :frames],
        batch.wav[one, : frames * HOP],
    )


def build(options: dict, facts: AcousticFacts = FACTS) -> AcousticModel:
    """A model that has seen the recordings' statistics."""
    torch.manual_seed(0)
    model = validate(AcousticModel.registry[options["name"]].Config, options).build(facts=facts)
    model.fit([speech()])
    return model
