"""Random pieces of utterances, which a vocoder inside an acoustic model speaks in training."""

from __future__ import annotations

from torch import Tensor

from speechkit.models.acoustic.base import Segments
from speechkit.models.vocoder.base import Vocoder, VocoderInput, WaveGenerator
from speechkit.nn.segments import random_starts, take_segments
from speechkit.utils.lens import padding_mask


def build_generator(config: Vocoder.Config, key: str, given: VocoderInput) -> WaveGenerator:
    """Build the vocoder of a model.

    Raises:
        ValueError: It is not one that makes all samples at once and learns against discriminators; ``key`` is named.
    """
    vocoder = config.build(given=given)
    if not isinstance(vocoder, WaveGenerator):
        names = sorted(name for name, cls in Vocoder.registry.items() if issubclass(cls, WaveGenerator))
        raise ValueError(f"{key}: expected one of {', '.join(names)}, got {config.name!r}")
    return vocoder


def speak_pieces(vocoder: WaveGenerator, hidden: Tensor, lens: Tensor, num_frames: int, hop_length: int) -> Segments:
    """Speak a piece of each utterance, every place equally likely.

    Args:
        vocoder: The network.
        hidden: (B, T, D), what it hears.
        lens: (B,) int64; shorter ones are spoken whole, with silence behind them.
        num_frames: Of a piece.
        hop_length: Samples of a frame.
    """
    starts = random_starts(lens, num_frames)
    pieces = take_segments(hidden, starts, num_frames, lens)
    wav = vocoder(pieces, vocoder.draw_noise(pieces))
    silent = padding_mask(lens * hop_length, num_frames * hop_length)  # an utterance shorter than a piece starts with it
    return Segments(wav.masked_fill(silent, 0.0), starts, num_frames)
