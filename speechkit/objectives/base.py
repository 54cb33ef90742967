"""What every objective is: model outputs and targets in, one loss per utterance out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from speechkit.config import Choice, Component, ComponentConfig
from speechkit.data.batch import Targets
from speechkit.graphs.aligner import Alignment
from speechkit.models.decoder.base import Decoder
from speechkit.models.decoder.linear import Linear
from speechkit.text.vocabulary import Vocabulary
from speechkit.utils.lens import padding_mask
from speechkit.utils.utterances import UtteranceError


class Objective(nn.Module, Component, kind="objective"):
    """A loss of ASR. It owns no parameters: the task builds ``config.decoder`` and hands it in. Tables that it computes
    with (a denominator graph ...) are buffers that are not saved, so that they follow the network to its device.

    A subclass implements :meth:`nats`; :meth:`alignable` where not every utterance can be used; :meth:`align` where its
    paths say which frames a token has; and, where it needs something from the training transcripts, :meth:`fit` and
    :meth:`load`.

    Args:
        config: The options.
        vocabulary: The token ids.

    Attributes:
        parts: What the last loss is made of, by names for the log: (B,) each, normalised as the loss, without gradients.
            Empty unless :meth:`nats` leaves them there, in nats.
    """

    class Config(ComponentConfig):
        """Options of all objectives."""

        weight: float = Field(1.0, ge=0.0)
        """Factor of this objective in the sum of the losses."""
        normalize: Literal["utterance", "token", "frame"] = "utterance"
        """What a loss is per: plain nats, which the trainer divides by the utterances of the step (utterance), or nats per
        token of the transcript (token) or per encoder frame (frame), averaged over the utterances."""
        decoder: Choice[Decoder] = Linear.Config()
        """The network from encoder output to scores of tokens."""

        def check_search(self, search: ComponentConfig) -> None:
            """Refuse a search that would read this objective's decoder in another way than it was trained.

            Raises:
                ValueError: Naming the search's key and what it should be.
            """

    def __init__(self, config: Config, *, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.config = config
        self.vocabulary = vocabulary
        self.parts: dict[str, Tensor] = {}

    def forward(self, decoder: nn.Module, encoder_out: Tensor, encoder_out_lens: Tensor, targets: Targets) -> Tensor:
        """The loss of each utterance.

        Args:
            decoder: What ``config.decoder`` built.
            encoder_out: (B, S, D).
            encoder_out_lens: (B,) int64 frames per utterance.
            targets: The transcripts.

        Returns:
            (B,) losses at least in float32, normalised as the config says; exactly 0, with zero gradients, for an
            utterance that is not :meth:`alignable`.
        """
        nats = self.nats(decoder, encoder_out, encoder_out_lens, targets)
        if self.config.normalize == "utterance":
            return nats
        lens = (targets.token_lens if self.config.normalize == "token" else encoder_out_lens).clamp(min=1)
        self.parts = {name: part / lens for name, part in self.parts.items()}
        return nats / lens

    def nats(self, decoder: nn.Module, encoder_out: Tensor, encoder_out_lens: Tensor, targets: Targets) -> Tensor:
        """The losses (B,) before normalisation: negative log-likelihoods in nats; arguments as for the call."""
        raise NotImplementedError

    def alignable(self, encoder_out_lens: Tensor, targets: Targets) -> Tensor:
        """Which utterances have a transcript that the objective can place in their frames; all of them, here.

        Args:
            encoder_out_lens: (B,) int64 frames per utterance.
            targets: The transcripts.

        Returns:
            (B,) bool; the task names the cuts where it is False, which learn nothing.
        """
        return torch.ones_like(targets.token_lens, dtype=torch.bool)

    @property
    def has_alignments(self) -> bool:
        """Whether :meth:`align` can be called."""
        return type(self).align is not Objective.align

    def align(
        self, decoder: nn.Module, encoder_out: Tensor, encoder_out_lens: Tensor, targets: Targets
    ) -> list[Alignment]:
        """The likeliest path of each transcript; arguments as for the call.

        An objective whose paths give tokens to frames takes :mod:`speechkit.graphs.aligner`: it lets
        :func:`~speechkit.graphs.aligner.utterances` cut its scores into utterances and hands each to the function of its
        lattice: ``align_ctc`` (CTC, CTC-CRF), ``align_monotonic`` and ``align_transducer`` (transducers: log-probabilities of
        the blank and of the next token at each frame and number of tokens), or
        :func:`~speechkit.graphs.graph_aligner.align_graph` (a graph of the transcript).

        Returns:
            An alignment per utterance; one with the score ``-inf`` where there is no path.

        Raises:
            ValueError: The objective has no alignments.
            UtteranceError: The scores of an utterance are NaN, or it has a token that the vocabulary does not have.
        """
        raise ValueError(
            f"{self.config.name}: expected an objective whose paths tell where the tokens lie in time, such as ctc; this one "
            "has none"
        )

    def fit(self, transcripts: Iterable[Sequence[int]], folder: Path) -> None:
        """Write into ``folder`` what the objective needs to know of the training transcripts; nothing, here.

        Called by one process, before a training that does not resume.

        Args:
            transcripts: Token ids of each training utterance.
            folder: ``objectives/<name of the objective>`` in the experiment; made by whoever writes into it.
        """

    def load(self, folder: Path) -> None:
        """Read what :meth:`fit` wrote; called on every rank, before the first loss."""

    @staticmethod
    def check_fitted(folder: Path, files: Mapping[str, str]) -> None:
        """For :meth:`load`: refuse a folder that is not whole. To make it again might be to go on with something else.

        Args:
            folder: As for :meth:`load`.
            files: What :meth:`fit` wrote, by the names of the files.

        Raises:
            ValueError: Naming the first that is missing.
        """
        for name, what in files.items():
            if not (folder / name).exists():
                raise ValueError(
                    f"{folder / name}: expected {what} that training began with, found nothing; restore it from a copy, or "
                    "begin again with another --exp"
                )

    def at_step(self, step: int) -> None:
        """Hear the number of optimizer steps made so far, before the next one, for objectives that warm up."""

    def check_tokens(self, targets: Targets) -> None:
        """Refuse transcripts that cannot come from this vocabulary: kernels read memory by these ids, unchecked.

        Raises:
            UtteranceError: A transcript holds the blank or an id outside of the vocabulary.
        """
        tokens, blank = targets.tokens, self.vocabulary.blank_id
        wrong = (tokens < 0) | (tokens >= self.vocabulary.size) | (tokens == blank)
        wrong &= ~padding_mask(targets.token_lens, tokens.shape[1])
        if wrong.any():
            row, place = wrong.nonzero()[0].tolist()
            raise UtteranceError(
                row,
                f"expected token ids in [0, {self.vocabulary.size}) other than the blank {blank}, got {tokens[row, place]} "
                f"at place {place}; use the tokenizer of this model",
            )
