"""CTC-CRF: a conditional random field over the paths of CTC, with an n-gram model of tokens in it."""

from __future__ import annotations

from torch import Tensor

from speechkit.data.batch import Targets
from speechkit.objectives.ctc import CtcObjective
from speechkit.objectives.denominator import DenominatorObjective


class CtcCrfObjective(DenominatorObjective, CtcObjective, name="ctc_crf"):
    """CTC that normalises whole paths, not frames: ``-log p(tokens | x)`` with ``p(path | x) = exp(score(path)) / sum over
    all paths of exp(score)`` (Xiang and Ou 2019, eq. 4 to 6).

    CTC takes the tokens to be independent of each other given the audio; here a path is as likely as its sequence of
    tokens is, too. With an n-gram model that gives all sequences the same weight it is ``1 + lamb`` times CTC. The
    likeliest paths are found by the search ``graph_viterbi``; the searches of CTC can be used as well.
    """

    class Config(DenominatorObjective.Config, CtcObjective.Config):
        """Options of CTC-CRF."""

    topology = "ctc"

    def numerator(self, log_probs: Tensor, encoder_out_lens: Tensor, targets: Targets) -> Tensor:
        """See :meth:`DenominatorObjective.numerator`: minus the loss of CTC, 0 where there is no path."""
        return -CtcObjective.nats(self, lambda scores: scores, log_probs, encoder_out_lens, targets)
