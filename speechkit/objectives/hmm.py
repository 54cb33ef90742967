"""The DNN-HMM hybrid: cross entropy of HMM states against an alignment that the network makes itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field, field_validator
from safetensors.torch import save_file
from torch import Tensor, nn

from speechkit.config import Choice
from speechkit.data.batch import Targets
from speechkit.graphs.aligner import NO_PATH, Alignment
from speechkit.graphs.ngram_estimation import estimate
from speechkit.graphs.segments import Chains, best_chain_path
from speechkit.models.decoder.base import Decoder
from speechkit.models.decoder.hmm import Hmm
from speechkit.objectives.base import Objective
from speechkit.utils.lens import pad_stack, padding_mask

BIGRAM = "bigram.safetensors"


class HmmObjective(Objective, name="hmm"):
    """A DNN-HMM hybrid: ``-sum_t log p(state_t | frame t)`` with the states of the likeliest path of the transcript
    (embedded training).

    The path is found anew in every batch, by Viterbi under posteriors divided by priors, through the states of the
    tokens in order with optional silence around them. In the first batches frames are dealt out equally instead,
    as HMM systems start (flat start). Transitions all have the probability 1/2, which every path pays alike.

    The network is no distribution over transcripts, so this is the only objective here whose loss is none of them.
    """

    class Config(Objective.Config):
        """Options of the hybrid."""

        decoder: Choice[Decoder] = Hmm.Config()
        """The network from encoder output to posteriors of states, with the priors."""
        flat_batches: int = Field(100, ge=0)
        """Batches that the network learns from equal segments before it aligns them itself."""

        @field_validator("decoder")
        @classmethod
        def _has_states(cls, decoder: Decoder.Config) -> Decoder.Config:
            if isinstance(decoder, Hmm.Config):
                return decoder
            raise ValueError(f"decoder: expected hmm, which has the states that the objective aligns, got {decoder.name}")

    def nats(self, decoder: nn.Module, encoder_out: Tensor, encoder_out_lens: Tensor, targets: Targets) -> Tensor:
        """The cross entropies (B,) in nats, float32 (float64 where the decoder gives that); 0 where there is no path."""
        self.check_tokens(targets)
        log_posteriors, chains = decoder(encoder_out), self._chains(targets)
        fits = encoder_out_lens >= chains.least_frames()
        within = ~padding_mask(encoder_out_lens, encoder_out.shape[1]) & fits.unsqueeze(1)
        with torch.no_grad():
            if decoder.num_batches < self.config.flat_batches:
                places = _equal_segments(chains, encoder_out_lens, encoder_out.shape[1])
            else:
                _, places = best_chain_path(decoder.likelihoods(log_posteriors), None, encoder_out_lens, chains)
            states = chains.labels.gather(1, places)
            if decoder.training:
                decoder.count(states[within])
        chosen = log_posteriors.gather(2, states.unsqueeze(2)).squeeze(2)
        return -chosen.where(within, 0.0).sum(1)

    def alignable(self, encoder_out_lens: Tensor, targets: Targets) -> Tensor:
        """(B,) bool: whether there is a frame for each state of the tokens."""
        return encoder_out_lens >= targets.token_lens * self.config.decoder.states_per_token

    def _chains(self, targets: Targets) -> Chains:
        """The states of the transcripts in order, with optional silence before and after each token."""
        each, silence = self.config.decoder.states_per_token, self.vocabulary.blank_id * self.config.decoder.states_per_token
        offsets = torch.arange(each, device=targets.tokens.device)
        rows = []
        for tokens, length in zip(targets.tokens, targets.token_lens.tolist()):
            states = (tokens[:length, None] * each + offsets).flatten()
            after = F.pad(states.view(length, each), (0, 1), value=silence).flatten()
            rows.append(F.pad(after, (1, 0), value=silence))
        labels, lens = pad_stack(rows)
        return Chains(labels, labels == silence, lens.to(labels.device))

    def fit(self, transcripts: Iterable[Sequence[int]], folder: Path) -> None:
        """Write the bigram over tokens that the search goes by, (V, V) log p(next | token), the last row after ``<s>``."""
        model = estimate(transcripts, self.vocabulary, order=2, smoothing="witten_bell")
        states = [model.state([token]) for token in range(self.vocabulary.size)]
        folder.mkdir(parents=True, exist_ok=True)
        save_file({"log_probs": torch.from_numpy(model.graph.rows(np.array(states)))}, folder / BIGRAM)

    def load(self, folder: Path) -> None:
        """See that the bigram is there, which searches read."""
        self.check_fitted(folder, {BIGRAM: "a bigram"})

    @torch.no_grad()
    def align(
        self, decoder: nn.Module, encoder_out: Tensor, encoder_out_lens: Tensor, targets: Targets
    ) -> list[Alignment]:
        """The likeliest states of each transcript; see :meth:`Objective.align`. Silence belongs to no token."""
        self.check_tokens(targets)
        log_posteriors, chains = decoder(encoder_out), self._chains(targets)
        scores, places = best_chain_path(decoder.likelihoods(log_posteriors), None, encoder_out_lens, chains)
        peaks = log_posteriors.gather(2, chains.labels.gather(1, places).unsqueeze(2)).squeeze(2).exp()
        per_token = self.config.decoder.states_per_token + 1
        found = []
        for b, (score, length, num_tokens) in enumerate(
            zip(scores.tolist(), encoder_out_lens.tolist(), targets.token_lens.tolist())
        ):
            # Places of token u are those from 1 + u * per_token on; the last of the group is the silence after it.
            owner = (places[b, :length] - 1).div(per_token, rounding_mode="floor")
            spoken = ~chains.optional[b][places[b, :length]]
            spans = [torch.nonzero(spoken & (owner == u)).flatten().tolist() for u in range(num_tokens)]
            times = [(frames[0], frames[-1] + 1) for frames in spans if frames]
            confidences = [float(peaks[b, first:last].max()) for first, last in times]
            found.append(Alignment(score, times, confidences) if score > -torch.inf else NO_PATH)
        return found


def _equal_segments(chains: Chains, lens: Tensor, num_frames: int) -> Tensor:
    """(B, S) places in the chains: all labels, the optional ones too, as long as each other, as far as the frames go round.

    Where there are fewer frames than labels, the optional ones are left out.
    """
    rows = []
    for optional, size, length in zip(chains.optional, chains.lens.tolist(), lens.tolist()):
        used = torch.arange(size, device=lens.device)
        if length < size:
            used = used[~optional[:size]]
        frames = torch.arange(length, device=lens.device)
        rows.append(used[(frames * len(used)).div(max(length, 1), rounding_mode="floor")] if len(used) else frames * 0)
    places, _ = pad_stack(rows, 0)
    return F.pad(places, (0, num_frames - places.shape[1]))
