"""How many frames each token lasts: given with the data, found by an aligner, or predicted."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from speechkit.graphs.monotonic_alignment import monotonic_durations
from speechkit.models.acoustic.base import Alignment, Speech
from speechkit.nn.text_aligner import TextAligner
from speechkit.nn.variance_predictor import durations_from_logs
from speechkit.utils.lens import padding_mask


def recorded_durations(
    speech: Speech, encoded: Tensor, aligner: TextAligner | None
) -> tuple[Tensor, Alignment | None]:
    """The durations (B, U) int64 of recordings, 0 at padding, and the aligner's alignment.

    Args:
        speech: The recordings.
        encoded: (B, U, D) encodings of their tokens.
        aligner: What finds them; None where they are given.

    Raises:
        ValueError: They should be given and are not, or do not add up (seen on the CPU only, since a GPU would have to be
            waited for).
    """
    if aligner is None:
        return _checked(speech), None
    scores = aligner(encoded, speech.token_lens, speech.feats, speech.feat_lens)
    durations = monotonic_durations(scores, speech.feat_lens, speech.token_lens)
    found = Alignment(scores.softmax(2), speech.feat_lens, speech.token_lens, scores)
    return durations, replace(found, durations=durations)


def predicted_durations(logs: Tensor, token_lens: Tensor, speed: float, aligner: TextAligner | None) -> Tensor:
    """The durations (B, U) int64 to speak with, one frame for an utterance at least.

    Args:
        logs: (B, U) predicted logarithms of one more than the frames.
        token_lens: (B,) int64.
        speed: Times as fast as predicted.
        aligner: What found those of the training data; None where they were given.
    """
    least = 0 if aligner is None else 1  # of an aligner each token has a frame
    durations = durations_from_logs(logs, token_lens, 1.0 / speed, minimum=least)
    durations[:, 0] += durations.sum(1) == 0  # nothing can be made of no frames at all
    return durations


def _checked(speech: Speech) -> Tensor:
    if speech.durations is None:
        raise ValueError("durations: expected frames of each token, got none; align the data, or use durations: aligner")
    padding = padding_mask(speech.token_lens, speech.tokens.shape[1])
    durations = speech.durations.masked_fill(padding, 0)
    if durations.device.type == "cpu" and not torch.equal(durations.sum(1), speech.feat_lens):
        raise ValueError(
            f"durations: expected those of each utterance to add up to its frames, {speech.feat_lens.tolist()}, got "
            f"{durations.sum(1).tolist()}; align the data with the features' frame shift"
        )
    return durations
