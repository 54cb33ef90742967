"""Durations as random numbers: the stochastic duration predictor of VITS."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from speechkit.nn.flow import ElementwiseAffine, Flip, Flow, FlowSequence, Log, zero_padding
from speechkit.nn.gaussian import draw_noise
from speechkit.nn.separable_conv import DilatedSeparableConv
from speechkit.nn.spline_coupling import SplineCoupling
from speechkit.nn.variance_predictor import VariancePredictor, durations_from_logs, log_durations
from speechkit.utils.lens import padding_mask

MOST = 1000  # frames of a token: a predictor that has not learned much yet may ask for more than there is memory


class StochasticDurationPredictor(nn.Module):
    """A distribution over whole durations d, so that a voice does not always speak with the same rhythm (Kim et al., 2021,
    VITS, arXiv:2106.06103, section 2.2.2 and appendix B.2).

    A flow maps ``(log(d - u), v)`` to noise; u in (0, 1) makes the duration a real number (variational dequantization), v
    widens it (variational augmentation), as one number cannot go through couplings. A second flow draws u and v given d::

        log p(d | c) >= E_{q(u, v | d, c)} [ log p(d - u, v | c) - log q(u, v | d, c) ]                              (5)

    A duration is then ``ceil`` of what is drawn, as ``d - u`` lies between d - 1 and d.

    Args:
        in_dim: Channels D of the tokens' encodings.
        hidden_dim: Channels of all networks.
        kernel_size: Their taps, odd.
        num_layers: Layers of each.
        num_flows: Spline couplings of each flow.
        num_bins: Pieces of each spline.
        bound: Where splines become the identity.
        dropout: Of the networks that read the encodings and the durations.
    """

    def __init__(
        self,
        in_dim: int,
        hidden_dim: int = 192,
        kernel_size: int = 3,
        num_layers: int = 3,
        num_flows: int = 4,
        num_bins: int = 10,
        bound: float = 5.0,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()

        def couplings() -> list[Flow]:
            shape = (2, hidden_dim, kernel_size, num_layers, num_bins, bound)
            return [ElementwiseAffine(2), *(flow for _ in range(num_flows) for flow in (SplineCoupling(*shape), Flip()))]

        self.text = _Network(in_dim, hidden_dim, kernel_size, num_layers, dropout)
        self.heard = _Network(1, hidden_dim, kernel_size, num_layers, dropout)
        self.log = Log()
        self.flow = FlowSequence(couplings())
        self.posterior = FlowSequence(couplings())

    def forward(self, x: Tensor, x_lens: Tensor, durations: Tensor) -> Tensor:
        """How unlikely durations are.

        Args:
            x: (B, U, D) encodings of the tokens.
            x_lens: (B,) int64.
            durations: (B, U) frames, at least 1; what lies at padding does not matter.

        Returns:
            (B,) nats of each utterance's durations, float32 at least: an estimate, from one draw of u and v, of an upper
            bound of ``-log p(d | c)``.
        """
        padding = padding_mask(x_lens, x.shape[1])
        cond = self.text(x, padding)
        durations = zero_padding(durations.to(x.dtype).unsqueeze(2), padding)
        u, v, log_posterior = self._draw(durations, cond, padding)
        log_duration, log_det = self.log(durations - u, padding)
        z, flow_log_det = self.flow(torch.cat([log_duration, v], dim=2), padding, cond)
        return -_log_normal(z, padding) - log_det - flow_log_det + log_posterior

    def _draw(self, durations: Tensor, cond: Tensor, padding: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """u and v, (B, U, 1) each, and ``log q(u, v | d, c)`` (B,)."""
        noise = zero_padding(torch.randn_like(cond[..., :2]), padding)
        drawn, log_det = self.posterior(noise, padding, cond + self.heard(durations, padding))
        logit, v = drawn.split(1, dim=2)
        squashed = zero_padding(F.logsigmoid(logit) + F.logsigmoid(-logit), padding).sum((1, 2))  # log du / dlogit
        return logit.sigmoid(), v, _log_normal(noise, padding) - log_det - squashed

    def sample(
        self, x: Tensor, x_lens: Tensor, temperature: float = 1.0, generator: torch.Generator | None = None
    ) -> Tensor:
        """Draw durations.

        Args:
            x: (B, U, D).
            x_lens: (B,) int64.
            temperature: Deviation of the noise; VITS has 0.8.
            generator: Where random numbers come from; None for torch's own.

        Returns:
            (B, U) int64 frames, 1 to ``MOST``; 0 at padding.
        """
        padding = padding_mask(x_lens, x.shape[1])
        noise = temperature * draw_noise(x[..., :1].expand(-1, -1, 2), x_lens, generator)
        logs = self.flow.inverse(noise, padding, self.text(x, padding))[..., 0]
        return logs.double().exp().clamp(max=MOST).ceil().clamp(min=1).long().masked_fill(padding, 0)


class PlainDurationPredictor(nn.Module):
    """The same without chance: the logarithm of a duration is a Gaussian of deviation 1, of which speech takes the mean.

    Its nats per token are half the squared error that Glow-TTS and VITS' plain variant have, and ``log(2 pi) / 2``.

    Args:
        in_dim: Channels D of the tokens' encodings.
        hidden_dim: Channels of the convolutions.
        num_layers: Convolutions.
        kernel_size: Their taps.
        dropout: Dropout probability.
    """

    def __init__(
        self, in_dim: int, hidden_dim: int = 256, num_layers: int = 2, kernel_size: int = 3, dropout: float = 0.5
    ) -> None:
        super().__init__()
        self.predictor = VariancePredictor(in_dim, hidden_dim, num_layers, kernel_size, dropout)

    def forward(self, x: Tensor, x_lens: Tensor, durations: Tensor) -> Tensor:
        """See :meth:`StochasticDurationPredictor.forward`; exact."""
        error = self.predictor(x, x_lens) - log_durations(durations, "log")
        return -_log_normal(error.unsqueeze(2), padding_mask(x_lens, x.shape[1]))

    def sample(
        self, x: Tensor, x_lens: Tensor, temperature: float = 1.0, generator: torch.Generator | None = None
    ) -> Tensor:
        """See :meth:`StochasticDurationPredictor.sample`; always the same, rounded to nearest."""
        return durations_from_logs(self.predictor(x, x_lens), x_lens, domain="log", minimum=1, maximum=MOST)


class _Network(nn.Module):
    """A projection, dilated separable convolutions, and a projection."""

    def __init__(self, in_dim: int, dim: int, kernel_size: int, num_layers: int, dropout: float) -> None:
        super().__init__()
        self.start = nn.Linear(in_dim, dim)
        self.conv = DilatedSeparableConv(dim, kernel_size, num_layers, dropout)
        self.end = nn.Linear(dim, dim)

    def forward(self, x: Tensor, padding: Tensor) -> Tensor:
        return zero_padding(self.end(self.conv(self.start(x), padding)), padding)


def _log_normal(z: Tensor, padding: Tensor) -> Tensor:
    """(B,) log-density of the valid frames of standard normal ``z`` (B, U, D)."""
    z = z.to(torch.promote_types(z.dtype, torch.float32))
    return -0.5 * zero_padding(math.log(2 * math.pi) + z.square(), padding).sum((1, 2))
