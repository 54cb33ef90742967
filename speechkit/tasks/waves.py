"""What tasks share that teach a network to make waveforms: a discriminator beside it, and losses between spectra."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from speechkit.config import Choice
from speechkit.features.base import Featurizer
from speechkit.models import discriminator as discriminators  # noqa: F401 - registers them
from speechkit.models.discriminator.base import Discriminator
from speechkit.objectives.adversarial import Adversarial, LeastSquares
from speechkit.objectives.spectral import MelLoss, WaveLoss
from speechkit.tasks.base import Task
from speechkit.train.task import Losses

RESERVED = ("loss", "discriminator", "discriminator_real", "discriminator_fake", "adversarial", "feature_matching")
"""Names in the log that are not free for objectives; those of ``wave_losses`` begin with ``wave.`` there."""


class WaveTask(Task):
    """A task whose network ``model`` may make waveforms, which the network ``discriminator`` then judges.

    A subclass calls :meth:`set_critic` in its constructor, after its network ``model`` has its weights.
    """

    class Config(Task.Config):
        """A network that may make waveforms."""

        discriminator: Choice[Discriminator] | None = None
        """What tells recordings from waveforms that are made; null for networks that are not trained against one."""
        adversarial: Choice[Adversarial] = LeastSquares.Config()
        """How the discriminator, and how the waveforms that it judges, are valued."""
        adversarial_from_step: int = Field(0, ge=0)
        """Optimizer steps before there is a discriminator; until then the other losses alone are minimised."""
        wave_losses: dict[str, Choice[WaveLoss]] = {"mel": MelLoss.Config()}
        """What else waveforms that are made are compared by with recordings; each has its weight."""

    config: Config
    device: torch.device
    step = 0

    def set_critic(self, featurizer: Featurizer, wanted: bool) -> None:
        """Make the discriminator, if it is ``wanted``, and the losses of waveforms."""
        config = self.config
        self.adversarial = config.adversarial.build()
        losses = {name: each.build(featurizer=featurizer) for name, each in config.wave_losses.items()} if wanted else {}
        self.wave_losses = nn.ModuleDict(losses).to(self.device)
        self.wave_weights = {f"wave.{name}": config.wave_losses[name].weight for name in losses}
        self.discriminator = config.discriminator.build().to(self.device) if wanted else None
        if self.discriminator is not None:
            self.networks["discriminator"] = self.discriminator

    @property
    def adversarial_begun(self) -> bool:
        """Whether the discriminator takes part already."""
        return self.discriminator is not None and self.step >= self.config.adversarial_from_step

    def critic_weights(self) -> dict[str, float]:
        """Of the losses of waveforms at this step."""
        return self.wave_weights | (self.adversarial.weights if self.adversarial_begun else {})

    def wave_turns(self, real: Tensor, fake: Tensor, others: Losses) -> Iterator[tuple[str, Losses]]:
        """The turn of the discriminator, and that of the network that made ``fake``.

        Args:
            real: (B, L) recordings.
            fake: (B, L) what was made for the same segments.
            others: Further losses (B,) of the second turn.
        """
        if self.adversarial_begun:
            yield "discriminator", self.adversarial.discriminator_losses(self.discriminator, real, fake)
        losses = others | self.wave_differences(real, fake)
        if self.adversarial_begun:
            losses |= self.adversarial.generator_losses(self.discriminator, real, fake)
        yield "model", losses

    def wave_differences(self, real: Tensor, fake: Tensor) -> Losses:
        """The losses (B,) of waveforms that need no discriminator."""
        return {f"wave.{name}": loss(fake, real) for name, loss in self.wave_losses.items()}

    @contextlib.contextmanager
    def fixed_draws(self) -> Iterator[None]:
        """Within, random numbers are the same each time, and those outside do not depend on how many are drawn."""
        with torch.random.fork_rng([self.device] if self.device.type == "cuda" else []):
            torch.manual_seed(self.config.seed)
            yield


def check_discriminator(config: WaveTask.Config, wanted: bool, network: str) -> None:
    """Refuse a config without the discriminator that it needs, or with one that it does not need.

    Args:
        config: The experiment.
        wanted: Whether there should be one.
        network: What the network is called, for the error.

    Raises:
        ValueError: Naming the key.
    """
    if wanted and config.discriminator is None:
        raise ValueError(f"discriminator: expected one, for {network} makes waveforms; try discriminator=combined")
    if not wanted and config.discriminator is not None:
        raise ValueError(
            f"discriminator: expected null, for {network} is not trained against one, got {config.discriminator.name}"
        )
    if wanted and config.adversarial_from_step and not any(loss.weight for loss in config.wave_losses.values()):
        raise ValueError("adversarial_from_step: expected 0 without wave_losses, for there is nothing to learn before")


def check_data(config: Any) -> None:
    """Refuse what is for recognition: synthesis learns from waveforms as they are.

    Raises:
        ValueError: Naming the key.
    """
    if config.data.features != "on_the_fly":
        raise ValueError(f"data.features: expected on_the_fly, got {config.data.features}; synthesis needs the waveforms")
    if blocks := config.data.augment.model_dump(exclude_none=True):
        raise ValueError(f"data.augment: expected nothing, got {', '.join(blocks)}; a voice would learn to sound so")


def weighted_sum(losses: Losses, weights: Mapping[str, float]) -> Tensor:
    """(B,) sums of the losses that have a weight."""
    return sum(weights[name] * values for name, values in losses.items() if name in weights)
