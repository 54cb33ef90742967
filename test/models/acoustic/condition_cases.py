"""A tiny one of every acoustic model of the toolkit, that can be told who speaks and how in every way."""

from __future__ import annotations

import torch
from aligning_cases import TEXT, stir
from autoregressive_cases import NON_ATTENTIVE
from autoregressive_cases import TINY as ATTENTION
from feed_forward_cases import FACTS, TINY, VARIED, speech

from speechkit.config import validate
from speechkit.models.acoustic.base import AcousticFacts, AcousticModel, Controls, Spoken

HIFIGAN = {"name": "hifigan", "dim": 8, "upsample_rates": [3, 2], "kernel_sizes": [3], "dilations": [[1]]}
MODELS = {
    **{name: {**options, "max_token_seconds": 0.03} for name, options in ATTENTION.items()},
    "non_attentive_tacotron": NON_ATTENTIVE,
    "fastspeech": TINY,
    "fastspeech2": VARIED,
    "jets": {**VARIED, "durations": "given", "vocoder": HIFIGAN, "segment_frames": 4},
    "glow_tts": {**TEXT, "num_flows": 2, "group_size": 2, "flow_dim": 6, "flow_layers": 1, "duration_dim": 7},
    "vits": {**TEXT, "latent_dim": 5, "n_fft": 16, "win_length": 12, "posterior_dim": 6, "posterior_layers": 1,
             "num_flows": 2, "flow_dim": 6, "flow_layers": 1, "duration_dim": 6, "decoder": HIFIGAN,
             "segment_frames": 5},
}  # fmt: skip
KINDS = {
    "embedding": {"name": "embedding"},
    "reference": {"name": "reference", "dim": 5, "channels": [2, 3]},
    "style_tokens": {"name": "style_tokens", "num_tokens": 3, "num_heads": 1, "reference_dim": 6, "channels": [2, 3]},
}


def build(name: str, *kinds: str, facts: AcousticFacts = FACTS) -> AcousticModel:
    """A model with conditions, and with weights in which none of them is silent."""
    torch.manual_seed(0)
    options = {**MODELS[name], "name": name, "conditions": [KINDS[kind] for kind in kinds]}
    model = stir(validate(AcousticModel.registry[name].Config, options).build(facts=facts))
    with torch.no_grad():
        for parameter in model.conditions.parameters():
            parameter.mul_(3)
    model.fit([speech()])
    return model


def say(model: AcousticModel, **controls) -> Spoken:
    """Four tokens, with the same draws each time."""
    generator, quiet = torch.Generator().manual_seed(1), {"temperature": 0.0, "duration_temperature": 0.0}
    tokens, lens = torch.tensor([[3, 5, 2, 7]]), torch.tensor([4])
    return model.eval().synthesize(tokens, lens, Controls(generator=generator, **quiet, **controls))


def same(one: Spoken, other: Spoken) -> bool:
    """Whether two sound alike."""
    heard = [spoken.wav if spoken.feats is None else spoken.feats for spoken in (one, other)]
    return heard[0].shape == heard[1].shape and torch.allclose(*heard, rtol=1e-4, atol=1e-5)
