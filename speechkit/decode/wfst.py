"""Search through a decoding graph: words of a lexicon, weighed by an n-gram language model."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from speechkit.config import Choice
from speechkit.decode import token_passing
from speechkit.decode.base import FRAMES, FrameSearch, Hypothesis, NBest, checked_utterances
from speechkit.decode.lattice import Lattice, LatticePath, Weights
from speechkit.decode.rescore import rescore
from speechkit.decode.scorers.base import Scorer
from speechkit.decode.scorers.fusion import Fusion
from speechkit.graphs.folder import DecodingGraph
from speechkit.graphs.topology import ctc_topology, label
from speechkit.graphs.wfst import Wfst
from speechkit.text.tokenizer import Tokenizer
from speechkit.text.vocabulary import Vocabulary
from speechkit.utils.files import find_file
from speechkit.utils.utterances import UtteranceError

T = TypeVar("T")
NO_DECODERS: Mapping[str, nn.Module] = MappingProxyType({})
TOKENS = "tokens"  # in place of the folder of a graph
WIDENINGS = 8  # times that the beam is doubled where no path in it ends, before all paths are looked at


class WfstSearch(FrameSearch, name="wfst"):
    """Viterbi beam search through the graph that ``speechkit graph`` makes of a topology, a lexicon and an n-gram model
    (Mohri, Pereira and Riley 2002; for CTC: Miao, Gowayyed and Metze 2015, arXiv:1507.08240).

    A path's score is ``acoustic_scale * ctc + lm_scale * graph + length_bonus * number of words``: the log-probability of
    its frames' labels, and that of its words and spellings. A hypothesis has the score of its best path, not the sum of
    several; the n-best are those of the lattice, each with other words. A backoff arc stays open where an n-gram is known,
    see :func:`speechkit.graphs.grammar.grammar_fst`; ``lattice_lm`` puts exact scores in their place.
    """

    class Config(FrameSearch.Config):
        """Options of the search through a decoding graph."""

        graph: str | None = None
        """Folder that `speechkit graph` wrote; a relative path is looked for in the model's folder as well. `tokens` needs none:
        any sequence of tokens at no cost, which with one hypothesis is the greedy search."""
        acoustic_scale: float = Field(1.0, gt=0)
        """Factor of the network's log-probabilities."""
        lm_scale: float = Field(1.0, ge=0)
        """Factor of the graph's log-scores: the language model's and, where spellings have probabilities, theirs."""
        length_bonus: float = 0.0
        """Nats that each word adds; negative to have fewer insertions. With the graph `tokens`, each token."""
        beam: float = Field(14.0, gt=0)
        """Nats below the best path of a frame within which paths go on; it is widened where none of them ends."""
        max_active: int = Field(5000, ge=1)
        """Paths that go on from a frame, at most."""
        lattice_beam: float = Field(8.0, ge=0)
        """Nats below the best path within which the paths of the lattice are: those that n-best lists and rescoring see."""
        nbest: int = Field(1, ge=1)
        """Hypotheses returned, at most."""
        skip_blanks: float | None = Field(None, gt=0.5, lt=1)
        """Frames whose blank is at least this probable, but the first of several in a row, are not searched."""
        lattice_lm: str | None = None
        """ARPA file, looked for like the graph, of a language model that takes the place of the graph's own in the lattice."""
        rescore: dict[str, Choice[Scorer]] = {}
        """Scorers of tokens that rank the lattice's n-best again, each by its total score times its scale."""
        rescore_nbest: int = Field(100, ge=1)
        """Hypotheses that ``rescore`` ranks; ``nbest`` of them are returned."""

    def __init__(
        self, config: Config, *, vocabulary: Vocabulary, tokenizer: Tokenizer | None = None, model_dir: Path | None = None
    ) -> None:
        super().__init__(config, vocabulary=vocabulary, tokenizer=tokenizer, model_dir=model_dir)
        self.rescoring = Fusion.build(config.rescore, vocabulary=vocabulary, tokenizer=tokenizer, model_dir=model_dir)
        self.graph = None if config.graph == TOKENS else self._read_graph(config.graph)
        fst = ctc_topology(vocabulary.size, vocabulary.blank_id) if self.graph is None else self.graph.fst
        self.fst, self.arc_sources, self.arrays = fst, fst.sources, self._weighted(fst)
        self.models = None
        if config.lattice_lm is not None:
            if self.graph is None:
                raise ValueError("search.lattice_lm: expected search.graph, whose language model it replaces, got tokens")
            make = f"make one with `speechkit lm {self._model} --unit word --to {config.lattice_lm}`"
            path = find_file(Path(config.lattice_lm), model_dir, "an ARPA file", make)
            self.models = self.graph.language_model(), self.graph.read_arpa(path)

    @property
    def _model(self) -> str:
        """How errors name the model's folder."""
        return str(self.model_dir or "MODEL")

    def _read_graph(self, path: str | None) -> DecodingGraph:
        what = "the folder of a decoding graph"
        if path is None:
            raise ValueError(
                f"search.graph: expected {what}, got null; run `speechkit graph {self._model}` and give search.graph=graph, or "
                f"search.graph={TOKENS} to search without words"
            )
        make = f"run `speechkit graph {self._model}`, or give search.graph the folder where one lies"
        graph = DecodingGraph.read(find_file(Path(path), self.model_dir, what, make))
        graph.check_tokens(self.vocabulary, self.tokenizer)
        return graph

    def _weighted(self, fst: Wfst) -> token_passing.GraphArrays:
        costs = self.config.lm_scale * fst.costs.astype(np.float64) - self.config.length_bonus * (fst.olabels > 0)
        # 0 times an infinite cost is no number.
        final = np.where(np.isfinite(fst.final), self.config.lm_scale * fst.final.astype(np.float64), np.inf)
        return token_passing.graph_arrays(fst, costs, final)

    def decode(self, decoders: Mapping[str, nn.Module], encoder_out: Tensor, encoder_out_lens: Tensor) -> NBest:
        """Search the frames' distributions; see :meth:`Search.decode`."""
        return self(*self._scored(decoders, encoder_out, encoder_out_lens), decoders)

    def _scored(self, decoders: Mapping[str, nn.Module], encoder_out: Tensor, lens: Tensor) -> tuple[Tensor, Tensor]:
        decoder = self.pick_decoder(decoders, FRAMES)
        return decoder(encoder_out), lens

    def __call__(self, log_probs: Tensor, lens: Tensor, decoders: Mapping[str, nn.Module] = NO_DECODERS) -> NBest:
        """Search each utterance of a batch; see :meth:`FrameSearch.__call__`.

        Args:
            log_probs: (B, S, V) nats.
            lens: (B,) frames.
            decoders: The model's, by the name of their objective, for scorers that ask the network.

        Raises:
            UtteranceError: The log-probabilities of an utterance are not any, or the graph has no path for them.
        """
        utterances = checked_utterances(log_probs, lens)
        nbest = _each(self.search, utterances)
        with torch.inference_mode():
            return [hypotheses[: self.config.nbest] for hypotheses in rescore(nbest, self.rescoring, decoders)]

    def lattices(self, decoders: Mapping[str, nn.Module], encoder_out: Tensor, encoder_out_lens: Tensor) -> list[Lattice]:
        """The lattice of each utterance; arguments and errors as :meth:`Search.decode`."""
        utterances = checked_utterances(*self._scored(decoders, encoder_out, encoder_out_lens))
        return _each(self.lattice, utterances)

    def search(self, log_probs: np.ndarray) -> list[Hypothesis]:
        """Search one utterance: (S, V) float64 log-probabilities -> hypotheses, best first."""
        lattice = self.lattice(log_probs)
        paths = lattice.nbest(self.config.rescore_nbest if self.rescoring else self.config.nbest, self.weights)
        return [self._hypothesis(path, lattice, log_probs) for path in paths]

    @property
    def weights(self) -> Weights:
        """What the parts of a path's score count."""
        return Weights(self.config.acoustic_scale, self.config.lm_scale, self.config.length_bonus)

    def lattice(self, log_probs: np.ndarray) -> Lattice:
        """The paths of one utterance that are within ``lattice_beam`` of the best, with their unscaled scores.

        Args:
            log_probs: (S, V) float64 log-probabilities (nats).

        Raises:
            UtteranceError: No path of S frames goes through the graph; its index is 0.
        """
        kept, rows = self._searched(log_probs)
        links, fst = self._links(rows), self.fst
        arcs, labels = links.arcs, fst.ilabels[links.arcs]
        emits, acoustic = labels > 0, np.zeros(len(arcs))
        acoustic[emits] = rows[links.frames[links.sources[emits]], labels[emits] - 1]
        lattice = Lattice(
            frames=np.append(kept, len(log_probs))[links.frames],
            final=-np.where(links.frames == len(kept), fst.final[links.graph_states], np.inf).astype(np.float64),
            sources=links.sources,
            targets=links.targets,
            labels=labels,
            # A token lasts on the loops of the graph.
            begins=emits & (labels != label(self.blank_id)) & (self.arc_sources[arcs] != fst.next_states[arcs]),
            words=fst.olabels[arcs],
            acoustic=acoustic,
            graph=-fst.costs[arcs].astype(np.float64),
        )
        return lattice if self.models is None else lattice.rescored(*self.models)

    def _searched(self, log_probs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The frames that are searched, and their log-probabilities with those of the blanks that follow added."""
        if self.config.skip_blanks is None:
            return np.arange(len(log_probs)), log_probs
        blanks = log_probs[:, self.blank_id]
        silent = blanks >= math.log(self.config.skip_blanks)
        skipped = silent & np.append(False, silent)[:-1]  # one of a row stays, to part equal tokens
        kept = np.flatnonzero(~skipped)
        return kept, log_probs[kept] + np.add.reduceat(np.where(skipped, blanks, 0.0), kept)[:, None]

    def _links(self, rows: np.ndarray) -> token_passing.Links:
        options, costs = self.config, -self.config.acoustic_scale * rows
        # The compiled search reads by label, unchecked; a label that is not scored is impossible.
        costs = np.pad(costs, ((0, 0), (0, max(0, self.vocabulary.size - rows.shape[1]))), constant_values=np.inf)
        beams = [(options.beam * 2**k, options.max_active * 2**k) for k in range(WIDENINGS)]
        for beam, max_active in [*beams, (math.inf, self.fst.num_states)]:
            links = token_passing.search(self.arrays, costs, beam, max_active, options.lattice_beam)
            if links is not None:
                return links
        raise UtteranceError(
            0,
            f"expected a path of {len(rows)} frames through the graph {options.graph}, got none: the network rules out all of "
            f"its sentences, or they are longer; look at the lexicon, or take search.graph={TOKENS}",
        )

    def _hypothesis(self, path: LatticePath, lattice: Lattice, log_probs: np.ndarray) -> Hypothesis:
        links = path.links
        end = lattice.final[lattice.targets[links[-1]] if len(links) else 0]
        scores = {"ctc": float(lattice.acoustic[links].sum()), "graph": float(lattice.graph[links].sum() + end)}
        spoken = links[lattice.labels[links] > 0]
        labels, begins, frames = lattice.labels[spoken], lattice.begins[spoken], lattice.frames[lattice.sources[spoken]]
        first = np.flatnonzero(begins)
        ends = np.append(np.flatnonzero(begins | (labels == label(self.blank_id))), len(labels))
        last = ends[np.searchsorted(ends, first, side="right")] - 1
        tokens, times = (labels[first] - 1).tolist(), list(zip(frames[first].tolist(), (frames[last] + 1).tolist()))
        peaks = [min(1.0, math.exp(log_probs[a:b, token].max())) for (a, b), token in zip(times, tokens)]
        if self.graph is None:
            return Hypothesis(tokens, path.score, {"ctc": scores["ctc"]}, times, peaks)
        words = self.graph.words(lattice.words[links])
        return Hypothesis(tokens, path.score, scores, times, peaks, self.graph.spellings.segment(words, tokens))


def _each(function: Callable[[np.ndarray], T], utterances: Sequence[np.ndarray]) -> list[T]:
    """What a function of one utterance gives for each; its errors get the utterance's number in the batch."""
    found = []
    for index, utterance in enumerate(utterances):
        try:
            found.append(function(utterance))
        except UtteranceError as error:
            raise UtteranceError(index, error.problem) from None
    return found
