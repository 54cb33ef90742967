from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from feed_forward_cases import HOP, VARIED, build, speech

from speechkit.models.acoustic.base import Controls

VOCODER = {"name": "hifigan", "dim": 8, "upsample_rates": [3, 2], "kernel_sizes": [3], "dilations": [[1]]}
OPTIONS = {"name": "jets", **VARIED, "vocoder": VOCODER, "segment_frames": 4}


def test_a_piece_is_what_the_vocoder_makes_of_the_decoders_frames_there():
    model, batch = build({**OPTIONS, "durations": "given"}).eval(), speech()
    segments = model(batch).segments
    assert segments.wav.shape == (3, 4 * HOP) and segments.num_frames == 4
    start = int(segments.starts[0])
    hidden = model.learn(batch).hidden[:1, start : start + 4]
    torch.testing.assert_close(segments.wav[:1], model.vocoder(hidden), atol=1e-5, rtol=1e-4)


def test_it_speaks_waveforms_and_learns_durations_by_itself():
    model, batch = build(OPTIONS).eval(), speech()
    assert model(replace(batch, durations=None)).alignment is not None
    spoken = model.synthesize(batch.tokens, batch.token_lens, Controls())
    assert spoken.feats is None and spoken.wav.shape == (3, int(spoken.feat_lens.max()) * HOP)
    assert spoken.wav[0, : int(spoken.feat_lens[0]) * HOP].abs().min() >= 0 and spoken.wav.abs().max() <= 1


def test_a_vocoder_of_another_family_is_refused():
    with pytest.raises(ValueError, match=r"jets.vocoder: expected one of .*hifigan.*, got 'wavenet'"):
        build({**OPTIONS, "vocoder": {"name": "wavenet"}})
