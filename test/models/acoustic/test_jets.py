from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from feed_forward_cases import HOP, VARIED, build, speech

from speechkit.models.acoustic.base import Controls
from speechkit.models.acoustic.jets import cut, random_starts

VOCODER = {"name": "hifigan", "dim": 8, "upsample_rates": [3, 2], "kernel_sizes": [3], "dilations": [[1]]}
OPTIONS = {"name": "jets", **VARIED, "vocoder": VOCODER, "segment_frames": 4}


def test_pieces_lie_within_utterances_and_reach_both_ends():
    torch.manual_seed(0)
    starts = torch.stack([random_starts(torch.tensor([6, 4, 2]), 4) for _ in range(60)])
    assert starts[:, 0].unique().tolist() == [0, 1, 2] and starts[:, 1:].eq(0).all()


def test_a_piece_is_cut_where_it_starts_and_silent_behind_the_end():
    x = torch.arange(2 * 6 * 3, dtype=torch.float32).view(2, 6, 3)
    pieces = cut(x, torch.tensor([6, 2]), torch.tensor([2, 0]), 4)
    assert torch.equal(pieces[0], x[0, 2:6]) and torch.equal(pieces[1, :2], x[1, :2]) and pieces[1, 2:].eq(0).all()
    assert cut(x[:, :3], torch.tensor([3, 2]), torch.tensor([0, 0]), 5).shape == (2, 5, 3)


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
