"""Two passes: CTC finds sentences, attention ranks them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from speechkit.config import ComponentConfig
from speechkit.decode.attention_base import ATTENTION, refuse_nan
from speechkit.decode.base import Hypothesis, NBest, Search
from speechkit.decode.ctc_prefix_beam import CtcPrefixBeamSearch
from speechkit.decode.joint import CTC
from speechkit.decode.rescore import rescore
from speechkit.decode.scorers.fusion import Fusion, FusionConfig
from speechkit.models.decoder.attention import AttentionDecoder, log_softmax
from speechkit.utils.lens import pad_stack


class CtcAttentionRescoring(Search, name="ctc_attention_rescoring"):
    """The n best of a CTC prefix beam search, ranked again with an attention decoder (Zhang et al., 2020, arXiv:2012.05481,
    section 2.4): all of them go through the decoder at once, so it costs little more than CTC alone.

    ``score`` is ``w log p_ctc + (1 - w) log p_attention`` and what scorers and length bonus added in the first pass, as in the
    joint search, but only what is among the best of that pass can be found. Token times are those of CTC, and so is a share
    w of the confidences.
    """

    class Config(ComponentConfig, FusionConfig):
        """Options of the search in two passes."""

        objective: str | None = None
        """Name of the objective whose decoder ranks; null takes the first that attends."""
        ctc_objective: str | None = None
        """Name of the objective whose decoder scores frames; null takes the first that does."""
        beam_size: int = Field(10, ge=1)
        """Prefixes that CTC keeps after each frame, and sentences that attention ranks."""
        nbest: int = Field(1, ge=1)
        """Hypotheses returned, at most; no more than beam_size."""
        ctc_weight: float = Field(0.3, ge=0, le=1)
        """w: share of CTC in the score; attention has the rest."""

        @model_validator(mode="after")
        def _nbest_fits_the_beam(self) -> Self:
            if self.nbest > self.beam_size:
                raise ValueError(f"nbest: expected at most beam_size = {self.beam_size}, got {self.nbest}")
            return self

    reads = (ATTENTION, CTC)
    topology = "ctc"

    def __init__(self, config: Config, **facts: Any) -> None:
        super().__init__(config, **facts)
        first = CtcPrefixBeamSearch.Config(
            beam_size=config.beam_size,
            nbest=config.beam_size,
            objective=config.ctc_objective,
            scorers=config.scorers,
            length_bonus=config.length_bonus,
        )
        self.first_pass = first.build(**facts)
        self.rescoring = Fusion.build(config.rescore, **facts)

    @torch.inference_mode()
    def decode(self, decoders: Mapping[str, nn.Module], encoder_out: Tensor, encoder_out_lens: Tensor) -> NBest:
        """Search each utterance of a batch; see :meth:`Search.decode`."""
        attention = self.pick_decoder(decoders, ATTENTION)
        self.pick_decoder(decoders, CTC)
        found = self.first_pass.decode(decoders, encoder_out, encoder_out_lens)
        flat = [(b, hypothesis) for b, hypotheses in enumerate(found) for hypothesis in hypotheses]
        log_probs = sentence_log_probs(attention, encoder_out, encoder_out_lens, [(b, each.tokens) for b, each in flat])
        ranked: NBest = [[] for _ in found]
        for (b, hypothesis), given in zip(flat, log_probs, strict=True):
            ranked[b].append(self._weighed(hypothesis, given))
        ranked = rescore(ranked, self.rescoring, decoders)
        return [sorted(each, key=lambda hypothesis: -hypothesis.score)[: self.config.nbest] for each in ranked]

    def _weighed(self, hypothesis: Hypothesis, log_probs: list[float]) -> Hypothesis:
        weight, attention = self.config.ctc_weight, sum(log_probs)
        own = [min(1.0, math.exp(each)) for each in log_probs]
        return Hypothesis(
            tokens=hypothesis.tokens,
            score=hypothesis.score + (1.0 - weight) * (attention - hypothesis.scores["ctc"]),
            scores={"attention": attention, **hypothesis.scores},
            token_times=hypothesis.token_times,
            confidences=[(1.0 - weight) * a + weight * b for a, b in zip(own, hypothesis.confidences)],
        )


def sentence_log_probs(
    decoder: AttentionDecoder, encoder_out: Tensor, lens: Tensor, sentences: list[tuple[int, list[int]]]
) -> list[list[float]]:
    """What an attention decoder gives to each token of whole sentences, and to the end behind them.

    Args:
        decoder: One forward pass of it scores all sentences.
        encoder_out: (B, S, D).
        lens: (B,) frames.
        sentences: The utterance and the tokens of each; several may be about one utterance.

    Returns:
        U + 1 log-probabilities (nats) of each.
    """
    sos, eos, device = decoder.vocabulary.sos_id, decoder.vocabulary.eos_id, encoder_out.device
    inputs, input_lens = pad_stack([torch.tensor([sos, *tokens]) for _, tokens in sentences])
    outputs, _ = pad_stack([torch.tensor([*tokens, eos]) for _, tokens in sentences])
    owners = torch.tensor([b for b, _ in sentences], device=device)
    logits = decoder(encoder_out, lens, inputs.to(device), input_lens.to(device), owners)
    chosen = log_softmax(logits).gather(2, outputs.to(device).unsqueeze(2)).squeeze(2).double().cpu()
    refuse_nan(chosen[:, 0], owners.cpu())
    return [row[:length].tolist() for row, length in zip(chosen, input_lens.tolist(), strict=True)]
