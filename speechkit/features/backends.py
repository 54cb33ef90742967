"""Fbank and MFCC by other packages, for parity with toolkits that use them.

Each gets a signal whose edges are already mirrored and cuts it into whole windows, so that frame counts, padding and
streaming are the same with all of them. None has gradients. The packages are imported where they are used.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from speechkit.config import ConfigError

if TYPE_CHECKING:
    from speechkit.features.fbank import KaldiFeaturizer


def check(config: KaldiFeaturizer.Config) -> None:
    """Import what ``config.backend`` needs, and see that it can do what ``config`` asks.

    Raises:
        ConfigError: the package is missing or does not load, or has no such option.
    """
    if config.backend == "torch":
        return
    try:
        importlib.import_module(_MODULES[config.backend])
    except (ImportError, OSError) as error:  # OSError: built for another torch
        raise ConfigError(
            f"{config.name}.backend: expected {config.backend} to be installed, but it does not load ({error}); "
            f"run `pip install {_PIP[config.backend]}` or use backend: torch"
        ) from error
    default = type(config).model_fields["energy_floor"].default
    if config.energy_floor != default:
        raise ConfigError(
            f"{config.name}.energy_floor: expected {default:g}, which is fixed in {config.backend}, "
            f"got {config.energy_floor:g}; leave it out or use backend: torch"
        )


@torch.no_grad()
def compute(config: KaldiFeaturizer.Config, signal: Tensor) -> Tensor:
    """Features of the whole windows of ``signal`` (n,): (T, F), on its device."""
    return _COMPUTE[config.backend](config, signal.float()).to(signal)


def _kaldi_native_fbank(config: KaldiFeaturizer.Config, signal: Tensor) -> Tensor:
    import kaldi_native_fbank

    kind = config.name.capitalize()
    options = _fill(getattr(kaldi_native_fbank, f"{kind}Options")(), config)
    computer = getattr(kaldi_native_fbank, f"Online{kind}")(options)
    computer.accept_waveform(config.sampling_rate, signal.cpu().numpy())
    computer.input_finished()
    return torch.from_numpy(np.stack([computer.get_frame(t) for t in range(computer.num_frames_ready)]))


def _kaldifeat(config: KaldiFeaturizer.Config, signal: Tensor) -> Tensor:
    return _kaldifeat_computer(config, str(signal.device))(signal)


@functools.lru_cache(maxsize=8)  # not in the module, which must stay copyable
def _kaldifeat_computer(config: KaldiFeaturizer.Config, device: str) -> Any:
    import kaldifeat

    kind = config.name.capitalize()
    options = _fill(getattr(kaldifeat, f"{kind}Options")(), config)
    options.device = torch.device(device)
    return getattr(kaldifeat, kind)(options)


def _fill(options: Any, config: KaldiFeaturizer.Config) -> Any:
    """Set the options of kaldi_native_fbank and kaldifeat, which have the names of Kaldi's."""
    frame, mel = options.frame_opts, options.mel_opts
    frame.samp_freq = config.sampling_rate
    # The half sample keeps their rounding down from losing one.
    frame.frame_length_ms = 1000 * (config.window_length + 0.5) / config.sampling_rate
    frame.frame_shift_ms = 1000 * (config.hop_length + 0.5) / config.sampling_rate
    frame.dither, frame.snip_edges = 0.0, True
    frame.window_type, frame.preemph_coeff = config.window, config.preemphasis
    frame.remove_dc_offset = config.remove_dc_offset
    mel.num_bins, mel.low_freq, mel.high_freq = config.num_mel_bins, config.low_freq, config.high_freq
    options.use_energy = config.use_energy
    if config.name == "mfcc":
        options.num_ceps, options.cepstral_lifter = config.num_ceps, config.cepstral_lifter
    return options


def _torchaudio(config: KaldiFeaturizer.Config, signal: Tensor) -> Tensor:
    from torchaudio.compliance import kaldi

    cepstral = {}
    if config.name == "mfcc":
        cepstral = {"num_ceps": config.num_ceps, "cepstral_lifter": config.cepstral_lifter}
    return getattr(kaldi, config.name)(
        signal.unsqueeze(0),
        sample_frequency=config.sampling_rate,
        frame_length=1000 * (config.window_length + 0.5) / config.sampling_rate,
        frame_shift=1000 * (config.hop_length + 0.5) / config.sampling_rate,
        window_type=config.window,
        preemphasis_coefficient=config.preemphasis,
        remove_dc_offset=config.remove_dc_offset,
        num_mel_bins=config.num_mel_bins,
        low_freq=config.low_freq,
        high_freq=config.high_freq,
        use_energy=config.use_energy,
        energy_floor=config.energy_floor,
        **cepstral,
    )


_MODULES = {
    "kaldi_native_fbank": "kaldi_native_fbank",
    "kaldifeat": "kaldifeat",
    "torchaudio": "torchaudio.compliance.kaldi",
}
_PIP = {
    "kaldi_native_fbank": "kaldi-native-fbank",  # needed by speechkit itself, so there is no extra
    "kaldifeat": '"speechkit[kaldifeat]"',
    "torchaudio": '"speechkit[torchaudio]"',
}
_COMPUTE: dict[str, Callable[[KaldiFeaturizer.Config, Tensor], Tensor]] = {
    "kaldi_native_fbank": _kaldi_native_fbank,
    "kaldifeat": _kaldifeat,
    "torchaudio": _torchaudio,
}
