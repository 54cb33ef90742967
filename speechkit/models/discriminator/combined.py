"""Several discriminators as one."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor, nn

from speechkit.config import Choice, ComponentConfig
from speechkit.models.discriminator.base import Discriminator, Judgement
from speechkit.models.discriminator.multi_period import MultiPeriod
from speechkit.models.discriminator.multi_scale import MultiScale


class Combined(Discriminator, name="combined"):
    """All judgements of several discriminators; the defaults are those of HiFi-GAN."""

    class Config(ComponentConfig):
        """Options of several discriminators as one."""

        parts: dict[str, Choice[Discriminator]] = Field(
            {"multi_period": MultiPeriod.Config(), "multi_scale": MultiScale.Config()}, min_length=1
        )
        """The discriminators, by names of your own; null takes one out."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.parts = nn.ModuleDict({name: part.build() for name, part in config.parts.items()})

    def forward(self, wav: Tensor) -> list[Judgement]:
        """The judgements of all parts, one part after the other; see :meth:`Discriminator.forward`."""
        return [judgement for part in self.parts.values() for judgement in part(wav)]
