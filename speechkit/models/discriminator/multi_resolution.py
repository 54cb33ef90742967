"""The multi-resolution spectrogram discriminator of UnivNet."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn

from speechkit.config import ComponentConfig
from speechkit.models.discriminator.base import Discriminator, Judgement
from speechkit.models.discriminator.layers import ScoringStack
from speechkit.nn.stft import Stft
from speechkit.nn.weight_norm import add_weight_norm

Samples = Annotated[int, Field(ge=1)]
FLOOR = 1e-5  # of magnitudes: beyond hearing, but the square root has a finite gradient in silence


class MultiResolution(Discriminator, name="multi_resolution"):
    """For each resolution a network that looks at a spectrogram as an image (Jang et al., 2021, UnivNet, arXiv:2106.07889).

    Differs from the paper: frames are centred on multiples of the hop as torch.stft's are. With ``spectrum: complex`` the
    image has two channels, the real and the imaginary part, as in EnCodec (Défossez et al., 2022, arXiv:2210.13438): phases
    are then judged too, for generators that make them up, such as istft.
    """

    class Config(ComponentConfig):
        """Options of the multi-resolution discriminator."""

        resolutions: tuple[tuple[Samples, Samples, Samples], ...] = Field(
            ((1024, 120, 600), (2048, 240, 1200), (512, 50, 240)), min_length=1
        )
        """FFT length, hop and window length in samples, one network each; the defaults are for 24 kHz."""
        spectrum: Literal["magnitude", "complex"] = "magnitude"
        """What the networks see: magnitude, or complex, which has phases."""
        dim: int = Field(32, ge=1)
        """Channels of each of five layers."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.networks = nn.ModuleList(
            ResolutionNetwork(Stft(*resolution), config.dim, config.spectrum == "complex")
            for resolution in config.resolutions
        )
        add_weight_norm(self)

    def forward(self, wav: Tensor) -> list[Judgement]:
        """The judgement at each resolution; see :meth:`Discriminator.forward`."""
        return [network(wav) for network in self.networks]


class ResolutionNetwork(nn.Module):
    """Two-dimensional convolutions over one spectrogram, which grows shorter in time.

    Args:
        stft: Makes the spectrogram.
        dim: Channels.
        phases: Whether it sees real and imaginary parts.
    """

    def __init__(self, stft: Stft, dim: int, phases: bool) -> None:
        super().__init__()
        self.stft, self.phases = stft, phases
        # Kernels of 9 frames by 3 bins; the paper writes frequency first.
        convs = [nn.Conv2d(2 if phases else 1, dim, (9, 3), padding=(4, 1))]
        convs += [nn.Conv2d(dim, dim, (9, 3), stride=(2, 1), padding=(4, 1)) for _ in range(3)]
        convs.append(nn.Conv2d(dim, dim, (3, 3), padding=(1, 1)))
        self.stack = ScoringStack(convs, nn.Conv2d(dim, 1, (3, 3), padding=(1, 1)), slope=0.2)

    def forward(self, wav: Tensor) -> Judgement:
        """The judgement of ``wav`` (B, L): scores (B, T, bins), feature maps (B, D, T, bins)."""
        if self.phases:
            return self.stack(self.stft(wav).permute(0, 3, 1, 2))
        return self.stack(self.stft.magnitude(wav, FLOOR).unsqueeze(1))
