"""N-best rescoring: scorers that are too dear, or cannot be asked, while a search runs rank its results again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import nn

from speechkit.decode.base import Hypothesis, NBest
from speechkit.decode.scorers.fusion import Fusion


def rescore(nbest: NBest, fusion: Fusion, decoders: Mapping[str, nn.Module]) -> NBest:
    """Rank hypotheses again with the scorers' scores of the whole sentence, its end included, added to their own.

    All hypotheses of the batch go through the scorers together.

    Args:
        nbest: Of each utterance its hypotheses.
        fusion: The scorers; without any the hypotheses stay as they are.
        decoders: The model's, by the name of their objective, for scorers that ask the network.

    Returns:
        The same hypotheses with what was added in ``score`` and, not scaled, in ``scores``; best first, and equally good
        ones in their old order.

    Raises:
        ValueError: a scorer is called like a part of the score that is there already.
    """
    flat = [(utterance, hypothesis) for utterance, hypotheses in enumerate(nbest) for hypothesis in hypotheses]
    if not fusion or not flat:
        return nbest
    _check_names(flat[0][1], fusion)
    blank = fusion.vocabulary.blank_id
    lens = torch.tensor([len(hypothesis.tokens) for _, hypothesis in flat])
    tokens = torch.full((len(flat), max(1, int(lens.max()))), blank)
    for row, (_, hypothesis) in zip(tokens, flat):
        row[: len(hypothesis.tokens)] = torch.tensor(hypothesis.tokens, dtype=torch.int64)
    state = fusion.start(decoders, len(nbest))
    parents = torch.tensor([utterance for utterance, _ in flat])
    for column in tokens.unbind(1):
        state = fusion.advance(state, parents, column)
        parents = torch.arange(len(flat))
    totals = (state.totals + fusion.final(state)).tolist()
    ranked: NBest = [[] for _ in nbest]
    for (utterance, hypothesis), total, parts in zip(flat, totals, fusion.parts(state), strict=True):
        scored = replace(hypothesis, score=hypothesis.score + total, scores={**hypothesis.scores, **parts})
        ranked[utterance].append(scored)
    return [sorted(hypotheses, key=lambda hypothesis: -hypothesis.score) for hypotheses in ranked]


def _check_names(hypothesis: Hypothesis, fusion: Fusion) -> None:
    if taken := sorted(hypothesis.scores.keys() & fusion.scorers.keys()):
        raise ValueError(
            f"rescore: expected names that no part of the search's score has, got {', '.join(taken)}, which it has; "
            "call the scorer something else"
        )
