"""Rates for every hop length."""

from __future__ import annotations

import math

import pytest

from speechkit.models.vocoder.upsampling import choose_rates


@pytest.mark.parametrize(
    ("hop_length", "num_stages", "largest", "rates"),
    [
        (256, 4, 8, (8, 8, 2, 2)),  # HiFi-GAN V1, V2; MelGAN
        (256, 3, 8, (8, 8, 4)),  # HiFi-GAN V3
        (512, 4, 8, (8, 8, 4, 2)),
        (256, 4, 4, (4, 4, 4, 4)),  # Parallel WaveGAN
        (300, 4, 4, (5, 5, 4, 3)),
        (160, 4, 8, (8, 5, 2, 2)),
        (441, 4, 8, (7, 7, 3, 3)),
        (211, 4, 8, (211,)),  # a prime
        (6, 4, 8, (3, 2)),
        (1024, 2, 8, (8, 8, 8, 2)),  # two stages do not suffice
        (1, 4, 8, ()),
    ],
)
def test_rates_are_those_that_people_choose(hop_length, num_stages, largest, rates):
    assert choose_rates(hop_length, num_stages, largest) == rates


@pytest.mark.parametrize("num_stages", [1, 3, 4])
def test_rates_multiply_to_the_hop_length_and_are_no_larger_than_they_must_be(num_stages):
    for hop_length in range(1, 700):
        rates = choose_rates(hop_length, num_stages)
        prime = max((p for p in range(2, hop_length + 1) if hop_length % p == 0 and is_prime(p)), default=1)
        assert math.prod(rates) == hop_length and list(rates) == sorted(rates, reverse=True)
        assert all(2 <= rate <= max(8, prime) for rate in rates), hop_length


def is_prime(number: int) -> bool:
    return all(number % divisor for divisor in range(2, math.isqrt(number) + 1))
