"""Distributions of one sample, from the numbers that a network gives for it.

Each has ``width`` (numbers per sample), ``inputs(wav)`` (what a network hears of the samples before) and ``nats(params, wav)``.
They are drawn from in :mod:`speechkit.nn.sample_kernels`, with two random numbers a sample, which :meth:`draw_noise` makes.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from speechkit.nn.mu_law import mu_law_encode

LEVELS = 65536  # of 16 bits
QUIETEST = 1 / 32768  # from one level to the next


class SampleOutput:
    """What all share.

    Attributes:
        width: P, numbers that the network gives for each sample.
        num_inputs: I, numbers that it hears of a sample.
    """

    width: int
    num_inputs: int = 1

    def inputs(self, wav: Tensor) -> Tensor:
        """(..., I) in [-1, 1] of samples (...)."""
        return wav.clamp(-1.0, 1.0).unsqueeze(-1)

    def nats(self, params: Tensor, wav: Tensor) -> Tensor:
        """Minus the log-probability (B, L) of samples (B, L), float32 at least, given ``params`` (B, L, P)."""
        raise NotImplementedError

    def draw_noise(self, length: int, like: Tensor, generator: torch.Generator | None) -> Tensor:
        """(length, 2) on the CPU: what decides each sample."""
        return _uniform(length, 2, like, generator)


class MuLawOutput(SampleOutput):
    """A softmax over ``2^bits`` mu-law codes (van den Oord et al., 2016, arXiv:1609.03499, section 2.2).

    Args:
        bits: Per sample.
    """

    def __init__(self, bits: int) -> None:
        self.bits, self.width = bits, 2**bits

    def codes(self, wav: Tensor) -> Tensor:
        """int64 codes of samples, of the same shape."""
        return mu_law_encode(wav, self.width - 1)

    def inputs(self, wav: Tensor) -> Tensor:
        """The codes on the companded scale; see :meth:`SampleOutput.inputs`."""
        return (2 * self.codes(wav).to(wav.dtype) / (self.width - 1) - 1).unsqueeze(-1)

    def nats(self, params: Tensor, wav: Tensor) -> Tensor:
        """Of the codes; see :meth:`SampleOutput.nats`."""
        return _cross_entropy(params, self.codes(wav))


class CoarseFineOutput(SampleOutput):
    """16 bits as two bytes, a softmax each: the coarse one, then the fine one given it (Kalchbrenner et al., 2018,
    arXiv:1802.08435, section 2.1).

    ``params`` are the coarse logits and then the fine ones, which know the coarse byte of their own sample.
    """

    width, num_inputs = 512, 2

    def inputs(self, wav: Tensor) -> Tensor:
        """Both bytes; see :meth:`SampleOutput.inputs`."""
        return torch.stack(split_bytes(wav), dim=-1).to(wav.dtype) / 127.5 - 1

    def nats(self, params: Tensor, wav: Tensor) -> Tensor:
        """Of both bytes; see :meth:`SampleOutput.nats`."""
        coarse, fine = split_bytes(wav)
        return _cross_entropy(params[..., :256], coarse) + _cross_entropy(params[..., 256:], fine)


class MixtureOutput(SampleOutput):
    """K components, each a weight, a mean and a log-scale. A sample is ``mean + scale * e`` of one of them.

    Args:
        num_components: K.
    """

    log_scale_floor: float

    def __init__(self, num_components: int) -> None:
        self.num_components, self.width = num_components, 3 * num_components

    def nats(self, params: Tensor, wav: Tensor) -> Tensor:
        """See :meth:`SampleOutput.nats`."""
        params = params.to(torch.promote_types(params.dtype, torch.float32))
        logits, means, log_scales = params.chunk(3, dim=-1)
        each = self.log_probs(wav.unsqueeze(-1).to(params.dtype), means, log_scales.clamp(min=self.log_scale_floor))
        return -torch.logsumexp(logits.log_softmax(-1) + each, dim=-1)

    def log_probs(self, wav: Tensor, means: Tensor, log_scales: Tensor) -> Tensor:
        """(..., K) of samples (..., 1) under each component."""
        raise NotImplementedError

    def draw_noise(self, length: int, like: Tensor, generator: torch.Generator | None) -> Tensor:
        """A uniform number that chooses the component, and an e; see :meth:`SampleOutput.draw_noise`."""
        return torch.cat([_uniform(length, 1, like, generator), self.draw_unit(length, like, generator)], dim=1)

    def draw_unit(self, length: int, like: Tensor, generator: torch.Generator | None) -> Tensor:
        """(length, 1) of the component with mean 0 and scale 1."""
        raise NotImplementedError


class LogisticsOutput(MixtureOutput):
    """A mixture of logistic distributions over the 65536 levels of 16 bits (Salimans et al., 2017, PixelCNN++, eq. 2; for
    samples in van den Oord et al., 2018, Parallel WaveNet, section 2.1).

    A level has the probability of the numbers nearest to it, the outermost two of all beyond them: all add up to 1.
    """

    log_scale_floor = -12.0  # a component that is narrower than a level says no more

    def log_probs(self, wav: Tensor, means: Tensor, log_scales: Tensor) -> Tensor:
        """See :meth:`MixtureOutput.log_probs`."""
        wav = _levels(wav).to(wav.dtype) * QUIETEST - 1
        half = 0.5 * QUIETEST * (-log_scales).exp()
        place = (wav - means) * (-log_scales).exp()
        above_lower, below_upper = F.logsigmoid(half - place), F.logsigmoid(place + half)
        # s(a) - s(b) = s(a) s(-b) (1 - e^(b - a)), which does not cancel.
        inner = below_upper + above_lower + torch.log(-torch.expm1(-2 * half))
        return torch.where(wav <= -1, below_upper, torch.where(wav >= 1 - QUIETEST, above_lower, inner))

    def draw_unit(self, length: int, like: Tensor, generator: torch.Generator | None) -> Tensor:
        """See :meth:`MixtureOutput.draw_unit`."""
        return torch.logit(_uniform(length, 1, like, generator), eps=1e-7)


class GaussiansOutput(MixtureOutput):
    """A mixture of Gaussians; with one component that of ClariNet (Ping et al., 2019, arXiv:1807.07281, section 3.1).

    A density: nats may be negative, and are not to be compared with those of codes.
    """

    log_scale_floor = -9.0  # as in ClariNet: digital silence would make the density infinite

    def log_probs(self, wav: Tensor, means: Tensor, log_scales: Tensor) -> Tensor:
        """See :meth:`MixtureOutput.log_probs`."""
        distance = (wav - means) * (-log_scales).exp()
        return -0.5 * (distance.square() + math.log(2 * math.pi)) - log_scales

    def draw_unit(self, length: int, like: Tensor, generator: torch.Generator | None) -> Tensor:
        """See :meth:`MixtureOutput.draw_unit`."""
        return _random(torch.randn, length, 1, like, generator)


def split_bytes(wav: Tensor) -> tuple[Tensor, Tensor]:
    """The coarse and the fine byte, int64 in [0, 256), of samples of any shape rounded to 16 bits."""
    levels = _levels(wav)
    return levels // 256, levels % 256


def join_bytes(coarse: Tensor, fine: Tensor) -> Tensor:
    """The samples, multiples of 1 / 32768 in [-1, 1), that :func:`split_bytes` took apart."""
    return (coarse * 256 + fine).to(torch.get_default_dtype()) * QUIETEST - 1


def _levels(wav: Tensor) -> Tensor:
    return ((wav * 32768).round().clamp(-32768, 32767) + 32768).long()


def _cross_entropy(logits: Tensor, codes: Tensor) -> Tensor:
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return F.cross_entropy(logits.flatten(0, -2), codes.flatten(), reduction="none").view(codes.shape)


def _uniform(length: int, columns: int, like: Tensor, generator: torch.Generator | None) -> Tensor:
    return _random(torch.rand, length, columns, like, generator)


def _random(draw: object, length: int, columns: int, like: Tensor, generator: torch.Generator | None) -> Tensor:
    # Where the generator is: a network on a GPU says the same with a generator of the CPU as one on the CPU.
    device = "cpu" if generator is None else generator.device
    return draw(length, columns, generator=generator, dtype=like.dtype, device=device).cpu()
