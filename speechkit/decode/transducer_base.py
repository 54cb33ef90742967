"""What the searches of transducers share: which decoder they read, and encodings that can be read."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from pydantic import Field
from torch import Tensor, nn

from speechkit.config import ComponentConfig
from speechkit.decode.base import Hypothesis, NBest, Reads, Search, check_finite
from speechkit.models.decoder.transducer import Transducer
from speechkit.utils.lens import padding_mask
from speechkit.utils.utterances import UtteranceError

TRANSDUCER = Reads(Transducer, "is a transducer")


class TransducerSearch(Search):
    """A search over the lattice of frames and labels that a :class:`Transducer` scores; it implements :meth:`search`.

    A path through the lattice is an *alignment* of its labels. In the regular topology (Graves, 2012) a label stays on its
    frame and a blank goes on to the next frame; where at most one symbol per frame is allowed (modified and monotonic
    transducers, RNA) a label goes on as well.

    A token's span is the one frame that emits it. Several tokens of one frame share it, the one place where the spans of
    two tokens are not apart. Its confidence is the probability that the network gave it there.
    """

    class Config(ComponentConfig):
        """What the searches of transducers share."""

        objective: str | None = None
        """Name of the objective whose decoder is read; null takes the first that is a transducer."""

    class PerFrameConfig(Config):
        """What frame-synchronous searches share."""

        max_symbols_per_frame: int = Field(5, ge=1)
        """1 for models of the modified or monotonic topology: one label or one blank per frame. More for regular models: at
        most so many labels in a frame, and a blank behind them."""

    reads = (TRANSDUCER,)

    def decode(self, decoders: Mapping[str, nn.Module], encoder_out: Tensor, encoder_out_lens: Tensor) -> NBest:
        """Search each utterance of a batch; see :meth:`Search.decode`.

        Raises:
            UtteranceError: Encodings or scores of an utterance are not finite.
        """
        decoder = self.pick_decoder(decoders, TRANSDUCER)
        check_finite(encoder_out, encoder_out_lens)
        padding = padding_mask(encoder_out_lens, encoder_out.shape[1])
        with torch.inference_mode():
            encoded = decoder.joiner.encoder_proj(encoder_out.masked_fill(padding.unsqueeze(-1), 0.0))
            nbest = self.search(decoder, encoded, encoder_out_lens.tolist(), decoders)
        for utterance, hypotheses in enumerate(nbest):
            if not hypotheses or not all(math.isfinite(hypothesis.score) for hypothesis in hypotheses):
                raise UtteranceError(utterance, "expected scores that are numbers, got nan or -inf; look for a diverged model")
        return nbest

    def search(self, decoder: Transducer, encoded: Tensor, lens: list[int], decoders: Mapping[str, nn.Module]) -> NBest:
        """Search a batch.

        Args:
            decoder: The transducer.
            encoded: (B, S, J) encodings, projected for the joiner; finite, in the padding as well.
            lens: Frames of each utterance.
            decoders: All of the model's, for scorers.
        """
        raise NotImplementedError


def joint_log_probs(decoder: Transducer, encoded: Tensor, predicted: Tensor) -> Tensor:
    """Log-probabilities (..., V), in float32 at least, of projected encodings and predictions (..., J).

    That of ``eos_id`` is -inf: transducers end with the frames, and scorers take this id for the end.
    """
    logits = decoder.joiner(encoded, predicted)
    log_probs = logits.log_softmax(-1, dtype=torch.promote_types(logits.dtype, torch.float32))
    log_probs[..., decoder.vocabulary.eos_id] = -math.inf
    return log_probs


def hypothesis(emissions: list[tuple[int, int, float]], score: float, scores: dict[str, float]) -> Hypothesis:
    """A hypothesis of ``emissions``: each token with its frame and its probability there."""
    return Hypothesis(
        tokens=[token for token, _, _ in emissions],
        score=score,
        scores=scores,
        token_times=[(frame, frame + 1) for _, frame, _ in emissions],
        confidences=[min(1.0, confidence) for _, _, confidence in emissions],
    )
