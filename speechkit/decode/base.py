"""What every search takes and gives: encodings and decoders in, an n-best list of hypotheses per utterance out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

import numpy as np
from torch import Tensor, nn

from speechkit.config import Component, ComponentConfig
from speechkit.models.decoder.base import FrameDecoder
from speechkit.objectives.base import Objective
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


@dataclass(frozen=True)
class Reads(Generic[D]):
    """A decoder that a search reads.

    Args:
        kind: Its class.
        what: What such a decoder does, for errors.
        option: Of the search: the name of the objective whose decoder it is; where it is null, the first that fits is read.
        trained: Class of the objectives whose decoder it may be.
    """

    kind: type[D]
    what: str
    option: str = "objective"
    trained: type[Objective] = Objective

    def find(self, search: ComponentConfig, objectives: Mapping[str, Objective.Config]) -> str | None:
        """The name of the objective whose decoder is read; None where none fits."""
        wanted = getattr(search, self.option)
        for name, each in objectives.items():
            fits = issubclass(each.component, self.trained) and issubclass(each.decoder.component, self.kind)
            if fits and wanted in (None, name):
                return name
        return None

    def missing(
        self, search: ComponentConfig, objectives: Iterable[str], wanted: str | None = None, key: str = "search"
    ) -> ValueError:
        """The error of a search that finds no such decoder.

        Args:
            search: Its options.
            objectives: The names of those that there are.
            wanted: The name of the only one that would do.
            key: What the config calls the search.
        """
        named = getattr(search, self.option)
        where = key if named is None else f"{key}.{self.option}"
        return ValueError(
            f"{where}: {search.name} expected {wanted or named or 'an objective'} with a decoder that {self.what}, got "
            f"objectives {', '.join(objectives) or 'none'}; choose another search or objective"
        )


FRAMES = Reads(FrameDecoder, "scores frames, such as ctc")


class Search(Component, kind="search"):
    """Finds the likeliest token sequences. A subclass says in :attr:`reads` which decoders it needs.

    Args:
        config: The options.
        vocabulary: The token ids.
        tokenizer: Of the model, for searches whose options hold words.
        model_dir: Where the model lies, for searches that read its other files; relative paths in the options are looked
            for here as well.
    """

    reads: ClassVar[tuple[Reads, ...]] = ()
    """The decoders that it needs."""
    topology: ClassVar[str | None] = None
    """By whose rules it takes labels of frames for tokens, such as ``ctc``; None where it has no rule of its own."""

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

    @classmethod
    def check(cls, config: ComponentConfig, objectives: Mapping[str, Objective.Config], key: str = "search") -> None:
        """Refuse objectives that such a search cannot read, before there is a model or a search.

        Args:
            config: The search's options.
            objectives: The model's, by name.
            key: What the config calls the search, for errors.

        Raises:
            ValueError: A decoder that is read is not there, or trained to be read in another way.
        """
        for each in cls.reads:
            if each.find(config, objectives) is None:
                raise each.missing(config, objectives, key=key)
        cls.check_reading(config, objectives, key)

    @classmethod
    def check_reading(cls, config: ComponentConfig, objectives: Mapping[str, Objective.Config], key: str = "search") -> None:
        """Refuse objectives whose decoder is trained to be read in another way; arguments as for :meth:`check`.

        Raises:
            ValueError: Naming the search's option and what it should be.
        """
        for name in filter(None, (each.find(config, objectives) for each in cls.reads)):
            try:
                objectives[name].check_search(config)
            except ValueError as error:
                raise ValueError(f"{key}.{error}") from None

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

    def pick_decoder(self, decoders: Mapping[str, nn.Module], reads: Reads[D], wanted: str | None = None) -> D:
        """The decoder of the objective that the options name, or the first that fits.

        Args:
            decoders: The model's, by the name of their objective.
            reads: Which decoder.
            wanted: The objective, where the search knows more of it than the options say.

        Raises:
            ValueError: There is none.
        """
        name = wanted or getattr(self.config, reads.option)
        for each, decoder in decoders.items():
            if isinstance(decoder, reads.kind) and name in (None, each):
                return decoder
        raise reads.missing(self.config, decoders, wanted)


class FrameSearch(Search):
    """A search over the distributions that a :class:`FrameDecoder` gives for each frame; it implements :meth:`search`."""

    class Config(ComponentConfig):
        """What all searches over frames share."""

        objective: str | None = None
        """Name of the objective whose decoder is read; null takes the first that scores frames."""

    reads = (FRAMES,)
    topology = "ctc"

    def decode(self, decoders: Mapping[str, nn.Module], encoder_out: Tensor, encoder_out_lens: Tensor) -> NBest:
        """Search the frames' distributions; see :meth:`Search.decode`."""
        decoder = self.pick_decoder(decoders, FRAMES)
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
