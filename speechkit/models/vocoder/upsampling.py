"""What vocoders share that become longer stage by stage: rates that multiply to the hop length, weight normalisation."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from speechkit.config import ComponentConfig
from speechkit.models.vocoder.base import VocoderInput, WaveGenerator
from speechkit.nn.weight_norm import add_weight_norm, remove_weight_norm


class UpsamplingGenerator(WaveGenerator):
    """Frames to samples in stages, each of which makes its input ``rate`` times longer.

    A subclass takes ``self.rates`` and calls :meth:`finish` at the end of its constructor.

    Args:
        config: The options.
        given: The features that it speaks.

    Attributes:
        rates: How much longer each stage makes its input; they multiply to the hop length.

    Raises:
        ValueError: The rates of the config do not multiply to the hop length.
    """

    largest_rate = 8  # what rates that nobody chose do not exceed, if the hop length allows

    class Config(ComponentConfig):
        """What vocoders that become longer stage by stage share."""

        upsample_rates: tuple[Annotated[int, Field(ge=2)], ...] = ()
        """How much longer each stage makes its input; they must multiply to the features' hop length. None: chosen for it."""
        num_stages: int = Field(4, ge=1)
        """Number of rates to choose, where upsample_rates has none."""

    def __init__(self, config: Config, given: VocoderInput) -> None:
        super().__init__(config, given)
        chosen = choose_rates(given.hop_length, config.num_stages, self.largest_rate)
        self.rates = config.upsample_rates or chosen
        if math.prod(self.rates) != given.hop_length:
            raise ValueError(
                f"{config.name}.upsample_rates: expected rates that multiply to hop_length {given.hop_length}, such as "
                f"{list(chosen)}, got {list(self.rates)}, which multiply to {math.prod(self.rates)}; leave them out to have "
                "them chosen"
            )

    def finish(self) -> None:
        """Normalise the weights of all convolutions."""
        add_weight_norm(self)

    def remove_weight_norm(self) -> None:
        """Make plain weights of the normalised ones, for speaking: the output stays, its cost shrinks."""
        remove_weight_norm(self)


def choose_rates(hop_length: int, num_stages: int = 4, largest: int = 8) -> tuple[int, ...]:
    """Rates that multiply to ``hop_length``: each as large as can be, the early ones first.

    So come out the rates of HiFi-GAN and MelGAN (256: 8 8 2 2, in three stages 8 8 4) and, with ``largest=4``, of Parallel
    WaveGAN (256: 4 4 4 4).

    Args:
        hop_length: Samples per frame, at least 1.
        num_stages: How many rates; fewer where ``hop_length`` has not as many prime factors, more where the rates would
            otherwise exceed ``largest``.
        largest: No rate exceeds it, unless ``hop_length`` has a prime factor that does.
    """
    primes = list(_prime_factors(hop_length))
    largest = max([largest, *primes])
    for stages in range(min(num_stages, len(primes)), len(primes)):
        if rates := next(_descending_factors(hop_length, stages, largest), None):
            return rates
    return tuple(reversed(primes))


def _prime_factors(number: int) -> Iterator[int]:
    """In ascending order."""
    prime = 2
    while number > 1:
        while number % prime == 0:
            yield prime
            number //= prime
        prime += 1


def _descending_factors(number: int, count: int, largest: int) -> Iterator[tuple[int, ...]]:
    """All ways to make ``number`` of ``count`` factors from ``largest`` to 2, none larger than that before it; those with
    the largest first factors first."""
    if count == 0:
        if number == 1:
            yield ()
        return
    for rate in range(min(largest, number), 1, -1):
        if number % rate == 0:
            yield from ((rate, *rest) for rest in _descending_factors(number // rate, count - 1, rate))
