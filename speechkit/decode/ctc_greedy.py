"""Greedy CTC search: the likeliest path, collapsed."""

from __future__ import annotations

import numpy as np

from speechkit.decode.base import FrameSearch, Hypothesis


class CtcGreedySearch(FrameSearch, name="ctc_greedy"):
    """Best-path decoding (Graves et al. 2006, section 3.2): the best token of each frame, repeats and blanks removed.

    ``score`` is the log-probability of that one path. The path is the likeliest one, but its tokens need not be the
    likeliest tokens, because many paths may spell another sequence; ``ctc_prefix_beam`` adds them up.
    """

    def search(self, log_probs: np.ndarray) -> list[Hypothesis]:
        """Search one utterance: (S, V) log-probabilities -> one hypothesis; a token's span is its run of frames."""
        if len(log_probs) == 0:
            return [Hypothesis(tokens=[], score=0.0, scores={"ctc": 0.0})]
        path, best = log_probs.argmax(1), log_probs.max(1)
        first = np.flatnonzero(np.diff(path, prepend=-1))
        last = np.append(first[1:], len(path))
        peak = np.exp(np.maximum.reduceat(best, first)).clip(max=1.0)
        spoken = path[first] != self.blank_id
        score = float(best.sum())
        return [
            Hypothesis(
                tokens=path[first][spoken].tolist(),
                score=score,
                scores={"ctc": score},
                token_times=list(zip(first[spoken].tolist(), last[spoken].tolist())),
                confidences=peak[spoken].tolist(),
            )
        ]
