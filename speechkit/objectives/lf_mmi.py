"""Lattice-free maximum mutual information: the transcript's paths against all paths, under an n-gram model of tokens."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from speechkit.config import ComponentConfig
from speechkit.data.batch import Targets
from speechkit.graphs.aligner import Alignment, utterances
from speechkit.graphs.forward_backward import total_score_of_each
from speechkit.graphs.graph_aligner import align_graph
from speechkit.graphs.label_graph import TOPOLOGIES, label_graphs, transcript_graph
from speechkit.objectives.denominator import DenominatorObjective
from speechkit.text.vocabulary import Vocabulary


class LfMmiObjective(DenominatorObjective, name="lf_mmi"):
    """Lattice-free maximum mutual information: ``-log p(tokens | x)`` with a sum over all token sequences in the
    denominator (Povey et al. 2016, section 2).

    Differs from the paper: a token is one unit without context, the numerator has all alignments of the transcript and
    no lattice of an older system, the n-gram model backs off, and utterances are whole, not cut into pieces.
    """

    class Config(DenominatorObjective.Config):
        """Options of LF-MMI."""

        topology: Literal["hmm", "chain", "ctc"] = "hmm"
        """Which labels a token's frames may have. `hmm`: its own in one frame or more; equal neighbours need nothing between
        them. `chain`: its own in the first frame and the blank in all others, as in the paper's figure 1, where the second
        label is one per token. `ctc`: as `hmm`, with a blank between equal neighbours. In all of them blanks, here also
        silence, may lie between tokens."""

        def check_search(self, search: ComponentConfig) -> None:
            """Rules of another topology would give other tokens, and say nothing of it."""
            other = search.component.topology
            if other not in (None, self.topology):
                raise ValueError(
                    f"name: expected graph_viterbi, which goes by lf_mmi's topology {self.topology}, got {search.name}, which "
                    f"goes by {other}'s; take graph_viterbi, let it read another objective, or train with topology: {other}"
                )

    def __init__(self, config: Config, *, vocabulary: Vocabulary) -> None:
        super().__init__(config, vocabulary=vocabulary)
        self.topology = config.topology

    def numerator(self, log_probs: Tensor, encoder_out_lens: Tensor, targets: Targets) -> Tensor:
        """See :meth:`DenominatorObjective.numerator`."""
        slots = [[[(0.0, row)]] for row in _transcripts(targets)]
        graphs = label_graphs(slots, TOPOLOGIES[self.topology], self.vocabulary.blank_id)
        totals = total_score_of_each(graphs, log_probs, encoder_out_lens)
        return totals.masked_fill(totals == -torch.inf, 0.0)  # where there is no path, there is no loss either

    @torch.no_grad()
    def align(
        self, decoder: nn.Module, encoder_out: Tensor, encoder_out_lens: Tensor, targets: Targets
    ) -> list[Alignment]:
        """The likeliest path of each transcript; see :meth:`Objective.align`."""
        self.check_tokens(targets)
        topology, blank = TOPOLOGIES[self.topology], self.vocabulary.blank_id
        graphs = (transcript_graph(row, topology, blank) for row in _transcripts(targets))
        return [align_graph(*each)[1] for each in zip(graphs, utterances(decoder(encoder_out), encoder_out_lens))]


def _transcripts(targets: Targets) -> list[list[int]]:
    return [row[:length] for row, length in zip(targets.tokens.tolist(), targets.token_lens.tolist())]
