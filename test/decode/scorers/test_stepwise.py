from __future__ import annotations

import torch

from speechkit.decode.scorers.base import Scorer
from speechkit.decode.scorers.stepwise import StepwiseScorer
from speechkit.text.vocabulary import Vocabulary


class Recorder:
    """A network that remembers the tokens themselves, and counts the rows it was asked about."""

    def __init__(self):
        self.asked = []

    def start(self, batch_size):
        return self._scores([()] * batch_size), [()] * batch_size

    def step(self, tokens, memory):
        self.asked.append(len(tokens))
        memory = [(*history, token) for history, token in zip(memory, tokens.tolist(), strict=True)]
        return self._scores(memory), memory

    def select(self, memory, rows):
        return [memory[row] for row in rows.tolist()]

    def concat(self, memories):
        return [history for memory in memories for history in memory]

    def _scores(self, memory):
        return torch.tensor([[float(hash(history) % 1000 + v) for v in range(5)] for history in memory])


class Recording(StepwiseScorer):
    def network(self, decoders):
        return decoders["network"]


def test_rows_with_a_token_are_read_and_the_others_copied_in_the_order_of_the_search():
    network = Recorder()
    scorer = Recording(Scorer.Config(), vocabulary=Vocabulary(5))
    state = scorer.start({"network": network}, 3)
    moves = [([2, 0, 1, 0], [3, 2, 0, 0]), ([3, 0, 0, 1, 2], [2, 0, 3, 0, 2]), ([4, 4, 0], [0, 0, 0]), ([1, 2], [2, 3])]
    expected = [()] * 3
    for parents, tokens in moves:
        state = scorer.advance(state, torch.tensor(parents), torch.tensor(tokens))
        expected = [expected[p] + ((t,) if t else ()) for p, t in zip(parents, tokens)]
        assert state.memory == expected
        torch.testing.assert_close(scorer.score(state), network._scores(expected))
    assert network.asked == [2, 3, 2]  # nothing is read for blanks
