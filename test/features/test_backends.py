from __future__ import annotations

import importlib

import pytest
import torch

from speechkit.config import ConfigError
from speechkit.features import backends
from speechkit.features.fbank import Fbank, Mfcc

CASES = [
    Fbank.Config(),
    Fbank.Config(snip_edges=True, use_energy=True, window="hamming"),
    Fbank.Config(sampling_rate=22050, preemphasis=0.9, remove_dc_offset=False),
    Fbank.Config(sampling_rate=8000, low_freq=0.0, high_freq=0.0, num_mel_bins=23),
    Mfcc.Config(),
    Mfcc.Config(sampling_rate=8000, num_ceps=20, cepstral_lifter=0.0),
    Mfcc.Config(use_energy=True),
]


OPTIONAL = [pytest.param(name, marks=pytest.mark.optional) for name in ("kaldifeat", "torchaudio")]


@pytest.fixture(params=["kaldi_native_fbank", *OPTIONAL])
def backend(request) -> str:
    try:
        backends.check(Fbank.Config(backend=request.param))
    except ConfigError as error:
        pytest.skip(str(error))
    return request.param


def with_backend(config, backend: str):
    return type(config)(**{**config.model_dump(), "backend": backend})


@pytest.mark.parametrize("config", CASES, ids=lambda config: config.name)
def test_every_backend_gives_the_same_numbers(config, backend):
    wav = 0.1 * torch.randn(2, 5000, generator=torch.Generator().manual_seed(0))
    wav_lens = torch.tensor([5000, 50])
    expected, expected_lens = config.build()(wav, wav_lens)
    feats, feat_lens = with_backend(config, backend).build()(wav, wav_lens)
    assert torch.equal(feat_lens, expected_lens)
    torch.testing.assert_close(feats, expected, atol=1e-3, rtol=0)


def test_every_backend_streams(backend):
    wav = 0.1 * torch.randn(3000, generator=torch.Generator().manual_seed(0))
    featurizer = Fbank.Config(backend=backend).build()
    stream = featurizer.stream()
    online = torch.cat([*(stream.push(piece) for piece in wav.split(333)), stream.flush()])
    torch.testing.assert_close(online, featurizer(wav[None], torch.tensor([3000]))[0][0], atol=1e-5, rtol=1e-6)


def test_every_backend_takes_a_batch_at_once(backend):
    wav, wav_lens = torch.randn(2, 3000, generator=torch.Generator().manual_seed(0)), torch.tensor([3000, 1000])
    featurizer = Fbank.Config(backend=backend).build()
    torch.testing.assert_close(featurizer._batched(wav, wav_lens), featurizer(wav, wav_lens)[0], atol=1e-5, rtol=1e-6)


@pytest.mark.parametrize("error", [ImportError("No module named 'kaldifeat'"), OSError("undefined symbol")])
def test_a_missing_or_broken_package_is_an_error_that_names_the_extra(monkeypatch, error):
    def fail(name: str) -> None:
        raise error

    monkeypatch.setattr(importlib, "import_module", fail)
    expected = rf'fbank.backend: expected kaldifeat to be installed.*{error}.*pip install "speechkit\[kaldifeat\]"'
    with pytest.raises(ConfigError, match=expected):
        Fbank.Config(backend="kaldifeat").build()


def test_an_option_that_a_backend_lacks_is_an_error():
    with pytest.raises(ConfigError, match=r"fbank.energy_floor: expected 1.19209e-07.*got 0.001"):
        Fbank.Config(backend="kaldi_native_fbank", energy_floor=1e-3).build()
