"""The language model that a recogniser has learned inside of itself, to be subtracted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from speechkit.decode.scorers.stepwise import StepNetwork, StepwiseScorer
from speechkit.models.decoder.attention import AttentionDecoder
from speechkit.models.decoder.transducer import Transducer
from speechkit.models.predictor.base import State as PredictorState


class InternalLmScorer(StepwiseScorer, name="internal_lm"):
    """What the network itself says of the next token when it hears nothing (Meng et al., 2020, arXiv 2011.01991).

    Its scale is to be negative. A transducer is asked without the encoder's term in the joiner, an attention decoder about
    an utterance without frames.
    """

    class Config(StepwiseScorer.Config):
        """Options of the internal language model."""

        scale: float = Field(-0.2, le=0)
        """Factor of the log-scores in the search, negative: they are subtracted."""
        objective: str | None = None
        """Name of the objective whose decoder is asked; null takes the first transducer or attention decoder."""

    def network(self, decoders: Mapping[str, nn.Module]) -> StepNetwork:
        """The decoder that the config means, as a language model.

        Raises:
            ValueError: The model has none.
        """
        kinds = {Transducer: TransducerLm, AttentionDecoder: AttentionLm}
        wanted = self.config.objective
        for name, decoder in decoders.items():
            for kind, internal in kinds.items():
                if isinstance(decoder, kind) and wanted in (None, name):
                    return internal(decoder)
        raise ValueError(
            f"internal_lm: expected {wanted or 'an objective'} with a transducer or attention decoder, got objectives "
            f"{', '.join(decoders) or 'none'}; other decoders have no internal language model"
        )


class TransducerLm:
    """``softmax(out(tanh(predictor_proj(p_u))))`` over the tokens without the blank (Variani et al., 2020, Hybrid autoregressive
    transducer, arXiv 2003.07705; for any transducer Meng et al., 2020).

    A transducer says nothing about the end of a sentence: ending scores 0.

    Args:
        decoder: The transducer's.
    """

    def __init__(self, decoder: Transducer) -> None:
        self.predictor, self.joiner = decoder.predictor, decoder.joiner
        self.silent = [decoder.vocabulary.blank_id, decoder.vocabulary.eos_id]

    def start(self, batch_size: int) -> tuple[Tensor, PredictorState]:
        """Ask after nothing."""
        predicted, memory = self.predictor.start(batch_size)
        return self._log_scores(predicted), memory

    def step(self, tokens: Tensor, memory: PredictorState) -> tuple[Tensor, PredictorState]:
        """Ask after one more token of each history."""
        predicted, memory = self.predictor.step(tokens, memory)
        return self._log_scores(predicted), memory

    def select(self, memory: PredictorState, rows: Tensor) -> PredictorState:
        """Some of the histories."""
        return self.predictor.select(memory, rows)

    def concat(self, memories: Sequence[PredictorState]) -> PredictorState:
        """The histories of several memories."""
        return self.predictor.concat(memories)

    def _log_scores(self, predicted: Tensor) -> Tensor:
        projected = self.joiner.predictor_proj(predicted)
        logits = self.joiner(torch.zeros_like(projected), projected).float()
        logits[:, self.silent] = -torch.inf
        log_scores = logits.log_softmax(-1)
        log_scores[:, self.silent] = 0.0
        return log_scores


class Histories(NamedTuple):
    """N token sequences that begin with ``sos_id``: ids (N, U), lengths (N,), and the decoder's state where it has one."""

    tokens: Tensor
    lens: Tensor
    state: Any | None


class AttentionLm:
    """An attention decoder whose utterances have no frames: the context is zero, or for the Transformer a constant.

    The decoder goes token by token as long as all histories are equally long, as in searches that extend them all
    together; it cannot join histories of different length, which are therefore read again from their beginning.

    Args:
        decoder: The attention decoder.
    """

    def __init__(self, decoder: AttentionDecoder) -> None:
        self.decoder = decoder
        self.zeros = next(decoder.parameters()).new_zeros(1, 1, decoder.in_dim)
        self.no_frames = torch.zeros(1, dtype=torch.int64, device=self.zeros.device)

    def start(self, batch_size: int) -> tuple[Tensor, Histories]:
        """Ask after ``sos_id``."""
        device = self.zeros.device
        rows = torch.zeros(batch_size, dtype=torch.int64, device=device)
        state = self.decoder.select(self.decoder.start(self.zeros, self.no_frames), rows)  # all read one memory
        empty = Histories(rows.new_zeros(batch_size, 0), rows, state)
        return self.step(torch.full((batch_size,), self.decoder.vocabulary.sos_id, device=device), empty)

    def step(self, tokens: Tensor, memory: Histories) -> tuple[Tensor, Histories]:
        """Ask after one more token of each history."""
        lens = memory.lens + 1
        longer = F.pad(memory.tokens, (0, 1)).scatter(1, memory.lens.unsqueeze(1), tokens.unsqueeze(1))
        if memory.state is not None:
            log_probs, state = self.decoder.step(tokens, memory.state)
            return log_probs.float(), Histories(longer, lens, state)
        owners = torch.zeros_like(lens)
        longer = longer[:, : int(lens.max())]
        logits = self.decoder(self.zeros, self.no_frames, longer, lens, owners)
        last = logits[torch.arange(len(lens), device=lens.device), lens - 1]
        return last.float().log_softmax(-1), Histories(longer, lens, None)

    def select(self, memory: Histories, rows: Tensor) -> Histories:
        """Some of the histories."""
        state = None if memory.state is None else self.decoder.select(memory.state, rows)
        return Histories(memory.tokens[rows], memory.lens[rows], state)

    def concat(self, memories: Sequence[Histories]) -> Histories:
        """The histories of several memories."""
        width = max(each.tokens.shape[1] for each in memories)
        tokens = [F.pad(each.tokens, (0, width - each.tokens.shape[1])) for each in memories]
        return Histories(torch.cat(tokens), torch.cat([each.lens for each in memories]), None)
