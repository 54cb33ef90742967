"""What the networks know of the hypotheses of a transducer search, row by row: predictor, joiner and scorers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from speechkit.decode.scorers.fusion import Fusion, FusionState
from speechkit.decode.transducer_base import joint_log_probs
from speechkit.models.decoder.transducer import Transducer
from speechkit.models.predictor.base import State

_NOTHING = np.zeros((0, 0), dtype=np.float32)


@dataclass(frozen=True)
class Rows:
    """N hypotheses; never changed, only replaced.

    Args:
        decoder: The transducer.
        predicted: (N, J) predictions, projected for the joiner.
        state: Of the predictor.
        fusion: The scorers.
        fused: Their state; None where there are none.
    """

    decoder: Transducer
    predicted: Tensor
    state: State
    fusion: Fusion
    fused: FusionState | None

    @classmethod
    def start(cls, decoder: Transducer, fusion: Fusion, decoders: Mapping[str, nn.Module], batch_size: int) -> Rows:
        """``batch_size`` hypotheses without labels."""
        predicted, state = decoder.predictor.start(batch_size)
        fused = fusion.start(decoders, batch_size) if fusion else None
        return cls(decoder, decoder.joiner.predictor_proj(predicted), state, fusion, fused)

    def log_probs(self, encoded: Tensor, first: int = 0) -> np.ndarray:
        """(M, V) float64 log-probabilities of the next symbol of the rows from ``first`` on, with ``encoded`` (M, J)."""
        return joint_log_probs(self.decoder, encoded, self.predicted[first:]).cpu().double().numpy()

    def added(self, first: int = 0) -> np.ndarray:
        """(M, V) what scorers and length bonus would add for each token, of the rows from ``first`` on; (0, 0) for nothing."""
        return _NOTHING if self.fused is None else self.fused.log_scores.numpy()[first:]

    def totals(self, first: int = 0) -> np.ndarray | float:
        """What scorers and length bonus have added to each of the rows from ``first`` on."""
        return 0.0 if self.fused is None else self.fused.totals.numpy()[first:]

    def finals(self) -> tuple[np.ndarray, list[dict[str, float]]]:
        """What the scorers add at the end (N,), and what each of them gave in all, by its name and not scaled."""
        if self.fused is None:
            return np.zeros(len(self.predicted)), [{} for _ in self.predicted]
        return self.fusion.final(self.fused).numpy(), self.fusion.parts(self.fused)

    def advance(self, parents: np.ndarray, tokens: np.ndarray) -> Rows:
        """The rows of M hypotheses.

        Args:
            parents: (M,) int64, which of the N each one grows from.
            tokens: (M,) int64, the label each one gets; the blank for none, which copies the parent.
        """
        grown = np.flatnonzero(tokens != self.decoder.vocabulary.blank_id)
        count, device, predictor = len(self.predicted), self.predicted.device, self.decoder.predictor
        if len(grown) == 0 and len(parents) == count and (parents == np.arange(count)).all():
            return self
        predicted, state, order = self.predicted, self.state, torch.from_numpy(parents).to(device)
        if len(grown) > 0:
            before = predictor.select(state, order[torch.from_numpy(grown).to(device)])
            after, grown_state = predictor.step(torch.from_numpy(tokens[grown]).to(device), before)
            predicted = torch.cat([predicted, self.decoder.joiner.predictor_proj(after)])
            state = predictor.concat([state, grown_state])
            places = parents.copy()
            places[grown] = np.arange(count, count + len(grown))
            order = torch.from_numpy(places).to(device)
        fused = self.fused
        if fused is not None:
            fused = self.fusion.advance(fused, torch.from_numpy(parents), torch.from_numpy(tokens))
        return Rows(self.decoder, predicted.index_select(0, order), predictor.select(state, order), self.fusion, fused)

    def select(self, rows: np.ndarray) -> Rows:
        """Some of the hypotheses, in that order."""
        return self.advance(rows, np.full(len(rows), self.decoder.vocabulary.blank_id))
