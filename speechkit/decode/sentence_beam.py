"""The beam of the searches that grow sentences by a token at a time: unfinished sentences, and those that have ended."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from speechkit.decode.attention_base import refuse_nan
from speechkit.decode.ctc_prefix_score import CtcPrefixScorer
from speechkit.decode.scorers.fusion import Fusion
from speechkit.models.decoder.attention import AttentionDecoder


@dataclass(frozen=True)
class Limits:
    """When to stop.

    Args:
        beam_size: K.
        nbest: Sentences wanted of each utterance.
        tokens: Of each utterance the tokens that a sentence may have at most.
        candidates: Tokens that may follow a sentence, the best by all scores but those of CTC.
        length_norm: Exponent of the length that scores are divided by.
        margin: Nats that scorers may still add to an unfinished sentence.
    """

    beam_size: int
    nbest: int
    tokens: list[int]
    candidates: int
    length_norm: float = 0.0
    margin: float = 0.0


@dataclass(frozen=True)
class Sentence:
    """One that has ended.

    Args:
        tokens: U token ids.
        score: What it is ranked by.
        scores: The parts of it by name, not weighted.
        log_probs: Of each token what the decoder gave it, nats.
        weights: (U, S), where the decoder looked when it said each token.
    """

    tokens: list[int]
    score: float
    scores: dict[str, float]
    log_probs: list[float]
    weights: np.ndarray


class SentenceBeam:
    """The sentences of a batch. Those of one utterance lie together, equally many of each; where an utterance has
    fewer, some have a score of minus infinity, which nothing gets them out of.

    A score is ``(1 - w) log p_attention + w log psi_ctc`` and what the fusion adds; psi is the probability that the
    transcript begins like this, of an ended sentence the probability that it is this.

    Args:
        decoder: Says the tokens.
        state: Its state of one empty sentence for each utterance.
        fusion: Scorers and length bonus.
        decoders: All of the model's, for scorers.
        limits: When to stop.
        ctc: Prefix scores of the same utterances; None for none, with ``ctc_weight`` 0.
        ctc_weight: w, in [0, 1].
    """

    def __init__(
        self,
        decoder: AttentionDecoder,
        state: Any,
        fusion: Fusion,
        decoders: Mapping[str, nn.Module],
        limits: Limits,
        ctc: CtcPrefixScorer | None = None,
        ctc_weight: float = 0.0,
    ) -> None:
        batch, self.device = len(limits.tokens), next(decoder.parameters()).device
        self.decoder, self.fusion, self.limits, self.ctc, self.ctc_weight = decoder, fusion, limits, ctc, ctc_weight
        self.vocabulary = decoder.vocabulary
        self.state, self.fused = state, fusion.start(decoders, batch, self.device) if fusion else None
        self.prefixes = ctc.start() if ctc else None
        self.tokens = torch.full((batch,), self.vocabulary.sos_id, device=self.device)
        self.utterances = torch.arange(batch)
        # (B, K): scores but for what CTC adds, and what the decoder alone says.
        self.partial, self.attention = torch.zeros(2, batch, 1, dtype=torch.float64)
        self.history: list[tuple[list[int], list[int], list[float]]] = []  # per token: parents, tokens, log-probabilities
        self.looks: list[np.ndarray] = []  # per step: weights (N, S)
        self.ended: list[list[Sentence]] = [[] for _ in range(batch)]

    def run(self) -> list[list[Sentence]]:
        """Grow until nothing can get better.

        Returns:
            Of each utterance the n best sentences, best first; none where every one has probability 0.
        """
        while len(self.utterances):
            self._grow()
        return self.ended

    def _grow(self) -> None:
        log_probs, self.state = self.decoder.step(self.tokens, self.state)
        self.looks.append(self.state.weights.float().cpu().numpy())
        local = (1.0 - self.ctc_weight) * log_probs
        if self.fused is not None:
            local += self.fused.log_scores
        local[:, self.vocabulary.blank_id] = -math.inf
        ends = local[:, self.vocabulary.eos_id].double().cpu().clone()  # the column is overwritten
        local[:, self.vocabulary.eos_id] = -math.inf
        best, tokens = (each.cpu() for each in local.topk(min(self.limits.candidates, local.shape[1])))
        batch, rows = self.partial.shape
        refuse_nan(best[:, 0], self.utterances.repeat_interleave(rows))  # torch takes nan for the largest number
        partial = self.partial.unsqueeze(2) + best.view(batch, rows, -1).double()  # (B, K, C)
        prefix, whole = self._ctc_scores(tokens.numpy(), partial.shape)
        totals = self._with_ctc(partial, prefix).flatten(1)  # (B, K C)
        full = torch.tensor([self.limits.tokens[b] for b in self.utterances]) <= len(self.history)
        totals[full] = -math.inf
        self._end(totals, self._with_ctc(self.partial + ends.view(batch, rows), whole), log_probs, whole)
        scores, chosen = totals.topk(min(self.limits.beam_size, totals.shape[1]))
        going = torch.tensor([self._may_improve(b, each) for b, each in zip(self.utterances.tolist(), scores[:, 0].tolist())])
        keep = going.nonzero().squeeze(1)
        parents = (keep.unsqueeze(1) * rows + chosen[keep] // best.shape[1]).flatten()
        alive = scores[keep].isfinite()
        tokens = tokens.view(batch, -1).gather(1, chosen)[keep].where(alive, self.vocabulary.blank_id).flatten()
        self.partial = partial.flatten(1).gather(1, chosen)[keep].where(alive, -math.inf)
        self.utterances = self.utterances[keep]
        self._advance(parents, tokens, log_probs)

    def _ctc_scores(self, tokens: np.ndarray, shape: torch.Size) -> tuple[Tensor, Tensor]:
        """log psi (B, K, C) of the candidates, and log p (B, K) of the sentences as they are; zeros without CTC."""
        if self.ctc is None:
            return torch.zeros(shape, dtype=torch.float64), torch.zeros(shape[:2], dtype=torch.float64)
        prefix = torch.from_numpy(self.ctc.extensions(self.prefixes, tokens)).view(shape)
        return prefix, torch.from_numpy(self.ctc.ends(self.prefixes)).view(shape[:2])

    def _with_ctc(self, partial: Tensor, prefix: Tensor) -> Tensor:
        # No product where the weight is 0: psi may be 0 there.
        return partial + self.ctc_weight * prefix if self.ctc_weight else partial.clone()

    def _end(self, totals: Tensor, ends: Tensor, log_probs: Tensor, whole: Tensor) -> None:
        """Take the sentences that end among the K best of all that may follow."""
        rows = ends.shape[1]
        both = torch.cat([totals, ends], dim=1)
        scores, places = both.topk(min(self.limits.beam_size, both.shape[1]))
        found = ((places >= totals.shape[1]) & scores.isfinite()).nonzero().tolist()
        if not found:
            return
        log_ends = log_probs[:, self.vocabulary.eos_id].double().cpu().view(-1, rows)
        attention = self.attention + log_ends
        parts = self.fusion.parts(self.fused) if self.fused is not None else None
        finals = (self.fused.totals + self.fusion.final(self.fused)).cpu() if self.fused is not None else None
        for i, place in found:
            k = int(places[i, place]) - totals.shape[1]
            row = i * rows + k
            scores = {"attention": attention[i, k].item()}
            total = (1.0 - self.ctc_weight) * scores["attention"]
            if self.ctc is not None:
                scores["ctc"] = whole[i, k].item()
                total += self.ctc_weight * scores["ctc"] if self.ctc_weight else 0.0
            if parts is not None:
                scores, total = {**scores, **parts[row]}, total + finals[row].item()
            total /= (len(self.history) + 1) ** self.limits.length_norm
            self._keep(int(self.utterances[i]), Sentence(*self._spell(row, total, scores)))

    def _keep(self, utterance: int, sentence: Sentence) -> None:
        ended = self.ended[utterance]
        ended.append(sentence)
        ended.sort(key=lambda each: -each.score)
        del ended[self.limits.nbest :]

    def _may_improve(self, utterance: int, best: float) -> bool:
        """Whether a sentence with score ``best``, not divided by a length yet, can still become one of the n best."""
        ended, longest = self.ended[utterance], self.limits.tokens[utterance]
        if best == -math.inf or len(ended) < self.limits.nbest:
            return best > -math.inf
        length = len(self.history) + 1
        bound = best + max(0.0, self.fusion.length_bonus) * (longest - length)
        bound += self.limits.margin if self.fusion.scorers else 0.0
        # Divided by a length: a negative score gains most from the longest sentence, a positive one from the shortest.
        bound /= ((longest if bound < 0 else length) + 1) ** self.limits.length_norm
        return bound > ended[-1].score

    def _advance(self, parents: Tensor, tokens: Tensor, log_probs: Tensor) -> None:
        on_device, self.tokens = parents.to(self.device), tokens.to(self.device)
        chosen = log_probs[on_device, self.tokens].double().cpu()
        self.history.append((parents.tolist(), tokens.tolist(), chosen.tolist()))
        if not len(self.utterances):
            return
        self.attention = (self.attention.flatten()[parents] + chosen).view(self.partial.shape)
        self.state = self.decoder.select(self.state, on_device)
        if self.fused is not None:
            self.fused = self.fusion.advance(self.fused, on_device, self.tokens)
        if self.ctc is not None:
            self.prefixes = self.ctc.advance(self.prefixes, parents.numpy(), tokens.numpy())

    def _spell(self, row: int, score: float, scores: dict[str, float]) -> tuple:
        tokens, log_probs, weights = [], [], []
        for (parents, said, given), looks in zip(self.history[::-1], self.looks[len(self.history) - 1 :: -1]):
            tokens.append(said[row])
            log_probs.append(given[row])
            row = parents[row]
            weights.append(looks[row])
        stacked = np.stack(weights[::-1]) if weights else np.zeros((0, self.looks[0].shape[1]), np.float32)
        return tokens[::-1], score, scores, log_probs[::-1], stacked
