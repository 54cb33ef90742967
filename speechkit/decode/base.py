"""What every search takes and gives: encodings and decoders in, an n-best list of hypotheses per utterance out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
from torch import Tensor, nn

from speechkit.config import Component, ComponentConfig
from speechkit.models.decoder.base import FrameDecoder
from speechkit.text.tokenizer import Tokenizer
from speechkit.text.vocabulary import Vocabulary
from speechkit.utils.lens import padding_mask
from speechkit.utils.utterances import UtteranceError

D = TypeVar("D", bound=nn.Module)


@dataclass(frozen=True)
class Hypothesis:
    """One token sequence that a search found for an utterance.

    Args:
        tokens: Token ids, blanks removed.
        score: Log-probability (nats) by which the search ranks; each search says what it sums over.
        scores: The parts of ``score`` by name, before weighting (``{"ctc": ...}``).
        token_times: For each token its first encoder frame and the one after its last; ordered. They do not overlap, but for
            tokens that a transducer emits in one and the same frame.
        confidences: For each token the highest probability the network gives it in a frame of its span, in [0, 1].
            It is a posterior of the network, not a calibrated chance of being right: networks are over-confident.
        words: Where the search found words by a lexicon, these as (word, first, last), spelled by ``tokens[first:last]``;
            None where the tokenizer knows the words.
    """

    tokens: list[int]
    score: float
    scores: dict[str, float] = field(default_factory=dict)
    token_times: list[tuple[int, int]] = field(default_factory=list)
    confidences: list[float] = field(default_factory=list)
    words: list[tuple[str, int, int]] | None = None


NBest = list[list[Hypothesis]]
"""For each utterance of a batch its hypotheses, best first."""


class Search(Component, kind="search"):
    """Finds the likeliest token sequences.

    Args:
        config: The options.
        vocabulary: The token ids.
        tokenizer: Of the model, for searches whose options hold words.
        model_dir: Where the model lies, for searches that read its other files; relative paths in the options are looked
            for here as well.
    """

    def __init__(
        self,
        config: ComponentConfig,
        *,
        vocabulary: Vocabulary,
        tokenizer: Tokenizer | None = None,
        model_dir: Path | None = None,
    ) -> None:
        self.config = config
        self.vocabulary = vocabulary
        self.blank_id = vocabulary.blank_id
        self.tokenizer = tokenizer
        self.model_dir = model_dir

    def decode(self, decoders: Mapping[str, nn.Module], encoder_out: Tensor, encoder_out_lens: Tensor) -> NBest:
        """Search each utterance of a batch.

        Args:
            decoders: The model's, by the name of their objective; a search takes what it needs.
            encoder_out: (B, S, D).
            encoder_out_lens: (B,) encoder frames per utterance.

        Returns:
            Per utterance at least one hypothesis and at most the n-best that the config asks for, best first.

        Raises:
            ValueError: The model has no decoder that this search can read.
        """
        raise NotImplementedError

    def pick_decoder(self, decoders: Mapping[str, nn.Module], kind: type[D], what: str, objective: str | None) -> D:
        """The decoder of ``objective``, or the first of a kind.

        Args:
            decoders: The model's, by the name of their objective.
            kind: Its class.
            what: What such a decoder does, for the error.
            objective: Name of the objective; None for any.

        Raises:
            ValueError: There is none.
        """
        fitting = [each for name, each in decoders.items() if isinstance(each, kind) and objective in (None, name)]
        if not fitting:
            raise ValueError(
                f"search.objective: {self.config.name} expected {objective or 'an objective'} with a decoder that {what}, "
                f"got objectives {', '.join(decoders) or 'none'}; choose another search or objective"
            )
        return fitting[0]


class FrameSearch(Search):
    """A search over the distributions that a :class:`FrameDecoder` gives for each frame; it implements :meth:`search`."""

    class Config(ComponentConfig):
        """What all searches over frames share."""

        objective: str | None = None
        """Name of the objective whose decoder is read; null takes the first that scores frames."""

    def decode(self, decoders: Mapping[str, nn.Module], encoder_out: Tensor, encoder_out_lens: Tensor) -> NBest:
        """Search the frames' distributions; see :meth:`Search.decode`."""
        decoder = self.pick_decoder(decoders, FrameDecoder, "scores frames, such as ctc", self.config.objective)
        return self(decoder(encoder_out), encoder_out_lens)

    def __call__(self, log_probs: Tensor, lens: Tensor) -> NBest:
        """Search each utterance of a batch of distributions.

        Args:
            log_probs: (B, S, V) log-probabilities (nats), normalised over V; any device and float type.
            lens: (B,) encoder frames per utterance; frames after them are never read.

        Returns:
            As :meth:`Search.decode`.

        Raises:
            UtteranceError: the log-probabilities of a frame are not any (NaN, positive, or all of them ``-inf``).
        """
        return [self.search(utterance) for utterance in checked_utterances(log_probs, lens)]

    def search(self, log_probs: np.ndarray) -> list[Hypothesis]:
        """Search one utterance: (S, V) float64 log-probabilities, S >= 0, in main memory."""
        raise NotImplementedError


def checked_utterances(log_probs: Tensor, lens: Tensor) -> list[np.ndarray]:
    """The (S, V) float64 log-probabilities of each utterance, in main memory; arguments as :meth:`FrameSearch.__call__`.

    Raises:
        UtteranceError: the log-probabilities of a frame are not any.
    """
    # One copy from the device for the batch, float64 for one utterance at a time.
    rows = [row[:length].double().numpy() for row, length in zip(log_probs.detach().cpu(), lens.tolist(), strict=True)]
    for index, row in enumerate(rows):
        best = row.max(axis=1, initial=-np.inf)
        if not ((best > -np.inf) & (best <= 1e-3)).all():
            raise UtteranceError(
                index,
                f"expected log-probabilities with a best token of at most 0 nats in each frame, got best ones from "
                f"{best.min()} to {best.max()}; apply log_softmax to logits, and look for a diverged model where it is nan",
            )
    return rows


def check_finite(scores: Tensor, lens: Tensor, what: str = "encodings") -> None:
    """Refuse a batch (B, S, ...) with NaN or infinite numbers within the lengths (B,).

    Raises:
        UtteranceError: Naming the first such utterance.
    """
    broken = ~(scores.isfinite().flatten(2).all(-1) | padding_mask(lens, scores.shape[1])).all(-1)
    if broken.any():
        index = int(broken.nonzero()[0])
        raise UtteranceError(index, f"expected finite {what}, got nan or inf; look for a diverged model or broken input")
