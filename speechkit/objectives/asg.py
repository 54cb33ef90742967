"""The auto segmentation criterion: the paths of a transcript against all paths, without a blank."""

from __future__ import annotations

import torch
from pydantic import field_validator
from torch import Tensor, nn

from speechkit.config import Choice
from speechkit.data.batch import Targets
from speechkit.graphs.aligner import NO_PATH, Alignment
from speechkit.graphs.segments import Chains, all_paths_score, best_chain_path, chain_score
from speechkit.models.decoder.asg import Asg
from speechkit.models.decoder.base import Decoder
from speechkit.objectives.base import Objective
from speechkit.utils.lens import pad_stack


class AsgObjective(Objective, name="asg"):
    """Auto segmentation: ``log sum over all paths of exp(score) - log sum over the transcript's paths`` (Collobert et al.
    2016, equation 3).

    ``score(path) = sum_t f_t(path_t) + sum_t g(path_t, path_{t-1})`` with emissions f that are not normalised and trained
    transitions g: one distribution over whole paths, where CTC has one per frame. See :class:`Asg` for repeated tokens.
    """

    class Config(Objective.Config):
        """Options of ASG."""

        decoder: Choice[Decoder] = Asg.Config()
        """The network from encoder output to emissions, with the transitions."""

        @field_validator("decoder")
        @classmethod
        def _has_transitions(cls, decoder: Decoder.Config) -> Decoder.Config:
            if not isinstance(decoder, Asg.Config):
                raise ValueError(f"decoder: expected asg, whose transitions are a part of the objective, got {decoder.name}")
            return decoder

    def nats(self, decoder: nn.Module, encoder_out: Tensor, encoder_out_lens: Tensor, targets: Targets) -> Tensor:
        """The losses (B,) in nats, float32 (float64 where the decoder gives that); 0 where there is no path."""
        self.check_tokens(targets)
        emissions, chains = decoder(encoder_out), self._chains(targets)
        full = all_paths_score(emissions, decoder.transitions, encoder_out_lens)
        losses = full - chain_score(emissions, decoder.transitions, encoder_out_lens, chains)
        return losses.where(_fits(chains, encoder_out_lens), 0.0).to(emissions.dtype)

    def alignable(self, encoder_out_lens: Tensor, targets: Targets) -> Tensor:
        """(B,) bool: whether there is a frame for each token, and for each silence that has to part equal ones.

        An empty transcript has a path only where silence is a label.
        """
        return _fits(self._chains(targets), encoder_out_lens)

    def _chains(self, targets: Targets) -> Chains:
        """The labels that the transcripts go through."""
        build = _with_silence if self.config.decoder.between_equals == "silence" else _with_repeats
        rows = [row[:length] for row, length in zip(targets.tokens.tolist(), targets.token_lens.tolist())]
        built = [build(row, self.vocabulary.blank_id) for row in rows]
        labels, lens = pad_stack([torch.tensor([label for label, _ in chain], dtype=torch.int64) for chain in built])
        optional, _ = pad_stack([torch.tensor([can for _, can in chain], dtype=torch.bool) for chain in built], False)
        return Chains(*(each.to(targets.tokens.device) for each in (labels, optional, lens)))

    @torch.no_grad()
    def align(
        self, decoder: nn.Module, encoder_out: Tensor, encoder_out_lens: Tensor, targets: Targets
    ) -> list[Alignment]:
        """The best path of each transcript; see :meth:`Objective.align`. Confidences are the emissions' softmax."""
        self.check_tokens(targets)
        emissions, chains = decoder(encoder_out), self._chains(targets)
        scores, places = best_chain_path(emissions, decoder.transitions, encoder_out_lens, chains)
        probs, found = emissions.softmax(-1), []
        for b, (score, length) in enumerate(zip(scores.tolist(), encoder_out_lens.tolist())):
            path = chains.labels[b][places[b, :length]].tolist()
            found.append(_alignment(score, decoder.spell(path), path, probs[b]) if score > -torch.inf else NO_PATH)
        return found


def _fits(chains: Chains, encoder_out_lens: Tensor) -> Tensor:
    return (encoder_out_lens >= chains.least_frames()) & ((chains.lens > 0) | (encoder_out_lens == 0))


def _with_repeats(tokens: list[int], repeat: int) -> list[tuple[int, bool]]:
    """(label, whether it may be left out): every second one of equal tokens in a row becomes the repeat symbol."""
    labels: list[tuple[int, bool]] = []
    for i, token in enumerate(tokens):
        again = i > 0 and token == tokens[i - 1] and labels[-1][0] != repeat
        labels.append((repeat if again else token, False))
    return labels


def _with_silence(tokens: list[int], silence: int) -> list[tuple[int, bool]]:
    """(label, whether it may be left out): silence everywhere, which only equal tokens need between them."""
    labels = [(silence, True)]
    for i, token in enumerate(tokens):
        labels += [(token, False), (silence, tokens[i + 1 : i + 2] != [token])]
    return labels


def _alignment(score: float, spans: list[tuple[int, int, int]], path: list[int], probs: Tensor) -> Alignment:
    peaks = [float(probs[first:last, path[first]].max()) for _, first, last in spans]
    return Alignment(score, [(first, last) for _, first, last in spans], peaks)
