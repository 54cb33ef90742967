"""What acoustic models learn of pitch and loudness: energy, F0 without gaps, its statistics, and means over tokens."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from speechkit.features.mel import MelFeaturizer
from speechkit.utils.lens import padding_mask


@torch.no_grad()
def frame_energy(featurizer: MelFeaturizer, wav: Tensor, wav_lens: Tensor) -> tuple[Tensor, Tensor]:
    """The L2 norm of each frame's magnitude spectrum, ``sqrt(sum_k |X_k|^2)`` over the bins 0 to n_fft / 2, as FastSpeech 2
    takes it (Ren et al. 2020, arXiv:2006.04558, section 2.3).

    It needs no Fourier transform. By Parseval the bins of both halves together have ``n_fft`` times the energy of the
    samples, and only bin 0, the sum of the samples, and bin n_fft / 2, their sum with alternating signs, have no twin.

    Args:
        featurizer: Whose windows and frames they are.
        wav: (B, L) float samples in [-1, 1], padded with anything.
        wav_lens: (B,) samples of each utterance.

    Returns:
        (B, T), 0 at padding; and the frames (B,) of each utterance.
    """
    energy = wav.new_zeros(len(wav), featurizer.num_frames(wav.shape[1]), dtype=torch.float32)
    weights = featurizer.window.unsqueeze(1) * _twinless(featurizer.window)
    for row, each, length in zip(energy, wav, wav_lens.tolist(), strict=True):
        if num_frames := featurizer.num_frames(length):
            signal = featurizer.framing.extend(each[:length].to(weights))
            frames = signal.unfold(0, len(weights), featurizer.hop_length)
            both = len(weights) * (frames.square() @ featurizer.window.square())
            row[:num_frames] = ((both + (frames @ weights).square().sum(1)) / 2).clamp(min=0).sqrt()
    return energy, featurizer.num_frames(wav_lens)


def _twinless(window: Tensor) -> Tensor:
    """The waves of the bins without a twin, (n_fft, 1 or 2): the constant, and for even n_fft the alternation."""
    constant = torch.ones_like(window)
    if len(window) % 2:
        return constant.unsqueeze(1)
    return torch.stack([constant, 1.0 - 2.0 * (torch.arange(len(window), device=window.device) % 2)], dim=1)


def interpolate_unvoiced(f0: Tensor, lens: Tensor) -> Tensor:
    """Fill the unvoiced frames: straight lines in log F0 from the last voiced frame to the next; before the first and after
    the last voiced frame, that one's F0.

    Args:
        f0: (B, T) in Hz, 0 where unvoiced; what is at padding does not matter.
        lens: (B,) frames.

    Returns:
        (B, T) in Hz, 0 at padding and in utterances without a voiced frame.
    """
    padding = padding_mask(lens.to(f0.device), f0.shape[1])
    voiced = (f0 > 0) & ~padding
    place = torch.arange(f0.shape[1], device=f0.device).expand_as(f0)
    last = place.masked_fill(~voiced, -1).cummax(1).values  # the last voiced frame up to here, -1 for none
    after = place.masked_fill(~voiced, f0.shape[1]).flip(1).cummin(1).values.flip(1)  # the next one, T for none
    none_before, none_after = last < 0, after >= f0.shape[1]
    left = torch.where(none_before, after, last).clamp(max=max(f0.shape[1] - 1, 0))
    right = torch.where(none_after, last, after).clamp(min=0)
    log_f0 = f0.where(voiced, 1.0).log()
    start, end = log_f0.gather(1, left), log_f0.gather(1, right)
    share = (place - left) / (right - left).clamp(min=1)
    filled = torch.where(voiced, f0, torch.lerp(start, end, share.to(f0.dtype)).exp())
    return filled.masked_fill(padding | (none_before & none_after), 0.0)


def mean_over_tokens(values: Tensor, durations: Tensor, skip_zeros: bool = False) -> Tensor:
    """The mean of a frame-level value over the frames of each token (Łańcucki 2021, FastPitch, arXiv:2006.06873).

    Args:
        values: (B, T) F0, log F0 or energy.
        durations: (B, U) int64 frames of each token, in order, 0 at padding; together at most T.
        skip_zeros: Leave frames of value 0 out: the unvoiced ones of F0.

    Returns:
        (B, U); 0 for tokens without frames that count.

    Raises:
        ValueError: There are fewer values than the durations add up to, or a duration is negative.
    """
    ends = durations.cumsum(1)  # (B, U)
    longest = int(ends[:, -1].max()) if ends.numel() else 0
    if longest > values.shape[1] or bool((durations < 0).any()):
        raise ValueError(
            f"durations: expected frames >= 0 that add up to at most {values.shape[1]}, got up to {longest} frames, and "
            f"{int(durations.min())} for one token; take durations and values from the same featurizer"
        )
    counted = (values != 0) if skip_zeros else torch.ones_like(values, dtype=torch.bool)
    # Double: a sum over a token is the difference of two sums from the start.
    sums = torch.nn.functional.pad(torch.stack([values.double(), counted.double()]).cumsum(-1), (1, 0))
    total, count = sums.gather(2, ends.expand(2, -1, -1)) - sums.gather(2, (ends - durations).expand(2, -1, -1))
    return torch.where(count > 0, total / count.clamp(min=1), 0.0).to(values.dtype)


@dataclasses.dataclass
class LogF0Statistics:
    """Mean and standard deviation of ln F0 over the voiced frames of a corpus, with which F0 is normalised.

    Args:
        count: Voiced frames.
        mean: Of their ln F0.
        squares: Sum of the squared distances from the mean.
    """

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0

    def update(self, f0: Tensor) -> None:
        """Take the voiced frames of ``f0`` (...,) in Hz, 0 where unvoiced, into account."""
        log_f0 = f0[f0 > 0].double().log()
        if log_f0.numel():
            mean = float(log_f0.mean())
            self.merge(LogF0Statistics(log_f0.numel(), mean, float((log_f0 - mean).square().sum())))

    def merge(self, other: LogF0Statistics) -> None:
        """Take everything into account that ``other`` did, for instance another process (Chan et al. 1979)."""
        count = self.count + other.count
        if count:
            distance = other.mean - self.mean
            self.mean += distance * other.count / count
            self.squares += other.squares + distance**2 * self.count * other.count / count
            self.count = count

    @property
    def std(self) -> float:
        """Standard deviation, over the count; not 0 even where all frames are equal.

        Raises:
            ValueError: There was no voiced frame.
        """
        if self.count == 0:
            raise ValueError("F0 statistics: expected voiced frames, got none; is there speech, between min_f0 and max_f0?")
        return max((self.squares / self.count) ** 0.5, 1e-5)

    def normalize(self, f0: Tensor) -> Tensor:
        """``(ln F0 - mean) / std`` of ``f0`` (...,) in Hz; 0, the mean, where unvoiced."""
        voiced = f0 > 0
        return ((f0.where(voiced, 1.0).log() - self.mean) / self.std).masked_fill(~voiced, 0.0)

    def denormalize(self, normalized: Tensor) -> Tensor:
        """F0 in Hz of normalised values (...,), all of them voiced."""
        return (normalized * self.std + self.mean).exp()
