"""Greedy transducer search: the likeliest symbol at every step."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from speechkit.decode.base import NBest
from speechkit.decode.transducer_base import TransducerSearch, hypothesis, joint_log_probs
from speechkit.models.decoder.transducer import Transducer

_BLOCK = 8  # frames of one utterance that are looked at together; most of them are blank


@dataclass
class _Walk:
    """How far the search of one utterance has come."""

    num_frames: int
    frame: int = 0
    emitted: int = 0  # labels on the present frame
    score: float = 0.0
    emissions: list[tuple[int, int, float]] = field(default_factory=list)  # token, frame, probability


class TransducerGreedySearch(TransducerSearch, name="transducer_greedy"):
    """Follows the likeliest symbol (Graves, 2012, arXiv 1211.3711, section 2.5, with one hypothesis and no merging).

    ``score`` is the log-probability of that one alignment. While an utterance emits blanks its predictor does not move, so
    a block of frames is scored at once, and the predictor runs only for utterances that emitted a label.
    """

    class Config(TransducerSearch.PerFrameConfig):
        """Options of the greedy transducer search."""

    def search(self, decoder: Transducer, encoded: Tensor, lens: list[int], decoders: Mapping[str, nn.Module]) -> NBest:
        """Walk through all utterances of the batch together."""
        walks = [_Walk(num_frames) for num_frames in lens]
        active = [row for row, walk in enumerate(walks) if walk.num_frames > 0]
        predicted, state = decoder.predictor.start(len(active))
        predicted = decoder.joiner.predictor_proj(predicted)
        flat, num_frames = encoded.flatten(0, 1), encoded.shape[1]
        offsets = torch.arange(_BLOCK, device=encoded.device)
        while active:
            first = torch.tensor([row * num_frames + walks[row].frame for row in active], device=encoded.device)
            # Frames behind an utterance's end are read, but not looked at.
            frames = (first.unsqueeze(1) + offsets).clamp(max=len(flat) - 1)
            log_probs = joint_log_probs(decoder, flat[frames], predicted.unsqueeze(1))  # (N, block, V)
            best, tokens = log_probs.max(-1)
            blank = log_probs[:, 0, self.blank_id]
            walked = [walks[row] for row in active]
            emitted = [self._follow(*each) for each in zip(walked, best.tolist(), tokens.tolist(), blank.tolist(), strict=True)]
            predicted, state = _read(decoder, predicted, state, emitted)
            going = [i for i, walk in enumerate(walked) if walk.frame < walk.num_frames]
            if len(going) < len(active):
                rows = torch.tensor(going, dtype=torch.int64, device=encoded.device)
                predicted, state = predicted[rows], decoder.predictor.select(state, rows)
                active = [active[i] for i in going]
        return [[hypothesis(walk.emissions, walk.score, {"transducer": walk.score})] for walk in walks]

    def _follow(self, walk: _Walk, best: list[float], tokens: list[int], blank: float) -> int | None:
        """Go through a block of frames up to the first label; returns it, or None when all are blank."""
        limit = self.config.max_symbols_per_frame
        if walk.emitted == limit:  # the frame is full: it ends with a blank, however likely
            best[0], tokens[0] = blank, self.blank_id
        for score, token in zip(best, tokens[: walk.num_frames - walk.frame]):
            walk.score += score
            if token != self.blank_id:
                walk.emissions.append((token, walk.frame, math.exp(score)))
                walk.emitted += 1
                if limit == 1:
                    walk.frame, walk.emitted = walk.frame + 1, 0
                return token
            walk.frame, walk.emitted = walk.frame + 1, 0
        return None


def _read(
    decoder: Transducer, predicted: Tensor, state: tuple[Tensor, ...], emitted: list[int | None]
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The predictions and states after the labels that some of the utterances emitted."""
    grown = [i for i, token in enumerate(emitted) if token is not None]
    if not grown:
        return predicted, state
    predictor, device = decoder.predictor, predicted.device
    tokens = torch.tensor([emitted[i] for i in grown], device=device)
    if len(grown) == len(emitted):
        after, state = predictor.step(tokens, state)
        return decoder.joiner.predictor_proj(after), state
    rows = torch.tensor(grown, device=device)
    after, grown_state = predictor.step(tokens, predictor.select(state, rows))
    order = torch.arange(len(emitted), device=device)
    order[rows] = len(emitted) + torch.arange(len(grown), device=device)
    predicted = torch.cat([predicted, decoder.joiner.predictor_proj(after)])[order]
    return predicted, predictor.select(predictor.concat([state, grown_state]), order)
