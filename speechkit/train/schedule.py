"""Learning-rate schedules: pure functions of the step (and the epoch), so that resuming needs no state."""

from __future__ import annotations

import math
from abc import abstractmethod

from speechkit.config import Component, ComponentConfig


class Schedule(Component, kind="schedule"):
    """A factor in [0, 1] that multiplies the optimizer's peak learning rate.

    Args:
        config: The chosen schedule's options.
        total_steps: Optimizer steps in the whole run, as far as it can be known.
    """

    def __init__(self, config: ComponentConfig, total_steps: int) -> None:
        self.config, self.total_steps = config, max(1, total_steps)

    @abstractmethod
    def factor(self, step: int, epoch: float) -> float:
        """The factor for the update that makes ``step`` (1 is the first); ``epoch`` counts from 0, with fractions."""


class Constant(Schedule, name="constant"):
    """Always the peak."""

    def factor(self, step: int, epoch: float) -> float:
        return 1.0


class Noam(Schedule, name="noam"):
    """Linear warm-up, then the inverse square root of the step (Vaswani et al. 2017, equation 3), peak scaled to 1."""

    class Config(ComponentConfig):
        warmup_steps: int = 5000
        """Steps until the peak."""

    def factor(self, step: int, epoch: float) -> float:
        warmup = max(1, self.config.warmup_steps)
        return min(step / warmup, math.sqrt(warmup / max(step, 1)))


class WarmupCosine(Schedule, name="warmup_cosine"):
    """Linear warm-up, then half a cosine down to ``final`` at the last step (Loshchilov and Hutter 2017)."""

    class Config(ComponentConfig):
        warmup: float = 0.1
        """Share of all steps spent warming up."""
        final: float = 0.01
        """Factor at the end."""

    def factor(self, step: int, epoch: float) -> float:
        warmup = max(1.0, self.config.warmup * self.total_steps)
        if step < warmup:
            return step / warmup
        progress = min(1.0, (step - warmup) / max(1.0, self.total_steps - warmup))
        return self.config.final + (1 - self.config.final) * 0.5 * (1 + math.cos(math.pi * progress))


class Eden(Schedule, name="eden"):
    """Decays with both steps and epochs: ((s²+S²)/S²)^-1/4 · ((e²+E²)/E²)^-1/4, after a short linear warm-up from 1/2.

    Yao et al. 2024 (Zipformer), equation 9.
    """

    class Config(ComponentConfig):
        steps: float = 7500.0
        """S: the step scale at which the decay sets in."""
        epochs: float = 3.5
        """E: the epoch scale at which the decay sets in."""
        warmup_steps: int = 500
        """Steps over which the factor grows from one half to its full value."""

    def factor(self, step: int, epoch: float) -> float:
        c = self.config
        warmup = min(1.0, 0.5 + 0.5 * step / max(1, c.warmup_steps))
        by_step = ((step**2 + c.steps**2) / c.steps**2) ** -0.25
        by_epoch = ((epoch**2 + c.epochs**2) / c.epochs**2) ** -0.25
        return warmup * by_step * by_epoch
