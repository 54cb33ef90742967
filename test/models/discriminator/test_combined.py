"""Several discriminators as one."""

from __future__ import annotations

import pytest
import torch

from speechkit.config import ConfigError, validate
from speechkit.models.discriminator.combined import Combined

PERIODS = {"name": "multi_period", "periods": [2, 3], "dim": 32}


def test_judgements_are_those_of_the_parts():
    options = {"name": "combined", "parts": {"p": PERIODS, "samples": {"name": "parallel_wavegan", "dim": 6}}}
    discriminator, wav = validate(Combined.Config, options).build(), torch.randn(2, 101)
    judgements = discriminator(wav)
    expected = discriminator.parts["p"](wav) + discriminator.parts["samples"](wav)
    assert len(judgements) == 3
    for (scores, _), (wanted, _) in zip(judgements, expected, strict=True):
        torch.testing.assert_close(scores, wanted)


def test_the_default_is_that_of_hifigan():
    with torch.device("meta"):
        discriminator = Combined.Config().build()
    assert [len(part.networks) for part in discriminator.parts.values()] == [5, 3]


def test_null_takes_a_part_out_and_one_must_be_left():
    config = validate(Combined.Config, {"name": "combined", "parts": {"multi_period": PERIODS, "multi_scale": None}})
    assert list(config.parts) == ["multi_period"] and config.parts["multi_period"].periods == (2, 3)
    with pytest.raises(ConfigError, match="parts"):
        validate(Combined.Config, {"name": "combined", "parts": {}})
