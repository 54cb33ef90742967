from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from speechkit.features.fbank import FLOAT_EPSILON, Fbank, Mfcc

KINDS = {"fbank": Fbank, "mfcc": Mfcc}
CORPORA = [("fsdd", "wav"), ("ljspeech", "wav"), ("mini_librispeech", "flac")]


def sound(sampling_rate: int, seconds: float = 0.7) -> torch.Tensor:
    """A vowel-like sum of harmonics with noise and an offset."""
    time = torch.arange(int(seconds * sampling_rate)) / sampling_rate
    harmonics = sum(torch.sin(2 * math.pi * 120 * k * time) / k for k in range(1, 20))
    noise = torch.randn(len(time), generator=torch.Generator().manual_seed(0))
    return 0.1 * harmonics + 0.02 * noise + 0.05


def ours(config, wav: torch.Tensor) -> torch.Tensor:
    return config.build().eval()(wav.unsqueeze(0), torch.tensor([len(wav)]))[0][0]


def kaldi(config, wav: torch.Tensor) -> torch.Tensor:
    """kaldi-native-fbank by its own API, its edges included."""
    import kaldi_native_fbank as knf

    kind = config.name.capitalize()
    options = getattr(knf, f"{kind}Options")()
    options.frame_opts.samp_freq = config.sampling_rate
    options.frame_opts.frame_length_ms = 1000 * config.frame_length
    options.frame_opts.frame_shift_ms = 1000 * config.frame_shift
    options.frame_opts.dither = 0.0
    options.frame_opts.snip_edges = config.snip_edges
    options.frame_opts.window_type = config.window
    options.frame_opts.preemph_coeff = config.preemphasis
    options.frame_opts.remove_dc_offset = config.remove_dc_offset
    options.mel_opts.num_bins = config.num_mel_bins
    options.mel_opts.low_freq = config.low_freq
    options.mel_opts.high_freq = config.high_freq
    options.use_energy = config.use_energy
    if kind == "Mfcc":
        options.num_ceps, options.cepstral_lifter = config.num_ceps, config.cepstral_lifter
    computer = getattr(knf, f"Online{kind}")(options)
    computer.accept_waveform(config.sampling_rate, wav.numpy())
    computer.input_finished()
    frames = [computer.get_frame(t) for t in range(computer.num_frames_ready)]
    return torch.from_numpy(np.stack(frames)) if frames else torch.zeros(0, computer.dim)


@pytest.mark.parametrize("sampling_rate", [8000, 11025, 16000, 22050, 44100])
@pytest.mark.parametrize("snip_edges", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_the_numbers_are_kaldis_at_every_rate_and_both_edges(kind, sampling_rate, snip_edges):
    config = KINDS[kind].Config(sampling_rate=sampling_rate, snip_edges=snip_edges)
    wav = sound(sampling_rate)
    torch.testing.assert_close(ours(config, wav), kaldi(config, wav), atol=1e-3, rtol=0)


@pytest.mark.parametrize(
    "options",
    [
        {"window": "hamming"},
        {"window": "hamming", "preemphasis": 0.0},
        {"window": "hanning", "remove_dc_offset": False},
        {"preemphasis": 1.0, "use_energy": True},
        {"use_energy": True, "remove_dc_offset": False},
        {"frame_length": 0.032, "frame_shift": 0.0125},
        {"low_freq": 100.0, "high_freq": 6000.0, "num_mel_bins": 40},
        {"high_freq": 0.0, "num_mel_bins": 23},
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", KINDS)
def test_the_numbers_are_kaldis_for_every_option(kind, options):
    config = KINDS[kind].Config(**options)
    wav = sound(16000)
    torch.testing.assert_close(ours(config, wav), kaldi(config, wav), atol=1e-3, rtol=0)


@pytest.mark.parametrize("options", [{"num_mel_bins": 40, "num_ceps": 40}, {"cepstral_lifter": 0.0}], ids=str)
def test_mfcc_options_are_kaldis(options):
    config = Mfcc.Config(**options)
    torch.testing.assert_close(ours(config, sound(16000)), kaldi(config, sound(16000)), atol=1e-3, rtol=0)


@pytest.mark.parametrize("length", [80, 81, 119, 120, 240, 399, 400, 401])
@pytest.mark.parametrize("snip_edges", [False, True])
def test_utterances_shorter_than_a_window_are_kaldis(length, snip_edges):
    config = Fbank.Config(snip_edges=snip_edges)
    wav = sound(16000)[:length]
    torch.testing.assert_close(ours(config, wav), kaldi(config, wav), atol=1e-3, rtol=0)


def test_the_numbers_are_lhotses():
    lhotse = pytest.importorskip("lhotse.features.kaldi.extractors")
    wav = sound(16000)
    expected = lhotse.Fbank(lhotse.FbankConfig()).extract(wav, 16000)
    torch.testing.assert_close(ours(Fbank.Config(), wav), expected, atol=1e-3, rtol=0)
    expected = lhotse.Mfcc(lhotse.MfccConfig(num_filters=23, num_ceps=13, cepstral_lifter=22)).extract(wav, 16000)
    torch.testing.assert_close(ours(Mfcc.Config(), wav), expected, atol=1e-3, rtol=0)


@pytest.mark.corpus
@pytest.mark.parametrize("kind", KINDS)
def test_the_numbers_are_kaldis_on_real_speech(kind, corpora):
    """Where a bin is 1e-12 of the frame's loudest, single-precision FFTs differ among themselves: Kaldi's and ours are
    equally far from double precision there, so the bound is on nearly all values, and wider on the worst."""
    import soundfile

    for name, suffix in CORPORA:
        path = min((corpora / name).rglob(f"*.{suffix}"))
        samples, sampling_rate = soundfile.read(path, dtype="float32")
        config = KINDS[kind].Config(sampling_rate=sampling_rate)
        wav = torch.from_numpy(samples)
        difference = (ours(config, wav) - kaldi(config, wav)).abs().flatten()
        assert difference.quantile(0.999) < 1e-3 and difference.max() < 1e-2, path


def test_silence_is_at_the_floor():
    feats = ours(Fbank.Config(use_energy=True), torch.zeros(1000))
    torch.testing.assert_close(feats, torch.full_like(feats, math.log(FLOAT_EPSILON)))
    feats = ours(Fbank.Config(energy_floor=1e-4), torch.zeros(1000))
    torch.testing.assert_close(feats, torch.full_like(feats, math.log(1e-4)))


def test_an_offset_makes_no_difference():
    wav = sound(16000)
    torch.testing.assert_close(ours(Fbank.Config(), wav + 0.3), ours(Fbank.Config(), wav), atol=1e-3, rtol=0)
    kept = Fbank.Config(remove_dc_offset=False)
    assert (ours(kept, wav + 0.3) - ours(kept, wav)).abs().max() > 1


def test_the_energy_comes_first_and_is_the_sum_of_squares():
    wav = sound(16000)
    frame = wav[1600:2000] - wav[1600:2000].mean()
    for kind in KINDS.values():
        feats = ours(kind.Config(use_energy=True, snip_edges=True), wav)
        assert feats[10, 0].item() == pytest.approx(math.log(frame.square().sum()), abs=1e-4)


def test_dither_is_for_training_only():
    featurizer = Fbank.Config(dither=0.1).build()
    wav, lens = sound(16000).unsqueeze(0), torch.tensor([11200])
    plain = ours(Fbank.Config(), wav[0])
    assert torch.equal(featurizer.eval()(wav, lens)[0][0], plain)
    torch.manual_seed(0)
    noisy = featurizer.train()(wav, lens)[0][0]
    torch.manual_seed(0)
    expected = ours(Fbank.Config(), wav[0] + 0.1 * torch.randn(1, 11200)[0])
    torch.testing.assert_close(noisy, expected)
    assert (noisy - plain).abs().mean() > 0.1
