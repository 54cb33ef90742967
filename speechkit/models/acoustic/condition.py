"""Who speaks, and how: what an acoustic model is told beside the text, by a table, by a recording, or by styles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from speechkit.config import Component, ComponentConfig
from speechkit.nn.linear import Linear
from speechkit.nn.style_tokens import CHANNELS, ReferenceEncoder, StyleTokens

TOLD = frozenset({"speakers", "reference", "style"})
"""Fields of :class:`speechkit.models.acoustic.base.Controls` that conditions may obey."""


@dataclass(frozen=True)
class Told:
    """What is known of B utterances to be spoken.

    Args:
        speakers: (B,) int64.
        feats: (B, T, F) recordings that they shall sound like; None where there are none.
        feat_lens: (B,) int64, of these.
        style: (B, K), or (B, H, K) for H heads, weights of style tokens that add up to 1; None where nobody chose.
    """

    speakers: Tensor
    feats: Tensor | None = None
    feat_lens: Tensor | None = None
    style: Tensor | None = None


class Condition(nn.Module, Component, kind="condition"):
    """Makes one vector for an utterance of what is told of it. It says in :attr:`controls` what it reads in synthesis.

    Args:
        config: The options.
        feat_dim: F of recordings.
        num_speakers: In the training data.
        dim: D.
    """

    controls: ClassVar[frozenset[str]] = frozenset({"speakers"})
    """Fields of :class:`speechkit.models.acoustic.base.Controls` that it obeys."""

    def __init__(self, config: ComponentConfig, feat_dim: int, num_speakers: int, dim: int) -> None:
        super().__init__()
        self.config = config

    def forward(self, told: Told) -> Tensor:
        """(B, D)."""
        raise NotImplementedError


class SpeakerEmbedding(Condition, name="embedding"):
    """A vector for each speaker of the training data. Where that has one speaker only, there is none."""

    def __init__(self, config: ComponentConfig, feat_dim: int, num_speakers: int, dim: int) -> None:
        super().__init__(config, feat_dim, num_speakers, dim)
        self.table = nn.Embedding(num_speakers, dim)
        nn.init.normal_(self.table.weight, std=0.3)

    def forward(self, told: Told) -> Tensor:
        """(B, D)."""
        return self.table(told.speakers)


class ByRecording(Condition):
    """Sounds as a recording does: in training the one that is learned, in synthesis any.

    Without a recording it sounds as the speaker usually did in training: by the mean of the speaker's vectors, in which
    older ones, made by weights that have changed since, fade. A subclass implements :meth:`listen`.
    """

    controls = frozenset({"speakers", "reference"})
    kept: ClassVar[float] = 0.999
    """What of the mean is left when one more utterance of the speaker has been heard."""

    def __init__(self, config: ComponentConfig, feat_dim: int, num_speakers: int, dim: int) -> None:
        super().__init__(config, feat_dim, num_speakers, dim)
        self.register_buffer("sums", torch.zeros(num_speakers, dim))
        self.register_buffer("counts", torch.zeros(num_speakers))

    def listen(self, feats: Tensor, feat_lens: Tensor) -> Tensor:
        """The vectors (B, D) of recordings (B, T, F)."""
        raise NotImplementedError

    def forward(self, told: Told) -> Tensor:
        """(B, D)."""
        if told.feats is None:
            return self.sums[told.speakers] / self.counts[told.speakers].clamp(min=1).unsqueeze(1)
        vectors = self.listen(told.feats, told.feat_lens)
        if self.training:
            self._remember(vectors.detach().to(self.sums.dtype), told.speakers)
        return vectors

    def _remember(self, vectors: Tensor, speakers: Tensor) -> None:
        heard = torch.zeros_like(self.counts).index_add_(0, speakers, torch.ones_like(vectors[:, 0]))
        left = self.kept**heard
        self.counts.mul_(left).add_(heard)
        self.sums.mul_(left.unsqueeze(1)).index_add_(0, speakers, vectors)


class Reference(ByRecording, name="reference"):
    """The recording as one vector (Skerry-Ryan et al., 2018, Towards end-to-end prosody transfer for expressive speech
    synthesis with Tacotron, arXiv:1803.09047, section 3): ``e = tanh(W r + b)`` of the reference encoder's r, and a
    projection of e.

    Differs from the paper: the projection is added to the encodings, where the paper puts e beside them.
    """

    class Config(ComponentConfig):
        """Options of the reference encoder."""

        dim: int = Field(128, ge=1)
        """Width of r and e. A narrow one tells how is spoken, and nothing of what."""
        channels: tuple[int, ...] = CHANNELS
        """Of the convolutions over the recording, each of which halves time and frequency."""

    def __init__(self, config: Config, feat_dim: int, num_speakers: int, dim: int) -> None:
        super().__init__(config, feat_dim, num_speakers, dim)
        self.encoder = ReferenceEncoder(feat_dim, config.dim, config.channels)
        self.embed, self.out = Linear(config.dim, config.dim), Linear(config.dim, dim)

    def listen(self, feats: Tensor, feat_lens: Tensor) -> Tensor:
        """(B, D)."""
        return self.out(self.embed(self.encoder(feats, feat_lens)).tanh())


class GlobalStyle(ByRecording, name="style_tokens"):
    """The recording as a mixture of styles that training has found (Wang et al., 2018, arXiv:1803.09017); see
    :class:`speechkit.nn.style_tokens.StyleTokens`. In synthesis weights may be given in place of a recording.

    As mixtures are linear in their weights, the usual style of a speaker is the mixture of usual weights.
    """

    class Config(ComponentConfig):
        """Options of global style tokens."""

        num_tokens: int = Field(10, ge=1)
        """Styles K."""
        num_heads: int = Field(4, ge=1)
        """Heads H that weigh them; a divisor of the width that the model adds styles to."""
        reference_dim: int = Field(128, ge=1)
        """Width of the reference encoder's vector."""
        channels: tuple[int, ...] = CHANNELS
        """Of the convolutions over the recording, each of which halves time and frequency."""

    controls = ByRecording.controls | {"style"}

    def __init__(self, config: Config, feat_dim: int, num_speakers: int, dim: int) -> None:
        super().__init__(config, feat_dim, num_speakers, dim)
        self.styles = StyleTokens(
            feat_dim, dim, config.num_tokens, config.num_heads, config.reference_dim, config.channels
        )

    def listen(self, feats: Tensor, feat_lens: Tensor) -> Tensor:
        """(B, D)."""
        return self.styles(feats, feat_lens)

    def forward(self, told: Told) -> Tensor:
        """(B, D)."""
        if told.style is None:
            return super().forward(told)
        if told.style.shape[-1] != self.config.num_tokens:
            raise ValueError(
                f"style: expected weights of the voice's {self.config.num_tokens} style tokens, got "
                f"{told.style.shape[-1]} of them; give one for each"
            )
        return self.styles.mix(told.style)


class Conditions(nn.Module):
    """The sum of what several conditions say.

    Args:
        configs: Of the conditions, of different kinds.
        feat_dim: F of recordings.
        num_speakers: In the training data.
        dim: D.

    Attributes:
        dim: D, or 0 where there is nothing to say.
        controls: Fields of :class:`speechkit.models.acoustic.base.Controls` that it obeys.
    """

    def __init__(self, configs: Sequence[ComponentConfig], feat_dim: int, num_speakers: int, dim: int) -> None:
        super().__init__()
        wanted = [each for each in configs if num_speakers > 1 or each.component is not SpeakerEmbedding]
        facts = {"feat_dim": feat_dim, "num_speakers": num_speakers, "dim": dim}
        self.parts = nn.ModuleDict({each.name: each.build(**facts) for each in wanted})
        self.dim = dim if wanted else 0
        self.controls = frozenset({"speakers"}).union(*(part.controls for part in self.parts.values()))

    def forward(self, told: Told) -> Tensor | None:
        """(B, 1, D); None where there is nothing to say."""
        return sum(part(told) for part in self.parts.values()).unsqueeze(1) if self.parts else None
