from __future__ import annotations

import torch
from feed_forward_cases import VARIED, build, speech

from speechkit.config import validate
from speechkit.models.acoustic.base import AcousticFacts
from speechkit.models.acoustic.fastspeech2 import FastSpeech2
from speechkit.objectives import regression
from speechkit.objectives.forward_sum import forward_sum
from speechkit.text.vocabulary import Vocabulary

ESPNET = {"name": "fft", "dim": 384, "num_layers": 6, "num_heads": 4, "ff_dim": 1536, "kernel_sizes": [1, 1]}
ESPNET_PREDICTOR = {"dim": 384, "embed_kernel_size": 9}


def test_it_can_be_as_large_as_espnets():
    options = {"embed_dim": 384, "encoder": ESPNET, "decoder": ESPNET, "postnet_layers": 5, "duration": {"dim": 384}}
    config = validate(FastSpeech2.Config, {**options, "pitch": ESPNET_PREDICTOR, "energy": ESPNET_PREDICTOR})
    model = config.build(facts=AcousticFacts(Vocabulary(78), 80, 256 / 22050))
    # ESPnet, espnet2/tts/fastspeech2/fastspeech2.py, defaults: for each of 12 blocks attention, feed-forward of one tap, two
    # norms; three predictors; two embeddings of 9 taps; a post-net without biases, with batch norms; 2 scales of positions.
    block = 4 * (384 * 384 + 384) + 2 * 384 * 1536 + 1536 + 384 + 4 * 384
    predictor = 2 * (3 * 384 * 384 + 384 + 2 * 384) + 385
    postnet = 5 * (2 * 80 * 512 + 3 * 512 * 512) + 2 * (4 * 512 + 80)
    theirs = 78 * 384 + 12 * block + 2 * 768 + 3 * predictor + 2 * (9 * 384 + 384) + 384 * 80 + 80 + postnet + 2
    ours_alone = 2 * (384 * 384 + 384)  # a projection in front of the encoder and the decoder
    assert sum(p.numel() for p in model.parameters()) == theirs + ours_alone - 2
    assert round(theirs / 1e6, 1) == 28.4


def test_it_learns_recordings_by_heart_while_an_aligner_finds_its_durations():
    wide = {name: {**VARIED[name], "dim": 24, "ff_dim": 48} for name in ("encoder", "decoder")}
    model, batch = build({"name": "fastspeech2", **VARIED, **wide, "durations": "aligner"}), speech()
    optimizer, totals = torch.optim.Adam(model.parameters(), lr=1e-2), []
    for _ in range(100):
        learned = model(batch)
        found = learned.alignment
        losses = {name: regression.mse(c.predicted, c.target, c.lens).mean() for name, c in learned.compared.items()}
        losses["align"] = forward_sum(found.log_probs, found.step_lens, found.token_lens).mean()
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
        totals.append({name: loss.item() for name, loss in losses.items()})
    assert totals[-1]["mel"] < 0.15 and totals[0]["mel"] > 0.9  # the recordings' variance is 1
    assert max(totals[-1][name] for name in ("pitch", "energy", "log_duration")) < 0.05, totals[-1]
    assert totals[-1]["align"] < totals[0]["align"]
