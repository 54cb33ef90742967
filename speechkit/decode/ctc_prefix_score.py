"""CTC prefix scores: how likely it is that the transcript begins with these tokens."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from torch import Tensor

_TINY = 1e-290  # sums of products below this are taken again as logarithms


class Prefixes(NamedTuple):
    """N token sequences."""

    utterances: np.ndarray  # (N,) what each one is about
    last: np.ndarray  # (N,) last tokens; -1 for none
    mass: np.ndarray  # (N, 2, S + 1) log-probability of the paths of t frames that spell it, ending in a blank, in a token


class CtcPrefixScorer:
    """Prefix probabilities of many sequences at once (Graves, 2006, section 3.2; Watanabe et al., 2017, "Hybrid CTC/attention
    architecture for end-to-end speech recognition", algorithm 2).

    With ``b_t(h)`` and ``n_t(h)`` the probability of all paths of t frames that spell h and end in a blank or in a token::

        phi_t(h, c) = b_t(h) + [c is not the last token of h] n_t(h)
        n_t(hc) = (n_{t-1}(hc) + phi_{t-1}(h, c)) p(t, c)
        b_t(hc) = (n_{t-1}(hc) + b_{t-1}(hc)) p(t, blank)
        psi(hc) = sum over t of phi_{t-1}(h, c) p(t, c)        p(h) = n_S(h) + b_S(h)

    psi(h) is the probability that the transcript begins with h, p(h) that it is h: ``psi(h) = p(h) + sum_c psi(hc)``. psi of
    a possible extension needs only the paths of h, no recursion: a product of h's row with the token's. Only the extensions
    that a search keeps get rows of their own.

    Args:
        log_probs: (B, S, V) log-probabilities (nats); what lies at padding is never read.
        lens: (B,) frames of each utterance.
        blank_id: Id of the blank.
    """

    def __init__(self, log_probs: Tensor, lens: Tensor, blank_id: int = 0) -> None:
        by_token = log_probs.detach().cpu().transpose(1, 2)  # (B, V, S): the frames of a token in a row
        self.log_probs = (by_token if by_token.dtype.itemsize > 2 else by_token.float()).contiguous().numpy()
        self.lens, self.blank_id = lens.cpu().numpy(), blank_id

    def start(self) -> Prefixes:
        """The empty sequence for each utterance."""
        batch, _, frames = self.log_probs.shape
        mass = np.full((batch, 2, frames + 1), -np.inf)
        mass[:, 0, 0] = 0.0
        np.cumsum(self.log_probs[:, self.blank_id], axis=1, dtype=np.float64, out=mass[:, 0, 1:])
        return Prefixes(np.arange(batch), np.full(batch, -1), mass)

    def extensions(self, prefixes: Prefixes, tokens: np.ndarray) -> np.ndarray:
        """``log psi(hc)`` (N, C) float64 of each sequence with each of its own ``tokens`` (N, C) behind it."""
        return _extensions(self.log_probs, self.lens, *prefixes, np.ascontiguousarray(tokens))

    def ends(self, prefixes: Prefixes) -> np.ndarray:
        """``log p(h)`` (N,) float64 of each sequence as the whole transcript."""
        rows, lens = np.arange(len(prefixes.last)), self.lens[prefixes.utterances]
        return np.logaddexp(prefixes.mass[rows, 0, lens], prefixes.mass[rows, 1, lens])

    def advance(self, prefixes: Prefixes, parents: np.ndarray, tokens: np.ndarray) -> Prefixes:
        """M sequences, grown from ``parents`` (M,) of the N by ``tokens`` (M,)."""
        utterances = prefixes.utterances[parents]
        mass = _advance(
            self.log_probs, self.lens, utterances, prefixes.last[parents], prefixes.mass, parents, tokens, self.blank_id
        )
        return Prefixes(utterances, np.asarray(tokens), mass)


@njit(cache=True, nogil=True)
def _extensions(
    log_probs: np.ndarray, lens: np.ndarray, utterances: np.ndarray, last: np.ndarray, mass: np.ndarray, tokens: np.ndarray
) -> np.ndarray:
    scores = np.empty(tokens.shape)
    num_frames = log_probs.shape[2]
    both, blank_only = np.empty(num_frames), np.empty(num_frames)
    probs = np.empty((tokens.size, num_frames))  # of the tokens seen so far in this utterance
    slots, used, current = np.full(log_probs.shape[1], -1), 0, -1
    for n in range(len(tokens)):
        b = utterances[n]
        if b != current:  # rows of an utterance lie together; were they apart, tokens would only be looked up again
            slots[:], used, current = -1, 0, b
        frames = lens[b]
        top = _scaled(mass[n], frames, both, blank_only)
        for k in range(tokens.shape[1]):
            token = tokens[n, k]
            if slots[token] < 0:
                slots[token] = used
                for t in range(frames):
                    probs[used, t] = np.exp(np.float64(log_probs[b, token, t]))
                used += 1
            total = _dot(blank_only if token == last[n] else both, probs[slots[token]], frames)
            if total > _TINY:
                scores[n, k] = top + np.log(total)
            else:
                scores[n, k] = _log_dot(mass[n], token == last[n], log_probs[b, token], frames)
    return scores


@njit(cache=True, nogil=True)
def _scaled(mass: np.ndarray, frames: int, both: np.ndarray, blank_only: np.ndarray) -> float:
    """Fill in the probabilities of a row's paths relative to their largest one, whose logarithm is returned."""
    top = -np.inf
    for t in range(frames):
        top = max(top, mass[0, t], mass[1, t])
    if top == -np.inf:
        top = 0.0
    for t in range(frames):
        blank_only[t] = np.exp(mass[0, t] - top)
        both[t] = blank_only[t] + np.exp(mass[1, t] - top)
    return top


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def _dot(a: np.ndarray, b: np.ndarray, length: int) -> float:
    total = 0.0
    for t in range(length):
        total += a[t] * b[t]
    return total


@njit(cache=True, nogil=True)
def _log_dot(mass: np.ndarray, is_last: bool, log_probs: np.ndarray, frames: int) -> float:
    total = -np.inf
    for t in range(frames):
        paths = mass[0, t] if is_last else np.logaddexp(mass[0, t], mass[1, t])
        total = np.logaddexp(total, paths + log_probs[t])
    return total


@njit(cache=True, nogil=True)
def _advance(
    log_probs: np.ndarray,
    lens: np.ndarray,
    utterances: np.ndarray,
    last: np.ndarray,
    mass: np.ndarray,
    parents: np.ndarray,
    tokens: np.ndarray,
    blank: int,
) -> np.ndarray:
    grown = np.full((len(parents), 2, mass.shape[2]), -np.inf)
    for m in range(len(parents)):
        b, old = utterances[m], mass[parents[m]]
        repeats = tokens[m] == last[m]
        ending_blank, ending_token = -np.inf, -np.inf
        for t in range(lens[b]):
            paths = old[0, t] if repeats else _logaddexp(old[0, t], old[1, t])
            stays = _logaddexp(ending_blank, ending_token)
            ending_token = _logaddexp(ending_token, paths) + log_probs[b, tokens[m], t]
            ending_blank = stays + log_probs[b, blank, t]
            grown[m, 0, t + 1], grown[m, 1, t + 1] = ending_blank, ending_token
    return grown


@njit(cache=True, nogil=True, inline="always")
def _logaddexp(a: float, b: float) -> float:
    """numpy's looks for infinities and NaN first, which takes as long as the sum."""
    high, low = max(a, b), min(a, b)
    return high if low < high - 40.0 or high == -np.inf else high + np.log1p(np.exp(low - high))
