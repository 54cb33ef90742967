"""Cross entropy of an attention encoder-decoder, with label smoothing and guided attention."""

from __future__ import annotations

from typing import Self

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from speechkit.config import Choice
from speechkit.data.batch import Targets
from speechkit.models.decoder.attention import AttentionDecoder
from speechkit.models.decoder.base import Decoder
from speechkit.models.decoder.transformer import TransformerDecoder
from speechkit.objectives.base import Objective
from speechkit.objectives.guided_attention import guided_attention
from speechkit.utils.lens import padding_mask
from speechkit.utils.utterances import UtteranceError


class AttentionObjective(Objective, name="attention"):
    """Cross entropy of each next token: ``-sum over u = 1 ... U + 1 of sum over tokens k of q_u(k) log p(k | y_1 ...
    y_{u-1}, audio)``.

    y_{U+1} is the end of the sentence. ``q_u`` is the transcript's token with probability ``1 - e``, and with
    probability e any of the V tokens, that one included (label smoothing: Szegedy et al., 2016, section 7)::

        q_u(k) = (1 - e) [k = y_u] + e / V

    With e = 0 this is the negative log-likelihood of the transcript and its end, in nats; for equal scores it is
    ``(U + 1) ln V`` whatever e is. With ``guided_attention`` comes the penalty of :func:`guided_attention` on top.
    """

    class Config(Objective.Config):
        """Options of the attention objective."""

        decoder: Choice[Decoder] = TransformerDecoder.Config()
        """The network from encodings and the tokens so far to scores of the next one: transformer or las."""
        label_smoothing: float = Field(0.1, ge=0, lt=1)
        """e: share of the target that goes evenly to all tokens."""
        guided_attention: float = Field(0.0, ge=0)
        """Factor of the penalty on attention far from the diagonal, in nats per token; 0: none. For small corpora, where an
        attention decoder alone may learn the texts and never begin to listen."""
        guided_attention_width: float = Field(0.2, gt=0)
        """g: how far from the diagonal is far, as a share of the utterance."""

        @model_validator(mode="after")
        def _decoder_attends(self) -> Self:
            names = sorted(name for name, each in Decoder.registry.items() if issubclass(each, AttentionDecoder))
            if self.decoder.name not in names:
                raise ValueError(f"decoder: expected one of {', '.join(names)}, got {self.decoder.name!r}")
            return self

    def nats(self, decoder: nn.Module, encoder_out: Tensor, encoder_out_lens: Tensor, targets: Targets) -> Tensor:
        """The losses (B,), float32 (float64 where the decoder gives that); 0 for an utterance without frames.

        Raises:
            UtteranceError: a transcript holds the blank, the end of the sentence, or an id outside of the vocabulary.
        """
        self.check_tokens(targets)
        inputs = sos_in(targets, self.vocabulary.sos_id)
        facts = encoder_out, encoder_out_lens, inputs, targets.token_lens + 1
        weights = None
        if self.config.guided_attention:
            logits, weights = decoder.forward_with_weights(*facts)
        else:
            logits = decoder(*facts)
        losses = self._cross_entropy(logits, targets)
        if weights is not None:
            penalty = guided_attention(weights, targets.token_lens + 1, encoder_out_lens, self.config.guided_attention_width)
            losses = losses + self.config.guided_attention * penalty
        return losses.where(self.alignable(encoder_out_lens, targets), 0.0)

    def _cross_entropy(self, logits: Tensor, targets: Targets) -> Tensor:
        outputs = eos_out(targets, self.vocabulary.eos_id, padding=-100)
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        losses = F.cross_entropy(
            logits.flatten(0, 1), outputs.flatten(), reduction="none", label_smoothing=self.config.label_smoothing
        )
        return losses.view(outputs.shape).sum(1)

    def alignable(self, encoder_out_lens: Tensor, targets: Targets) -> Tensor:
        """(B,) bool: every utterance that has a frame to look at."""
        return encoder_out_lens > 0

    def check_tokens(self, targets: Targets) -> None:
        """As :meth:`Objective.check_tokens`; the end of the sentence may not be inside it either."""
        super().check_tokens(targets)
        ends = (targets.tokens == self.vocabulary.eos_id) & ~padding_mask(targets.token_lens, targets.tokens.shape[1])
        if ends.any():
            row, place = ends.nonzero()[0].tolist()
            raise UtteranceError(
                row,
                f"expected no end-of-sentence token {self.vocabulary.eos_id} in the transcript, got one at place {place}; "
                "use the tokenizer of this model",
            )


def sos_in(targets: Targets, sos_id: int) -> Tensor:
    """(B, U + 1): what a decoder reads, the start of the sentence and the transcript; anything at padding."""
    return F.pad(targets.tokens, (1, 0), value=sos_id)


def eos_out(targets: Targets, eos_id: int, padding: int) -> Tensor:
    """(B, U + 1): what it should say, the transcript and the end of the sentence, then ``padding``."""
    lens = targets.token_lens.unsqueeze(1)
    tokens = F.pad(targets.tokens, (0, 1))
    places = torch.arange(tokens.shape[1], device=tokens.device)
    return tokens.masked_fill(places == lens, eos_id).masked_fill(places > lens, padding)
