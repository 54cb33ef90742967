"""Vocoders that say one sample after another: likelihoods of all samples at once, generation in a compiled loop."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor

from speechkit.config import ComponentConfig
from speechkit.models.vocoder.base import AutoregressiveVocoder
from speechkit.models.vocoder.folding import fold, unfold
from speechkit.nn.sample_output import SampleOutput

CHUNK = 2048  # samples whose conditions are projected together: few products, little memory


class SampleLoop:
    """The network of a :class:`SampleBySample` with its weights laid out for one step after another, on the CPU.

    On a GPU each step would wait for dozens of kernels to start; a CPU has the few numbers of a step in its caches. The
    products with conditions, which are known beforehand, are made for many samples at once.
    """

    def project(self, cond: Tensor) -> Tensor:
        """What the conditions (N, B, C) of N samples add in the layers: (N, B, W)."""
        raise NotImplementedError

    def start(self, rows: int) -> Any:
        """The state of ``rows`` utterances before their first sample."""
        raise NotImplementedError

    def run(
        self, state: Any, first: int, projected: np.ndarray, noise: np.ndarray, lens: np.ndarray, out: np.ndarray
    ) -> None:
        """Say the next N samples.

        Args:
            state: Of :meth:`start`, changed in place.
            first: How many samples there are already.
            projected: (N, B', W), of the B' <= B first utterances; those behind have come to their end.
            noise: (B, L, 2), see :meth:`speechkit.nn.sample_output.SampleOutput.draw_noise`.
            lens: (B,) samples of each utterance, falling.
            out: (B, L), where the samples go.
        """
        raise NotImplementedError


class SampleBySample(AutoregressiveVocoder):
    """What WaveNet and WaveRNN share. A subclass sets ``output`` and ``cond_dim`` (C) and implements three methods."""

    class Config(ComponentConfig):
        """Options of all vocoders that say one sample after another."""

        fold_frames: int = Field(0, ge=0)
        """Say long utterances in pieces of so many frames side by side, which is faster, but each piece begins without a
        memory; 0: in one piece."""
        overlap_frames: int = Field(5, ge=1)
        """Frames that two pieces share: half of them to begin with, unheard, half to fade from one to the other."""

        @model_validator(mode="after")
        def _pieces_move_on(self) -> Self:
            if 0 < self.fold_frames <= self.overlap_frames:
                raise ValueError(
                    f"fold_frames: expected more than overlap_frames {self.overlap_frames}, or 0, got {self.fold_frames}"
                )
            return self

    output: SampleOutput
    cond_dim: int

    def condition(self, feats: Tensor) -> Tensor:
        """Conditions (B, L, C) of each sample, of features (B, T, F) without padding, T >= 1."""
        raise NotImplementedError

    def predict(self, cond: Tensor, wav: Tensor) -> Tensor:
        """Parameters (B, L, P) of each sample's distribution, given conditions (B, L, C) and the samples before it.

        Args:
            cond: Of :meth:`condition`.
            wav: (B, L), the samples themselves.
        """
        raise NotImplementedError

    def make_loop(self) -> SampleLoop:
        """The loop with the weights of this moment."""
        raise NotImplementedError

    def forward(self, feats: Tensor, wav: Tensor) -> Tensor:
        """Nats (B, T * hop_length); see :meth:`AutoregressiveVocoder.forward`."""
        return self.output.nats(self.predict(self.condition(feats), wav), wav)

    @torch.inference_mode()
    def generate(self, feats: Tensor, feat_lens: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Speak a batch, all utterances side by side; see :meth:`Vocoder.generate`."""
        hop = self.given.hop_length
        out = torch.zeros(len(feats), feats.shape[1] * hop)
        pieces, noise, spans = [], [], []
        for each, length in zip(feats, feat_lens.tolist(), strict=True):
            cond = self._condition_one(each[:length])
            spans.append(fold(len(cond), self.config.fold_frames * hop, self.config.overlap_frames * hop))
            pieces += [cond[start:end] for start, end in spans[-1]]
            noise += [self.output.draw_noise(end - start, cond, generator) for start, end in spans[-1]]
        wavs = iter(self._say(pieces, noise))
        for row, bounds in zip(out, spans):
            wav = unfold([next(wavs) for _ in bounds], bounds)
            row[: len(wav)] = wav
        return out.to(feats), feat_lens * hop

    def speak(self, feats: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Samples of one utterance; see :meth:`Vocoder.speak`."""
        return self.generate(feats.unsqueeze(0), torch.tensor([len(feats)]), generator)[0][0]

    def _condition_one(self, feats: Tensor) -> Tensor:
        """Conditions (L, C) of one utterance (T, F) by itself, on the CPU, float32 at least."""
        cond = self.condition(feats.unsqueeze(0))[0] if len(feats) else feats.new_zeros(0, self.cond_dim)
        return cond.to("cpu", torch.promote_types(cond.dtype, torch.float32))

    def _say(self, conds: list[Tensor], noise: list[Tensor]) -> list[Tensor]:
        """Samples (L_i,) of conditions (L_i, C); the rows are shared out among threads."""
        order = sorted(range(len(conds)), key=lambda i: -len(conds[i]))
        threads = max(1, min(torch.get_num_threads(), len(order)))
        groups = [order[first::threads] for first in range(threads)]
        loop, wavs = self.make_loop(), [conds[0].new_zeros(0) if conds else torch.zeros(0)] * len(conds)

        def one(group: list[int]) -> None:
            said = _run(loop, [conds[i] for i in group], [noise[i] for i in group])
            for i, wav in zip(group, said):
                wavs[i] = wav

        if threads == 1:
            one(order)
        else:
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(one, groups))
        return wavs


@torch.inference_mode()  # which holds for its own thread only
def _run(loop: SampleLoop, conds: list[Tensor], noise: list[Tensor]) -> list[Tensor]:
    """Samples of rows that are sorted by falling length."""
    lens = np.array([len(cond) for cond in conds], dtype=np.int64)
    if not len(lens) or not lens[0]:
        return [cond.new_zeros(0) for cond in conds]
    padded = torch.nn.utils.rnn.pad_sequence(noise, batch_first=True).numpy()
    out = torch.zeros(len(conds), int(lens[0]), dtype=conds[0].dtype)
    state = loop.start(len(conds))
    for first in range(0, int(lens[0]), CHUNK):
        parts = [cond[first : first + CHUNK] for cond in conds if len(cond) > first]
        projected = loop.project(torch.nn.utils.rnn.pad_sequence(parts)).contiguous().numpy()
        loop.run(state, first, projected, padded, lens, out.numpy())
    return [row[:length] for row, length in zip(out, lens)]


def on_cpu(weight: Tensor) -> Tensor:
    """A weight without its gradient, in main memory, float32 at least."""
    return weight.detach().to("cpu", torch.promote_types(weight.dtype, torch.float32))


def as_array(weight: Tensor) -> np.ndarray:
    """The same for compiled loops: rows one behind the other."""
    return on_cpu(weight).contiguous().numpy()
