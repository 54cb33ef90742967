"""What searches with an attention decoder share: which decoder they read, how long a result may be, when tokens were said."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from speechkit.config import ComponentConfig
from speechkit.decode.base import NBest, Reads, Search, check_finite
from speechkit.models.decoder.attention import AttentionDecoder
from speechkit.utils.utterances import UtteranceError

ATTENTION = Reads(AttentionDecoder, "attends, such as attention")


class AttentionSearch(Search):
    """A search token by token with an :class:`AttentionDecoder`; it implements :meth:`search`.

    The blank is never said. A token's span is one frame, where the decoder looked when it said the token (see
    :func:`looked_at`); its confidence is the probability that the decoder gave it.
    """

    class Config(ComponentConfig):
        """What searches with an attention decoder share."""

        objective: str | None = None
        """Name of the objective whose decoder is read; null takes the first that attends."""
        max_len_ratio: float = Field(1.0, gt=0)
        """Tokens per encoder frame that a result may have at most: attention decoders that lose the thread go round in
        circles. Attention does not forbid more than 1."""

    reads = (ATTENTION,)

    def decode(self, decoders: Mapping[str, nn.Module], encoder_out: Tensor, encoder_out_lens: Tensor) -> NBest:
        """Search each utterance of a batch; see :meth:`Search.decode`.

        Raises:
            UtteranceError: Encodings of an utterance that are not finite.
        """
        decoder = self.pick_decoder(decoders, ATTENTION)
        check_finite(encoder_out, encoder_out_lens)
        with torch.inference_mode():
            return self.search(decoder, encoder_out, encoder_out_lens, decoders)

    def search(
        self, decoder: AttentionDecoder, encoder_out: Tensor, lens: Tensor, decoders: Mapping[str, nn.Module]
    ) -> NBest:
        """Search a batch.

        Args:
            decoder: The one to read.
            encoder_out: (B, S, D), finite but for the padding.
            lens: (B,) frames of each utterance.
            decoders: All of the model's.
        """
        raise NotImplementedError

    def max_lens(self, lens: Tensor) -> list[int]:
        """Tokens that each utterance may have at most."""
        return [math.ceil(self.config.max_len_ratio * length) for length in lens.tolist()]


def refuse_nan(log_probs: Tensor, utterances: Tensor) -> None:
    """Name the utterance where the decoder says nothing.

    Args:
        log_probs: (N,), one of each hypothesis.
        utterances: (N,) int64, what each is about.

    Raises:
        UtteranceError: One of them is nan.
    """
    broken = log_probs.isnan().cpu()
    if broken.any():
        index = int(utterances[broken.nonzero()[0]])
        raise UtteranceError(index, "expected log-probabilities of tokens, got nan; look for a diverged model")


def looked_at(weights: np.ndarray) -> list[tuple[int, int]]:
    """One frame for each token, in the order of the tokens: ``f_1 < ... < f_U`` with the largest ``sum_u log a_u(f_u)``.

    An attention that jumps to and fro has no such order by itself. Where there are more tokens than frames, they are
    spread evenly, and some spans are empty.

    Args:
        weights: (U, S), where the decoder looked when it said each token.

    Returns:
        (frame, frame + 1) of each token.
    """
    num_tokens, num_frames = weights.shape
    if num_tokens > num_frames:
        borders = [u * num_frames // num_tokens for u in range(num_tokens + 1)]
        return list(itertools.pairwise(borders))
    log_weights = np.log(weights.astype(np.float64).clip(min=1e-30))
    places = np.arange(num_frames)
    best, arrivals = np.zeros(num_frames), []
    for u, row in enumerate(log_weights):
        # The last token before frame f lies at or before f - 1; its best place there is a running maximum.
        reached = np.maximum.accumulate(best)
        arrivals.append(np.maximum.accumulate(np.where(best == reached, places, 0)))
        before = np.zeros(num_frames) if u == 0 else np.concatenate([[-np.inf], reached[:-1]])
        best = before + row
    frames, frame = [], int(best.argmax()) if num_tokens else 0
    for arrival in reversed(arrivals):
        frames.append(frame)
        frame = int(arrival[frame - 1])
    return [(frame, frame + 1) for frame in reversed(frames)]
