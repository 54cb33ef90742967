"""Monotone rational-quadratic splines: smooth invertible functions of one number, made of pieces."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

MIN_BIN = 1e-3  # share of the interval; keeps the slopes finite
MIN_SLOPE = 1e-3


class _Bins(NamedTuple):
    """The piece that each number lies in: where it begins and how large it is in x and in y, its slopes at both ends."""

    x: Tensor
    width: Tensor
    y: Tensor
    height: Tensor
    slope: Tensor
    next_slope: Tensor

    @property
    def delta(self) -> Tensor:
        """The mean slope."""
        return self.height / self.width

    @property
    def bend(self) -> Tensor:
        """``d_k + d_{k+1} - 2 delta``."""
        return self.slope + self.next_slope - 2 * self.delta


def rational_quadratic_spline(
    x: Tensor, widths: Tensor, heights: Tensor, slopes: Tensor, bound: float, inverse: bool = False
) -> tuple[Tensor, Tensor]:
    """The spline of Durkan et al. (2019, Neural spline flows, arXiv:1906.04032, section 3.1): K pieces on [-bound, bound],
    which it maps onto itself, and the identity outside.

    With ``xi`` in [0, 1] the place within piece k, ``delta_k`` its mean slope and ``d_k`` the slopes at the knots::

        y = y_k + h_k (delta xi^2 + d_k xi (1 - xi)) / (delta + (d_{k+1} + d_k - 2 delta) xi (1 - xi))         (4)
        dy/dx = delta^2 (d_{k+1} xi^2 + 2 delta xi (1 - xi) + d_k (1 - xi)^2) / (the same denominator)^2       (5)

    Widths and heights are softmaxes, the inner slopes softplus; the slopes at -bound and bound are 1.

    Args:
        x: Numbers of any shape (...).
        widths: (..., K) logits.
        heights: (..., K) logits.
        slopes: (..., K - 1); with all of them 0 the inner slopes are about ln 2, with ``ln(e - 1)`` about 1.
        bound: Where the identity begins.
        inverse: Whether to take y in ``x`` and give the x that it belongs to.

    Returns:
        The numbers (...), and ``ln dy/dx`` (...) of the direction taken: that of the inverse is less than 0 where it shrinks.
    """
    inside = (x >= -bound) & (x <= bound)
    edges_x, edges_y = _edges(widths, bound), _edges(heights, bound)
    slopes = F.pad(MIN_SLOPE + F.softplus(slopes), (1, 1), value=1.0)  # (..., K + 1)
    within = x.where(inside, 0.0)
    place = torch.searchsorted((edges_y if inverse else edges_x)[..., 1:-1].contiguous(), within.unsqueeze(-1), right=True)
    bins = _bins(edges_x, edges_y, slopes, place)
    if inverse:
        xi = _solve(within, bins)
        out = bins.x + xi * bins.width
    else:
        xi = (within - bins.x) / bins.width
        share = (bins.delta * xi.square() + bins.slope * xi * (1 - xi)) / (bins.delta + bins.bend * xi * (1 - xi))
        out = bins.y + bins.height * share
    log_slope = _log_slope(xi, bins)
    return out.where(inside, x), (-log_slope if inverse else log_slope).where(inside, 0.0)


def unit_slope() -> float:
    """What in ``slopes`` makes an inner slope exactly 1."""
    return math.log(math.expm1(1 - MIN_SLOPE))


def _edges(logits: Tensor, bound: float) -> Tensor:
    """Where the pieces begin and end: (..., K + 1) from -bound to bound, both exact."""
    shares = MIN_BIN + (1 - MIN_BIN * logits.shape[-1]) * logits.softmax(-1)
    inner = 2 * bound * shares[..., :-1].cumsum(-1) - bound
    return F.pad(F.pad(inner, (1, 0), value=-bound), (0, 1), value=bound)


def _bins(edges_x: Tensor, edges_y: Tensor, slopes: Tensor, place: Tensor) -> _Bins:
    def at(values: Tensor, index: Tensor) -> Tensor:
        return values.gather(-1, index).squeeze(-1)

    x, y = at(edges_x, place), at(edges_y, place)
    width, height = at(edges_x, place + 1) - x, at(edges_y, place + 1) - y
    return _Bins(x, width, y, height, at(slopes, place), at(slopes, place + 1))


def _solve(y: Tensor, bins: _Bins) -> Tensor:
    """The root xi in [0, 1] of ``a xi^2 + b xi + c = 0`` (equations 6 to 8), in the form that does not cancel."""
    rise = y - bins.y
    a = bins.height * (bins.delta - bins.slope) + rise * bins.bend
    b = bins.height * bins.slope - rise * bins.bend
    c = -bins.delta * rise
    discriminant = (b.square() - 4 * a * c).clamp(min=0.0)
    return 2 * c / (-b - discriminant.sqrt())


def _log_slope(xi: Tensor, bins: _Bins) -> Tensor:
    across = xi * (1 - xi)
    top = bins.next_slope * xi.square() + 2 * bins.delta * across + bins.slope * (1 - xi).square()
    return 2 * bins.delta.log() + top.log() - 2 * (bins.delta + bins.bend * across).log()
