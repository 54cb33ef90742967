"""The search of LF-MMI and CTC-CRF: the best path through the graph that the objective was trained against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
from pydantic import Field
from torch import Tensor, nn

from speechkit.config import ComponentConfig
from speechkit.decode.base import Hypothesis, NBest, Reads, Search, checked_utterances
from speechkit.graphs.graph import Graph
from speechkit.graphs.graph_aligner import align_graph
from speechkit.models.decoder.base import FrameDecoder
from speechkit.objectives.denominator import SEARCH_GRAPH, DenominatorObjective

FRAMES = Reads(FrameDecoder, "scores frames, such as lf_mmi")


class GraphViterbiSearch(Search, name="graph_viterbi"):
    """Viterbi over the whole graph, exact: ``sum_t log p_t(path_t) + lm_scale * log p(tokens)``.

    The graph is the denominator of an objective that has one (ctc_crf, lf_mmi), so that a model is decoded with the topology
    and the n-gram model of tokens that it was trained with. ``score`` is the sum along the one best path; ``scores`` holds
    its parts: ``frames``, the network's, and ``ngram``, the weight of the path in the graph. No path, as there may be
    none for a few frames in a graph without backoff, gives the empty hypothesis with the score ``-inf``.
    """

    class Config(ComponentConfig):
        """Options of the search through an objective's graph."""

        objective: str | None = None
        """Name of the objective whose decoder and graph are read; null takes the first one that has a graph."""
        lm_scale: float = Field(1.0, gt=0)
        """Factor of the n-gram model's log-probabilities."""

    reads = (Reads(FrameDecoder, "scores frames of a graph, such as lf_mmi", trained=DenominatorObjective),)

    def decode(self, decoders: Mapping[str, nn.Module], encoder_out: Tensor, encoder_out_lens: Tensor) -> NBest:
        """The one best hypothesis of each utterance.

        Raises:
            ValueError: The model has no graph, or one for other tokens.
            UtteranceError: The log-probabilities of a frame are not any.
        """
        name, graph = self._graph
        decoder = self.pick_decoder(decoders, FRAMES, name)
        return [[self._search(graph, each)] for each in checked_utterances(decoder(encoder_out), encoder_out_lens)]

    @cached_property
    def _graph(self) -> tuple[str, Graph]:
        """The objective's name, and its graph with scaled weights."""
        if self.model_dir is None:
            raise ValueError("graph_viterbi: expected a model directory to read the graph from, got none")
        folder = self.model_dir / "objectives"
        paths = sorted(folder.glob(f"{self.config.objective or '*'}/{SEARCH_GRAPH}"))
        if not paths:
            wanted = folder / (self.config.objective or "<objective>") / SEARCH_GRAPH
            raise ValueError(f"{wanted}: expected the graph of an objective such as lf_mmi, found none; choose another search")
        return paths[0].parent.name, self._read(paths[0])

    def _read(self, path: Path) -> Graph:
        graph = Graph.load(path)
        try:
            graph.check_classes(self.vocabulary.size)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        scaled = {name: self.config.lm_scale * getattr(graph, name) for name in ("weights", "initial", "final")}
        return replace(graph, **scaled)

    def _search(self, graph: Graph, log_probs: np.ndarray) -> Hypothesis:
        tokens, alignment = align_graph(graph, log_probs)
        path = np.full(len(log_probs), self.vocabulary.blank_id)
        for token, (first, last) in zip(tokens, alignment.token_times):
            path[first:last] = token
        frames = float(log_probs[np.arange(len(path)), path].sum())
        parts = {"frames": frames, "ngram": (alignment.score - frames) / self.config.lm_scale}
        return Hypothesis(tokens, alignment.score, parts, alignment.token_times, alignment.confidences)
