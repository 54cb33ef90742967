"""Mean and variance normalisation of features: none, with the corpus's statistics, or with each utterance's own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from speechkit.config import Component, ComponentConfig
from speechkit.utils.lens import padding_mask

# A smaller standard deviation is rounding. A feature with such global statistics is only centred: in another recording
# it may change, and 1e5 times that change would drown all other features.
MIN_STD = 1e-5


class Cmvn(nn.Module, Component, kind="cmvn"):
    """Normalises each feature; padding stays 0.

    Args:
        config: The normalisation's config.
        feat_dim: Features per frame, F.
    """

    invertible: ClassVar[bool] = False
    """Whether the normalised features are enough to undo the normalisation."""

    def __init__(self, config: ComponentConfig, *, feat_dim: int) -> None:
        super().__init__()
        self.config = config
        self.feat_dim = feat_dim

    def forward(self, feats: Tensor, feat_lens: Tensor) -> Tensor:
        """Normalise feats (B, T, F) of feat_lens (B,) frames; the result has the same shape."""
        raise NotImplementedError

    def inverse(self, feats: Tensor, feat_lens: Tensor) -> Tensor:
        """The features that :meth:`forward` makes ``feats`` of; where :attr:`invertible`."""
        raise NotImplementedError


class NoCmvn(Cmvn, name="none"):
    """Leaves the features as they are."""

    invertible = True

    def forward(self, feats: Tensor, feat_lens: Tensor) -> Tensor:
        return feats

    def inverse(self, feats: Tensor, feat_lens: Tensor) -> Tensor:
        return feats


class GlobalCmvn(Cmvn, name="global"):
    """``(feats - mean) * inv_std`` with statistics over a corpus, which are saved with the model."""

    class Config(ComponentConfig):
        scale_variance: bool = True
        """Divide by the standard deviation too; false only subtracts the mean."""

    invertible = True
    mean: Tensor
    inv_std: Tensor

    def __init__(self, config: Config, *, feat_dim: int) -> None:
        super().__init__(config, feat_dim=feat_dim)
        # NaN until fitted or loaded: statistics that nobody computed must not pass for real ones.
        self.register_buffer("mean", torch.full((feat_dim,), torch.nan))
        self.register_buffer("inv_std", torch.full((feat_dim,), torch.nan))
        self._known = False

    @torch.no_grad()
    def fit(self, utterances: Iterable[Any]) -> None:
        """Compute the statistics.

        Args:
            utterances: Features (T, F) without padding, tensors or arrays; read once.

        Raises:
            ValueError: no frames at all, a wrong F, or values that are not finite.
        """
        count, total, squares = 0, torch.zeros(self.feat_dim).double(), torch.zeros(self.feat_dim).double()
        for index, utterance in enumerate(utterances):
            feats = torch.as_tensor(utterance).detach().cpu().double()
            if feats.ndim != 2 or feats.shape[1] != self.feat_dim:
                raise ValueError(
                    f"cmvn: expected features (T, {self.feat_dim}), got {tuple(feats.shape)} for utterance {index}; "
                    "fit and features need the same config"
                )
            if not feats.isfinite().all():
                raise ValueError(
                    f"cmvn: expected finite features, got NaN or infinity in utterance {index}; check its audio"
                )
            count, total, squares = count + len(feats), total + feats.sum(0), squares + feats.square().sum(0)
        if count == 0:
            raise ValueError("cmvn: expected frames to fit on, got none; check that the cuts are not empty")
        mean = total / count
        std = (squares / count - mean.square()).clamp(min=0).sqrt()
        std = std.masked_fill(std < MIN_STD, 1.0)
        self.mean.copy_(mean)
        self.inv_std.copy_(1 / std if self.config.scale_variance else torch.ones_like(std))

    def forward(self, feats: Tensor, feat_lens: Tensor) -> Tensor:
        """Normalise feats (B, T, F) of feat_lens (B,) frames.

        Raises:
            ValueError: the statistics were neither fitted nor loaded.
        """
        self._check_known()
        padding = padding_mask(feat_lens.to(feats.device), feats.shape[1]).unsqueeze(-1)
        return ((feats - self.mean) * self.inv_std).masked_fill(padding, 0.0)

    def inverse(self, feats: Tensor, feat_lens: Tensor) -> Tensor:
        """Undo the normalisation of feats (B, T, F) of feat_lens (B,) frames; padding is 0 again.

        Raises:
            ValueError: the statistics were neither fitted nor loaded.
        """
        self._check_known()
        padding = padding_mask(feat_lens.to(feats.device), feats.shape[1]).unsqueeze(-1)
        return (feats / self.inv_std + self.mean).masked_fill(padding, 0.0)

    def _check_known(self) -> None:
        if self._known:  # looked at once: on a GPU looking waits for the device
            return
        if not self.mean.isfinite().all():
            raise ValueError(
                "cmvn: expected global statistics, got none; call fit() with training features, or load a model"
            )
        self._known = True


class UtteranceCmvn(Cmvn, name="utterance"):
    """Each utterance's features get mean 0 and variance 1 over its own frames. Needs the whole utterance."""

    class Config(ComponentConfig):
        scale_variance: bool = True
        """Divide by the standard deviation too; false only subtracts the mean."""

    def forward(self, feats: Tensor, feat_lens: Tensor) -> Tensor:
        feat_lens = feat_lens.to(feats.device)
        padding = padding_mask(feat_lens, feats.shape[1]).unsqueeze(-1)
        count = feat_lens.clamp(min=1).view(-1, 1, 1)
        mean = feats.masked_fill(padding, 0.0).sum(1, keepdim=True) / count  # (B, 1, F)
        centred = (feats - mean).masked_fill(padding, 0.0)
        if not self.config.scale_variance:
            return centred
        variance = centred.square().sum(1, keepdim=True) / count
        return centred / variance.clamp(min=MIN_STD**2).sqrt()
