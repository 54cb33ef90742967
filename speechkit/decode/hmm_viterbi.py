"""The search of DNN-HMM hybrids: the best path through the states of all tokens, under a bigram over tokens."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numba import njit
from pydantic import Field
from safetensors.numpy import load_file
from torch import Tensor, nn

from speechkit.config import ComponentConfig
from speechkit.decode.base import Hypothesis, NBest, Reads, Search
from speechkit.graphs.aligner import utterances
from speechkit.models.decoder.hmm import Hmm

START, STAY, ADVANCE = -3, -1, -2  # how a path comes to a state; any other number says from the end of which token
HMM = Reads(Hmm, "has states, such as hmm")


class HmmViterbiSearch(Search, name="hmm_viterbi"):
    """Viterbi, exact: ``sum_t log p(frame t | state_t) + lm_scale * sum log p(token | token before)``.

    A path goes through the states of a token, then perhaps through silence, into the next token. ``score`` is the sum, up
    to a constant of the frames (posteriors stand for likelihoods); ``scores`` holds its two parts, ``hmm`` and ``bigram``.
    """

    class Config(ComponentConfig):
        """Options of the hybrid's search."""

        objective: str | None = None
        """Name of the objective whose decoder and bigram are read; null takes the first hybrid."""
        lm_scale: float = Field(1.0, ge=0)
        """Factor of the bigram's log-probabilities."""
        length_bonus: float = 0.0
        """Added to the score for each token; less than 0 for fewer tokens."""

    reads = (HMM,)

    def decode(self, decoders: Mapping[str, nn.Module], encoder_out: Tensor, encoder_out_lens: Tensor) -> NBest:
        """The one best hypothesis of each utterance.

        Raises:
            ValueError: The model has no hybrid, or its bigram is missing.
            UtteranceError: A posterior is NaN.
        """
        decoder = self.pick_decoder(decoders, HMM)
        name = next(name for name, each in decoders.items() if each is decoder)
        bigram = self._bigram(name)
        moves, known = bigram.copy(), bigram > -np.inf
        moves[known] = self.config.lm_scale * bigram[known] + self.config.length_bonus
        moves[:, self.vocabulary.eos_id] -= self.config.length_bonus
        log_posteriors = decoder(encoder_out).detach()
        # A state that training never met has a tiny prior, which would make up for a tiny posterior.
        likelihoods = decoder.likelihoods(log_posteriors).masked_fill(decoder.state_counts == 0, -np.inf)
        pairs = zip(utterances(log_posteriors, encoder_out_lens), utterances(likelihoods, encoder_out_lens))
        return [[self._search(decoder, posteriors, scores, moves, bigram)] for posteriors, scores in pairs]

    def _bigram(self, name: str) -> np.ndarray:
        """(V, V) log p(column | row); of what is no token, ``-inf``."""
        if self.model_dir is None:
            raise ValueError("hmm_viterbi: expected a model directory to read the bigram of tokens from, got none")
        path = self.model_dir / "objectives" / name / "bigram.safetensors"
        if not path.exists():
            raise ValueError(f"{path}: expected the bigram of the hybrid's tokens, found nothing; restore it, or train again")
        bigram = load_file(path)["log_probs"].astype(np.float64)
        if bigram.shape != (self.vocabulary.size, self.vocabulary.size):
            raise ValueError(f"{path}: expected {self.vocabulary.size} tokens, as the model has, got {len(bigram)}; train again")
        return bigram

    def _search(
        self, decoder: Hmm, posteriors: np.ndarray, scores: np.ndarray, moves: np.ndarray, bigram: np.ndarray
    ) -> Hypothesis:
        each, eos = decoder.config.states_per_token, self.vocabulary.eos_id
        if len(scores) == 0:
            return Hypothesis([], float(moves[eos, eos]), {"hmm": 0.0, "bigram": float(bigram[eos, eos])})
        total, tokens, states, enters = _viterbi(scores, moves, each, self.vocabulary.blank_id, eos)
        borders = [*np.flatnonzero(enters).tolist(), len(scores)]
        found, times, peaks = [], [], []
        for first, border in zip(borders[:-1], borders[1:]):
            last = first + int((states[first:border] < each).sum())  # silence follows the token, within its border
            columns = tokens[first] * each + states[first:last]
            found.append(int(tokens[first]))
            times.append((first, last))
            peaks.append(min(1.0, float(np.exp(posteriors[np.arange(first, last), columns].max()))))
        pairs = [eos, *found], [*found, eos]
        parts = {"hmm": total - float(moves[pairs].sum()), "bigram": float(bigram[pairs].sum())}
        return Hypothesis(found, total, parts, times, peaks)


@njit(cache=True, nogil=True)
def _viterbi(
    scores: np.ndarray, moves: np.ndarray, each: int, blank: int, eos: int
) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
    """The best path: its score, and for each frame the token, its state (``each`` for silence), whether it is entered.

    ``scores`` (S, V * each) of states in frames, S >= 1; ``moves`` (V, V) of a token (column) after another (row), where
    ``eos`` stands for both ends, so that the silence before the first token is that of ``eos``.
    """
    num_frames, num_tokens = len(scores), len(moves)
    silence = blank * each
    delta = np.full((num_tokens, each + 1), -np.inf)
    came = np.full((num_frames, num_tokens, each + 1), STAY, dtype=np.int32)
    delta[eos, each] = scores[0, silence]
    for v in range(num_tokens):
        if v not in (blank, eos):
            delta[v, 0] = moves[eos, v] + scores[0, v * each]
            came[0, v, 0] = START
    for t in range(1, num_frames):
        before = delta.copy()
        for v in range(num_tokens):
            if v == blank:
                continue
            for k in range(each, 0, -1):
                if v == eos and k < each:
                    continue
                delta[v, k] = before[v, k]
                if v != eos and before[v, k - 1] > before[v, k]:
                    delta[v, k] = before[v, k - 1]
                    came[t, v, k] = ADVANCE
                delta[v, k] += scores[t, silence if k == each else v * each + k]
            if v == eos:
                continue
            best, origin = before[v, 0], STAY
            for u in range(num_tokens):
                # What ends here is the last state of u, or the silence after it; the place tells which.
                for k in range(each - 1, each + 1):
                    if before[u, k] + moves[u, v] > best and not (u == eos and k < each):
                        best, origin = before[u, k] + moves[u, v], u * 2 + (k - each + 1)
            delta[v, 0] = best + scores[t, v * each]
            came[t, v, 0] = origin
    best, token, state = -np.inf, eos, each
    for v in range(num_tokens):
        for k in range(each - 1, each + 1):
            if v != blank and not (v == eos and k < each) and delta[v, k] + moves[v, eos] > best:
                best, token, state = delta[v, k] + moves[v, eos], v, k
    tokens = np.zeros(num_frames, dtype=np.int64)
    states, enters = np.zeros_like(tokens), np.zeros_like(tokens)
    for t in range(num_frames - 1, -1, -1):
        tokens[t], states[t] = token, state
        origin = came[t, token, state]
        if origin == ADVANCE:
            state -= 1
        elif origin != STAY:
            enters[t] = 1
            if origin >= 0:
                token, state = origin // 2, each - 1 + origin % 2
    return best, tokens, states, enters
