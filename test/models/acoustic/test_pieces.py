from __future__ import annotations

import pytest
import torch

from speechkit.models.acoustic.pieces import build_generator, speak_pieces
from speechkit.models.vocoder.base import VocoderInput
from speechkit.models.vocoder.hifigan import HifiGan
from speechkit.models.vocoder.wavernn import Wavernn

HOP = 6


class Frames(torch.nn.Module):
    """Its samples are the first channel of their frame."""

    def draw_noise(self, feats: torch.Tensor) -> None:
        return None

    def forward(self, feats: torch.Tensor, noise: None = None) -> torch.Tensor:
        return feats[..., 0].repeat_interleave(HOP, dim=1)


def test_a_piece_is_made_of_the_frames_it_starts_with():
    hidden = torch.arange(1.0, 27.0).view(2, 13, 1).expand(-1, -1, 5)
    for _ in range(9):
        segments = speak_pieces(Frames(), hidden, torch.tensor([13, 8]), 9, HOP)
        start = int(segments.starts[0])
        assert segments.wav[0, ::HOP].tolist() == list(range(start + 1, start + 10))
        assert segments.starts[1] == 0 and segments.wav[1, ::HOP].tolist() == [*range(14, 22), 0]


def test_a_vocoder_that_makes_one_sample_after_the_other_is_refused():
    with pytest.raises(ValueError, match=r"jets.vocoder: expected one of .*hifigan.*, got 'wavernn'"):
        build_generator(Wavernn.Config(), "jets.vocoder", VocoderInput(5, 256, 22050))


def test_what_is_spoken_behind_a_short_utterance_is_silent():
    torch.manual_seed(0)
    config = HifiGan.Config(dim=8, upsample_rates=(3, 2), kernel_sizes=(3,), dilations=((1,),))
    vocoder = config.build(given=VocoderInput(5, HOP, 8000))
    hidden, lens = torch.randn(2, 9, 5), torch.tensor([9, 2])
    segments = speak_pieces(vocoder, hidden, lens, 4, HOP)
    assert segments.wav.shape == (2, 4 * HOP) and segments.num_frames == 4 and segments.starts[1] == 0
    assert segments.wav[1, : 2 * HOP].all() and not segments.wav[1, 2 * HOP :].any() and segments.wav[0].all()
