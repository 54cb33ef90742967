"""Tiny acoustic models that go frame by frame, and two utterances to learn."""

from __future__ import annotations

import torch

from speechkit.models.acoustic.base import AcousticFacts, AcousticModel, Speech
from speechkit.text.vocabulary import Vocabulary

B, U, T, F, V, SPEAKERS = 2, 5, 14, 3, 11, 2

TINY = {
    "tacotron2": {
        "embedding_dim": 12, "encoder_dim": 10, "encoder_layers": 2, "prenet_dims": (9, 8), "dim": 13, "attention_dim": 7,
        "num_filters": 4, "kernel_size": 5, "postnet_dim": 9, "postnet_layers": 3,
    },
    "tacotron": {
        "embedding_dim": 12, "prenet_dims": (10, 8), "encoder_bank": 3, "cbhg_dim": 5, "dim": 13, "attention_dim": 7,
        "postnet_bank": 2, "postnet_dim": 6,
    },
    "transformer_tts": {
        "dim": 12, "num_heads": 2, "ff_dim": 14, "encoder_layers": 1, "decoder_layers": 2, "encoder_convs": 1,
        "prenet_dims": (9, 8), "postnet_dim": 9, "postnet_layers": 3,
    },
}  # fmt: skip

NON_ATTENTIVE = {
    "embedding_dim": 12, "encoder_dim": 10, "encoder_layers": 2, "duration_dim": 6, "duration_layers": 1,
    "prenet_dims": (9, 8), "dim": 13, "postnet_dim": 9, "postnet_layers": 3,
}  # fmt: skip


def build(name, speakers=SPEAKERS, **options):
    facts = AcousticFacts(Vocabulary(V), feat_dim=F, frame_shift=0.1, num_speakers=speakers)
    config = AcousticModel.registry[name].Config(**{**TINY[name], **options})
    return config.build(facts=facts)


def without_dropout(name):
    config = AcousticModel.registry[name].Config
    return {field: 0.0 for field in config.model_fields if field.endswith("dropout") or field == "zoneout"}


def speech():
    """Tokens whose frames can be told from them, the second utterance shorter; garbage at padding."""
    sound = torch.randn(V, F)
    tokens = torch.tensor([[4, 7, 2, 9, 3], [8, 5, 6, 1, 0]])
    durations = torch.tensor([[3, 2, 4, 2, 3], [4, 3, 3, 0, 0]])
    feats = torch.full((B, T, F), torch.nan)
    for b in range(B):
        frames = sound[tokens[b].repeat_interleave(durations[b])]
        feats[b, : len(frames)] = frames
    lens = durations.sum(1)
    return Speech(tokens, torch.tensor([5, 3]), feats, lens, torch.tensor([0, 1]), durations)
