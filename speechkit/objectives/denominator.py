"""What CTC-CRF and LF-MMI share: one distribution over whole paths, divided by the sum over all of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from speechkit.config import Config as BaseConfig
from speechkit.data.batch import Targets
from speechkit.graphs.arpa import read_arpa, write_arpa
from speechkit.graphs.denominator import denominator_graph
from speechkit.graphs.forward_backward import Kernel, TotalScore
from speechkit.graphs.graph import Graph
from speechkit.graphs.label_graph import TOPOLOGIES
from speechkit.graphs.ngram import NGram
from speechkit.graphs.ngram_estimation import estimate
from speechkit.graphs.ngram_pruning import prune
from speechkit.objectives.base import Objective
from speechkit.text.vocabulary import Vocabulary
from speechkit.utils.files import find_file
from speechkit.utils.lens import padding_mask
from speechkit.utils.utterances import UtteranceError

ARPA, GRAPH, SEARCH_GRAPH = "lm.arpa", "denominator.safetensors", "search.safetensors"
"""Such an objective's files: the n-gram model over token ids in decimal digits, and its graph for sums and for searches."""


class NGramConfig(BaseConfig):
    """The n-gram model of tokens in the denominator."""

    order: int = Field(3, ge=1)
    """n of its longest n-grams. With backoff the graph has an arc for each token after each n-gram two shorter than
    this (one shorter for order 2), so for subwords take at most 3, or `seen_only`; phones and characters do well with 4."""
    smoothing: Literal["witten_bell", "kneser_ney"] = "witten_bell"
    """Witten-Bell for few different tokens or little text, Kneser-Ney for many and much."""
    min_counts: list[int] = Field([])
    """For the lengths 1, 2, ... how often an n-gram must occur to be kept; longer ones are taken as the last one given."""
    prune: float = Field(0.0, ge=0.0)
    """Leave out n-grams that change the model's perplexity by less than this share, such as 1e-7; 0 for none."""
    seen_only: bool = False
    """No backoff: after a history only the tokens seen there. The graph is several times smaller and training faster, as in
    Kaldi's chain models and CAT. By default every transcript is possible, so that the loss is a log-probability."""
    arpa: str | None = None
    """An ARPA file to take instead of estimating a model from the training transcripts. Its words are token ids in
    decimal digits, as in the `lm.arpa` that training writes beside the graph."""


class DenominatorObjective(Objective):
    """``log sum over all paths of exp(score) - (1 + lamb) log sum over the transcript's paths of exp(score)``.

    The score of a path is ``sum_t log p_t(path_t) + log p(tokens that it spells)``, with a decoder's distributions and an
    n-gram model of tokens, which is estimated on the training transcripts. A subclass gives the topology, which says what
    paths tokens have, and the :meth:`numerator`.

    The graph is that of the n-gram model composed with the topology, and exact: with ``lamb`` 0 the loss is minus the
    log-probability of the transcript, never below zero. The sums of the frames' log-probabilities are in both terms, so
    whether the decoder normalises them matters for the term with ``lamb`` alone.
    """

    class Config(Objective.Config):
        """What these objectives share."""

        lamb: float = Field(0.01, ge=0.0)
        """Weight of an auxiliary loss, minus the log-sum over the transcript's paths (of frame probabilities alone). Its
        gradient is that of the cross entropy with the posteriors of these paths as targets."""
        path_weight: bool = True
        """Subtract log p(tokens), a constant, so that the loss is a negative log-probability (and lamb times the auxiliary
        loss). Publications leave it out; the gradient is the same."""
        ngram: NGramConfig = NGramConfig()
        """The n-gram model."""
        den_kernel: Kernel = "auto"
        """What computes the denominator; all give the same numbers. `auto` takes the fastest on the device: numba on CPU,
        Triton on CUDA where it is installed, torch elsewhere, dense for small graphs with nearly all arcs."""

        @model_validator(mode="after")
        def _unseen_sequences_have_no_weight(self) -> DenominatorObjective.Config:
            if self.path_weight and self.ngram.seen_only:
                raise ValueError(
                    "path_weight: expected false with ngram.seen_only, got true; sequences that were not seen are impossible"
                )
            return self

    topology: str
    """One of :data:`speechkit.graphs.label_graph.TOPOLOGIES`."""

    def __init__(self, config: Config, *, vocabulary: Vocabulary) -> None:
        super().__init__(config, vocabulary=vocabulary)
        self.model: NGram | None = None
        self.total_score: TotalScore | None = None
        self.least_frames = 0

    # --- the graph ------------------------------------------------------------------------------------------------

    def fit(self, transcripts: Iterable[Sequence[int]], folder: Path) -> None:
        """Estimate (or read) the n-gram model, compose the graphs, and write all.

        Raises:
            ValueError: An option does not fit the transcripts, or the ARPA file not the vocabulary.
        """
        options = self.config.ngram
        if options.arpa is not None:
            others = "take the lm.arpa of another experiment, or null to have one estimated"
            model = self._read(find_file(Path(options.arpa), None, "an ARPA file over token ids", f"ngram.arpa: {others}"))
        else:
            model = estimate(transcripts, self.vocabulary, options.order, options.smoothing, options.min_counts)
        if options.prune:
            model = prune(model, options.prune, keep="interpolation")
        write_arpa(folder / ARPA, model, self._names)
        # Of the file, not of the model in memory: the file has fewer digits, and path weights come from it.
        model = self._read(folder / ARPA)
        topology = TOPOLOGIES[self.topology]
        denominator_graph(model, topology, options.seen_only).save(folder / GRAPH)
        denominator_graph(model, topology, options.seen_only, "tropical").save(folder / SEARCH_GRAPH)

    def load(self, folder: Path) -> None:
        """Read what :meth:`fit` wrote.

        Raises:
            ValueError: A file is missing or damaged, or was made for another vocabulary.
        """
        self.check_fitted(folder, {GRAPH: "a graph", SEARCH_GRAPH: "a graph", ARPA: "an n-gram model"})
        graph = Graph.load(folder / GRAPH)
        tokens = set(range(self.vocabulary.size - 1)) - {self.vocabulary.blank_id}
        self.model = self._read(folder / ARPA)
        missing = tokens - set(self.model.symbols[self.model.level(1)].tolist())
        if missing and self.config.ngram.arpa is None or graph.num_classes > self.vocabulary.size:
            raise ValueError(
                f"{folder}: expected a graph over the {self.vocabulary.size} tokens of the vocabulary, got one "
                + (f"without token {min(missing)}" if missing else f"with token {graph.num_classes - 1}")
                + "; train with the tokenizer that it was made with"
            )
        self.total_score = TotalScore(graph, self.config.den_kernel)
        self.least_frames = self.total_score.nodes.least_frames()

    def _read(self, path: Path) -> NGram:
        return read_arpa(path, self._names, self.vocabulary)

    @property
    def _names(self) -> list[str]:
        return [str(token) for token in range(self.vocabulary.size)]

    # --- the loss -------------------------------------------------------------------------------------------------

    def nats(self, decoder: nn.Module, encoder_out: Tensor, encoder_out_lens: Tensor, targets: Targets) -> Tensor:
        """The losses (B,) in nats, float32 (float64 where the decoder gives that); 0 where there is no path.

        Raises:
            UtteranceError: A transcript holds the blank, an id outside of the vocabulary, or (with ``path_weight``) a token
                that the n-gram model does not have.
        """
        self.check_tokens(targets)
        log_probs = decoder(encoder_out)
        log_probs = log_probs.to(torch.promote_types(log_probs.dtype, torch.float32))
        numerator = self.numerator(log_probs, encoder_out_lens, targets)
        denominator = self._graph_score(log_probs, encoder_out_lens)
        losses = denominator - (1.0 + self.config.lamb) * numerator
        if self.config.path_weight:
            losses = losses - self.path_weights(targets).to(losses)
        return losses.where(self.alignable(encoder_out_lens, targets), 0.0)

    def numerator(self, log_probs: Tensor, encoder_out_lens: Tensor, targets: Targets) -> Tensor:
        """(B,) ``log sum over the transcript's paths of exp(sum_t log p_t(path_t))``, in nats.

        Args:
            log_probs: (B, S, V).
            encoder_out_lens: (B,).
            targets: The transcripts.
        """
        raise NotImplementedError

    def _graph_score(self, log_probs: Tensor, lens: Tensor) -> Tensor:
        if self.total_score is None:
            raise ValueError(f"{self.config.name}: expected the denominator graph to be loaded, got none; call load() first")
        return self.total_score(log_probs, lens)

    def path_weights(self, targets: Targets) -> Tensor:
        """(B,) float64 log p(transcript) of the n-gram model, in nats, the end of the sentence included.

        Raises:
            UtteranceError: A token has no probability.
        """
        assert self.model is not None
        graph, tokens, lens = self.model.graph, targets.tokens.cpu().numpy(), targets.token_lens.cpu().numpy()
        states, totals = np.full(len(lens), graph.start), np.zeros(len(lens))
        for place in range(tokens.shape[1] + 1):
            going, ending = np.flatnonzero(place < lens), np.flatnonzero(place == lens)
            symbols = tokens[going, min(place, tokens.shape[1] - 1)] if len(going) else np.empty(0, dtype=np.int64)
            weights = graph.weights(states[going], symbols)
            if (weights == -np.inf).any():
                row = int(np.flatnonzero(weights == -np.inf)[0])
                raise UtteranceError(
                    int(going[row]),
                    f"expected tokens that the n-gram model has, got token {symbols[row]} at place {place}; take a model that "
                    "has it, or set path_weight: false",
                )
            totals[going] += weights
            totals[ending] += graph.weights(states[ending], np.full(len(ending), self.vocabulary.eos_id))
            states[going] = graph.next_states(states[going], symbols)
        return torch.from_numpy(totals).to(targets.tokens.device)

    def alignable(self, encoder_out_lens: Tensor, targets: Targets) -> Tensor:
        """(B,) bool: whether the frames suffice for the tokens, and for any path of the graph."""
        tokens, token_lens = targets.tokens, targets.token_lens
        needed = token_lens
        if TOPOLOGIES[self.topology].merges:
            within = ~padding_mask(token_lens, tokens.shape[1])
            needed = needed + ((tokens[:, 1:] == tokens[:, :-1]) & within[:, 1:]).sum(1)
        return encoder_out_lens >= needed.clamp(min=self.least_frames)
