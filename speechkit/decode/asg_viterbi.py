"""The best path under emissions and transitions: the search of ASG."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from speechkit.config import ComponentConfig
from speechkit.decode.base import Hypothesis, NBest, Reads, Search, check_finite
from speechkit.graphs.segments import all_paths_score
from speechkit.models.decoder.asg import Asg

ASG = Reads(Asg, "has transitions, such as asg")


class AsgViterbiSearch(Search, name="asg_viterbi"):
    """Viterbi over the complete graph of labels (Collobert et al. 2016, section 2.4), exact, for the batch at once.

    ``score`` is that of the path less that of all paths: the log-probability of this one path, so that the hypotheses
    of different utterances can be compared.
    """

    class Config(ComponentConfig):
        """Options of the ASG search."""

        objective: str | None = None
        """Name of the objective whose decoder is read; null takes the first with ASG's decoder."""

    reads = (ASG,)

    def decode(self, decoders: Mapping[str, nn.Module], encoder_out: Tensor, encoder_out_lens: Tensor) -> NBest:
        """The one best hypothesis of each utterance.

        Raises:
            UtteranceError: An emission is not finite.
        """
        decoder = self.pick_decoder(decoders, ASG)
        emissions = decoder(encoder_out).detach()
        check_finite(emissions, encoder_out_lens, "emissions")
        scores, paths = best_path(emissions.double(), decoder.transitions.detach().double(), encoder_out_lens)
        scores = (scores - all_paths_score(emissions, decoder.transitions.detach(), encoder_out_lens)).tolist()
        probs = emissions.softmax(-1)
        lens = encoder_out_lens.tolist()
        return [[self._hypothesis(decoder, *each)] for each in zip(scores, map(Tensor.tolist, paths), lens, probs)]

    @staticmethod
    def _hypothesis(decoder: Asg, score: float, path: list[int], length: int, probs: Tensor) -> Hypothesis:
        spans = decoder.spell(path[:length])
        peaks = [float(probs[first:last, path[first]].max()) for _, first, last in spans]
        times = [(first, last) for _, first, last in spans]
        return Hypothesis([token for token, _, _ in spans], score, {"asg": score}, times, peaks)


def best_path(emissions: Tensor, transitions: Tensor, lens: Tensor) -> tuple[Tensor, Tensor]:
    """The best of all paths of labels.

    Args:
        emissions: (B, S, N).
        transitions: (N, N), of row after column.
        lens: (B,).

    Returns:
        Scores (B,), 0 without frames, and labels (B, S) int64, which mean nothing after the length of an utterance.
    """
    batch_size, num_frames, num_labels = emissions.shape
    best = emissions.new_zeros(batch_size, num_labels)
    came = torch.zeros(emissions.shape, dtype=torch.int64, device=emissions.device)
    for t in range(num_frames):
        before = best
        if t:
            before, came[:, t] = (best.unsqueeze(1) + transitions).max(2)
        best = (before + emissions[:, t]).where((t < lens).unsqueeze(1), best)
    scores, label = best.max(1)
    path = torch.zeros(batch_size, num_frames, dtype=torch.int64, device=emissions.device)
    for t in range(num_frames - 1, -1, -1):
        path[:, t] = label
        label = came[:, t].gather(1, label.unsqueeze(1)).squeeze(1).where(t < lens, label)
    return scores, path
