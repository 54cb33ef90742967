"""Adversarial losses: a discriminator tells recordings from a generator's waveforms, and the generator learns to fool it.

A task that trains both yields two turns for each batch (:mod:`speechkit.train.task`)::

    fake = generator(feats, noise)
    yield "discriminator", adversarial.discriminator_losses(discriminator, wav, fake)
    yield "generator", {**adversarial.generator_losses(discriminator, wav, fake), "mel": mel(fake, wav)}

and has ``adversarial.weights`` among its weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from speechkit.config import Component, ComponentConfig
from speechkit.models.discriminator.base import Discriminator, Judgement

Losses = dict[str, Tensor]  # name -> (B,)


class Adversarial(nn.Module, Component, kind="adversarial"):
    """What all have that differ in how they value a score; it owns no parameters.

    The loss of a segment is a mean over the scores that one network of the discriminator gives to it, and a sum over the
    networks, as in HiFi-GAN (Kong et al., 2020, arXiv:2010.05646, eq. 1 and 2, code included): segments of any length weigh
    the same, and a network with many scores (one per sample) no more than one with few.

    A subclass values scores of any shape, element by element, in :meth:`real`, :meth:`fake` and :meth:`fool`.

    Args:
        config: The options.
    """

    class Config(ComponentConfig):
        """Options of all adversarial losses."""

        weight: float = Field(1.0, ge=0)
        """Factor of the adversarial loss in the sum of the generator's losses."""
        feature_matching_weight: float = Field(2.0, ge=0)
        """Factor of feature matching there; 0: none, which saves the discriminator a pass."""
        match_scores: bool = True
        """Whether feature matching compares the scores too, as HiFi-GAN's code does and MelGAN's does not."""
        average: bool = False
        """Whether losses are means over the networks of the discriminator, and feature matching over its layers, too
        (EnCodec), rather than sums (HiFi-GAN)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config

    @property
    def weights(self) -> dict[str, float]:
        """Of each loss in the sum that is minimised."""
        weights = {"discriminator": 1.0, "adversarial": self.config.weight}
        if self.config.feature_matching_weight:
            weights["feature_matching"] = self.config.feature_matching_weight
        return weights

    def real(self, scores: Tensor) -> Tensor:
        """The discriminator's loss of the ``scores`` that it gives to recordings."""
        raise NotImplementedError

    def fake(self, scores: Tensor) -> Tensor:
        """The discriminator's loss of the ``scores`` that it gives to what a generator made."""
        raise NotImplementedError

    def fool(self, scores: Tensor) -> Tensor:
        """The generator's loss of the ``scores`` that its waveforms are given."""
        raise NotImplementedError

    def discriminator_losses(self, discriminator: Discriminator, real: Tensor, fake: Tensor) -> Losses:
        """The losses of the discriminator's turn; the generator gets no gradient of them.

        Args:
            discriminator: To be trained.
            real: (B, L) recordings.
            fake: (B, L) what the generator made for the same segments.

        Returns:
            ``discriminator`` (B,), the loss, and its parts for the log, ``discriminator_real`` and ``discriminator_fake``.
        """
        judgements = discriminator(torch.cat([real, fake.detach()]))  # at once: half the number of calls
        batch = len(real)
        on_real = self._over_scores(self.real, [scores[:batch] for scores, _ in judgements])
        on_fake = self._over_scores(self.fake, [scores[batch:] for scores, _ in judgements])
        parts = {"discriminator_real": on_real.detach(), "discriminator_fake": on_fake.detach()}
        return {"discriminator": on_real + on_fake, **parts}

    def generator_losses(self, discriminator: Discriminator, real: Tensor, fake: Tensor) -> Losses:
        """The losses of the generator's turn; the discriminator gets no gradient of them.

        Args:
            discriminator: To be fooled.
            real: (B, L) recordings.
            fake: (B, L) what the generator made for the same segments.

        Returns:
            ``adversarial`` (B,) and, if it has a weight, ``feature_matching`` (B,).
        """
        with frozen(discriminator):
            on_fake = discriminator(fake)
        losses = {"adversarial": self._over_scores(self.fool, [scores for scores, _ in on_fake])}
        if self.config.feature_matching_weight:
            with torch.no_grad():
                on_real = discriminator(real)
            losses["feature_matching"] = self.feature_matching(on_real, on_fake)
        return losses

    def feature_matching(self, on_real: Sequence[Judgement], on_fake: Sequence[Judgement]) -> Tensor:
        """Mean absolute difference of the feature maps of recordings and of what a generator made, summed over layers and
        networks: (B,), 0 for equal waveforms (HiFi-GAN, eq. 4; MelGAN)."""
        differences = [
            _per_utterance((precise(theirs).detach() - precise(ours)).abs())
            for real, fake in zip(on_real, on_fake, strict=True)
            for theirs, ours in zip(self._compared(real), self._compared(fake), strict=True)
        ]
        return self._over_networks(differences)

    def _compared(self, judgement: Judgement) -> list[Tensor]:
        scores, maps = judgement
        return [*maps, scores] if self.config.match_scores else maps

    def _over_scores(self, loss: Callable[[Tensor], Tensor], scores: Sequence[Tensor]) -> Tensor:
        return self._over_networks([_per_utterance(loss(precise(each))) for each in scores])

    def _over_networks(self, losses: Sequence[Tensor]) -> Tensor:
        stacked = torch.stack(losses)
        return stacked.mean(0) if self.config.average else stacked.sum(0)


class LeastSquares(Adversarial, name="least_squares"):
    """``(D(x) - 1)^2 + D(G)^2`` for the discriminator, ``(D(G) - 1)^2`` for the generator (Mao et al., 2017, LSGAN,
    arXiv:1611.04076, eq. 9): HiFi-GAN, Parallel WaveGAN, VITS."""

    def real(self, scores: Tensor) -> Tensor:
        return (scores - 1).square()

    def fake(self, scores: Tensor) -> Tensor:
        return scores.square()

    def fool(self, scores: Tensor) -> Tensor:
        return (scores - 1).square()


class Hinge(Adversarial, name="hinge"):
    """``max(0, 1 - D(x)) + max(0, 1 + D(G))`` for the discriminator; for the generator ``-D(G)`` (Lim and Ye, 2017,
    arXiv:1705.02894; MelGAN) or ``max(0, 1 - D(G))`` (SoundStream, arXiv:2107.03312; EnCodec)."""

    class Config(Adversarial.Config):
        """Options of the hinge losses."""

        generator: Literal["linear", "clamped"] = "linear"
        """The generator's loss: linear, -D (MelGAN), or clamped, max(0, 1 - D), which asks no more of a network that the
        generator has fooled (SoundStream, EnCodec)."""

    def real(self, scores: Tensor) -> Tensor:
        return (1 - scores).relu()

    def fake(self, scores: Tensor) -> Tensor:
        return (1 + scores).relu()

    def fool(self, scores: Tensor) -> Tensor:
        return -scores if self.config.generator == "linear" else (1 - scores).relu()


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Within, what ``network`` computes has gradients with respect to its input but none to its parameters.

    It saves the time that they take; who steps an optimizer need not clear them.
    """
    learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
    try:
        for parameter in learning:
            parameter.requires_grad_(False)
        yield
    finally:
        for parameter in learning:
            parameter.requires_grad_(True)


def precise(values: Tensor) -> Tensor:
    """At least in float32, for sums over many values."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def _per_utterance(values: Tensor) -> Tensor:
    """(B, ...) to means (B,)."""
    return values.flatten(1).mean(1)
