"""A network that learns which frames belong to which token, and nothing else."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from speechkit.nn.linear import Linear
from speechkit.nn.time_conv import TimeConv
from speechkit.utils.lens import padding_mask


class TextAligner(nn.Module):
    """``s(t, u) = log softmax_u(-temperature |q_t - k_u|^2) + log prior(u | t)`` with keys k from convolutions over the text
    and queries q from convolutions over the spectrogram (Badlani et al., 2021, One TTS alignment to rule them all,
    arXiv:2108.10447, sections 2.1 and 2.2).

    As in the authors' code the sum is not normalised again: a frame whose token is not known yet has small scores, so that the
    blank of :func:`speechkit.objectives.forward_sum.forward_sum` takes it, and the others teach. (Normalised instead, the
    tokens' ends in artificial speech were off by 2 frames or more after 120 updates, not by 0.4.)

    Differs from the paper: the distance is squared and has a temperature, and the layers are those of the authors' code.
    Differs from that code: the prior, see :func:`beta_binomial_log_prior`.

    Args:
        text_dim: Width of the encodings of the text.
        feat_dim: Mel bins F.
        dim: Width A in which both are compared.
        temperature: Factor of the squared distances.
        prior_scale: omega of the prior: larger is narrower around the diagonal; None for no prior.
    """

    def __init__(
        self, text_dim: int, feat_dim: int, dim: int = 80, temperature: float = 0.0005, prior_scale: float | None = 1.0
    ) -> None:
        super().__init__()
        self.text_conv = TimeConv(text_dim, 2 * text_dim, 3)
        self.text_out = Linear(2 * text_dim, dim)
        self.feat_conv = TimeConv(feat_dim, 2 * feat_dim, 3)
        self.feat_hidden = Linear(2 * feat_dim, feat_dim)
        self.feat_out = Linear(feat_dim, dim)
        self.temperature, self.prior_scale = temperature, prior_scale

    def forward(self, text: Tensor, text_lens: Tensor, feats: Tensor, feat_lens: Tensor) -> Tensor:
        """Align softly.

        Args:
            text: (B, U, text_dim); what lies at padding does not matter, here and below.
            text_lens: (B,) int64.
            feats: (B, T, F).
            feat_lens: (B,) int64.

        Returns:
            (B, T, U) s, log-probabilities of the tokens in each frame but for a constant of the frame, float32 at least; -inf
            at padding of the text, unspecified but finite at that of the frames.
        """
        padding = padding_mask(text_lens, text.shape[1])
        frames_padding = padding_mask(feat_lens, feats.shape[1])
        keys = self.text_out(self.text_conv(text, padding).relu())
        queries = self.feat_out(self.feat_hidden(self.feat_conv(feats, frames_padding).relu()).relu())
        scores = self._scores(queries.masked_fill(frames_padding.unsqueeze(2), 0.0), keys)
        log_probs = scores.masked_fill(_hidden(text_lens, text.shape[1]), -torch.inf).log_softmax(2)
        if self.prior_scale is None:
            return log_probs
        return log_probs + beta_binomial_log_prior(
            feat_lens, text_lens, feats.shape[1], text.shape[1], self.prior_scale
        )

    def _scores(self, queries: Tensor, keys: Tensor) -> Tensor:
        """(B, T, U) minus the squared distances, scaled, but for what all tokens of a frame have in common."""
        dtype = torch.promote_types(queries.dtype, torch.float32)
        with torch.autocast(queries.device.type, enabled=False):
            queries, keys = queries.to(dtype), keys.to(dtype)
            lengths = keys.square().sum(2).unsqueeze(1)  # (B, 1, U)
            return torch.baddbmm(lengths, queries, keys.mT, beta=-self.temperature, alpha=2 * self.temperature)


def beta_binomial_log_prior(
    frame_lens: Tensor, token_lens: Tensor, num_frames: int, num_tokens: int, scale: float = 1.0
) -> Tensor:
    """Where a token is expected if nothing is heard yet: near the diagonal, and the nearer the closer to an end (Badlani et
    al., section 2.2).

    Token ``u = 0 ... U - 1`` of frame ``t = 1 ... T`` has the probability of u successes in n = U - 1 trials::

        f(u) = C(n, u) Beta(u + a, n - u + b) / Beta(a, b),    a = omega t,    b = omega (T + 1 - t)

    Differs from the authors' code, which has n = U: there the text's end is expected one token behind its last one, rows do
    not sum to 1, and a text read backwards has another prior.

    Args:
        frame_lens: (B,) int64.
        token_lens: (B,) int64.
        num_frames: T of the result.
        num_tokens: U of the result.
        scale: omega.

    Returns:
        (B, T, U) float32 natural logarithms; rows sum to 1, -inf at padding of the tokens (unless an utterance has none).
        Frames of padding are as the last one.
    """
    device = frame_lens.device
    n = (token_lens - 1).float().view(-1, 1, 1)
    frames = torch.arange(1, num_frames + 1, device=device).view(1, -1, 1)
    last = frame_lens.view(-1, 1, 1).clamp(min=1)
    a = scale * torch.minimum(frames, last)  # (B, T, 1)
    b = scale * (last + 1) - a
    u = torch.arange(max(num_tokens - 1, 0), device=device).float()
    # f(u + 1) / f(u): one logarithm each, and no logarithms of factorials that would cancel.
    ratios = (n - u) * (u + a) / ((u + 1) * (n - u - 1 + b))  # (B, T, U - 1)
    logs = F.pad(ratios.masked_fill(u >= n, 1.0).log().cumsum(2), (1, 0))[:, :, :num_tokens]
    return logs.masked_fill(_hidden(token_lens, num_tokens), -torch.inf).log_softmax(2)


def _hidden(token_lens: Tensor, num_tokens: int) -> Tensor:
    """(B, 1, U) bool, True at padding, but nowhere in an utterance without tokens, whose softmax would be NaN."""
    return (padding_mask(token_lens, num_tokens) & (token_lens > 0).unsqueeze(1)).unsqueeze(1)
