"""Graph-based temporal classification: CTC for transcripts that are not certain."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from speechkit.data.batch import Slot, Targets
from speechkit.graphs.forward_backward import EachKernel, total_score_of_each
from speechkit.graphs.label_graph import TOPOLOGIES, LabelGraphs, label_graphs
from speechkit.objectives.base import Objective
from speechkit.objectives.ctc import CtcObjective
from speechkit.utils.utterances import UtteranceError


class GtcObjective(CtcObjective, name="gtc"):
    """Graph-based temporal classification: ``-log sum over Y of w(Y) p_CTC(Y | x)`` over all that may have been
    said (Moritz et al. 2021, equations 3 to 6).

    The sequences Y and their weights come from ``targets.alternatives``, an n-best list or a confusion network, as a graph
    of labels through which forward and backward pass once for all of them::

        alpha_t(g) = p_t(label g) * sum over arcs g' -> g of w * alpha_{t-1}(g')

    An utterance without alternatives has its transcript alone, and then the loss is that of CTC. Weights are taken as
    they are: weights that sum to one make the loss a negative log-probability. :meth:`align` places the transcript.

    Differs from the paper: blanks and repetitions are as in CTC, whatever graph there is.
    """

    class Config(Objective.Config):
        """Options of GTC."""

        kernel: EachKernel = "auto"
        """What computes it: `numba` (and `auto`) on the CPU even for networks on GPUs, `torch` where the network is."""

    def nats(self, decoder: nn.Module, encoder_out: Tensor, encoder_out_lens: Tensor, targets: Targets) -> Tensor:
        """The losses (B,) in nats, float32 (float64 where the decoder gives that); 0 where there is no path.

        Raises:
            UtteranceError: A transcript or an alternative holds the blank or an id outside of the vocabulary.
        """
        self.check_tokens(targets)
        graphs = self._graphs(targets)
        totals = total_score_of_each(graphs, decoder(encoder_out), encoder_out_lens, self.config.kernel)
        return -totals.masked_fill(totals == -torch.inf, 0.0)

    def alignable(self, encoder_out_lens: Tensor, targets: Targets) -> Tensor:
        """(B,) bool: whether the frames suffice for one of the alternatives."""
        needed = torch.from_numpy(self._graphs(targets).least_frames())
        return encoder_out_lens >= needed.to(encoder_out_lens.device)

    def check_tokens(self, targets: Targets) -> None:
        """Also of the alternatives; see :meth:`Objective.check_tokens`."""
        super().check_tokens(targets)
        possible = set(range(self.vocabulary.size)) - {self.vocabulary.blank_id}
        for index, slots in enumerate(targets.alternatives or []):
            wrong = {token for slot in slots for _, tokens in slot for token in tokens} - possible
            if wrong:
                raise UtteranceError(
                    index,
                    f"alternatives: expected token ids in [0, {self.vocabulary.size}) other than the blank "
                    f"{self.vocabulary.blank_id}, got {min(wrong)}; use the tokenizer of this model",
                )

    def _graphs(self, targets: Targets) -> LabelGraphs:
        slots: list[list[Slot]] | None = targets.alternatives
        if slots is None:
            rows = zip(targets.tokens.tolist(), targets.token_lens.tolist())
            slots = [[[(0.0, row[:length])]] for row, length in rows]
        return label_graphs(slots, TOPOLOGIES["ctc"], self.vocabulary.blank_id)
