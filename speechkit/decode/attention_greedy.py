"""Greedy attention search: the likeliest token after the other."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from speechkit.decode.attention_base import AttentionSearch, looked_at, refuse_nan
from speechkit.decode.base import Hypothesis, NBest
from speechkit.models.decoder.attention import AttentionDecoder


class AttentionGreedySearch(AttentionSearch, name="attention_greedy"):
    """Takes the likeliest token until it is the end of the sentence; the fastest search, for validation.

    ``score`` is the log-probability of the tokens and the end. It is ``attention_beam`` with one hypothesis on the beam.
    """

    def search(
        self, decoder: AttentionDecoder, encoder_out: Tensor, lens: Tensor, decoders: Mapping[str, nn.Module]
    ) -> NBest:
        """Token by token, all utterances together; those that have ended are dropped."""
        limits, eos = self.max_lens(lens), self.vocabulary.eos_id
        said: list[list[tuple[int, float, Tensor]]] = [[] for _ in limits]  # token, log-probability, weights
        active, state = list(range(len(limits))), decoder.start(encoder_out, lens)
        tokens = torch.full((len(limits),), self.vocabulary.sos_id, device=encoder_out.device)
        while active:
            log_probs, state = decoder.step(tokens, state)
            log_probs[:, self.blank_id] = -math.inf
            full = torch.tensor([len(said[b]) >= limits[b] for b in active], device=tokens.device)
            tokens = log_probs.argmax(-1).where(~full, eos)
            chosen = log_probs.gather(1, tokens.unsqueeze(1)).squeeze(1).double()
            refuse_nan(chosen, torch.tensor(active))
            for b, token, score, weights in zip(active, tokens.tolist(), chosen.tolist(), state.weights.cpu(), strict=True):
                said[b].append((token, score, weights))
            going = (tokens != eos).nonzero().squeeze(1)
            if len(going) < len(active):
                active = [active[row] for row in going.tolist()]
                state, tokens = decoder.select(state, going), tokens[going]
        return [[_hypothesis(each, length)] for each, length in zip(said, lens.tolist(), strict=True)]


def _hypothesis(said: list[tuple[int, float, Tensor]], num_frames: int) -> Hypothesis:
    *spoken, _ = said  # the last one is the end
    score = sum(log_prob for _, log_prob, _ in said)
    weights = torch.stack([row for _, _, row in said])[:-1, :num_frames]
    return Hypothesis(
        tokens=[token for token, _, _ in spoken],
        score=score,
        scores={"attention": score},
        token_times=looked_at(weights.float().numpy()),
        confidences=[min(1.0, math.exp(log_prob)) for _, log_prob, _ in spoken],
    )
