import itertools

import pytest
import torch

from speechkit.config import ConfigError
from speechkit.features.mel import HifiganMel, WhisperMel
from speechkit.models.vocoder.base import VocoderInput
from speechkit.models.vocoder.griffin_lim import GriffinLim, griffin_lim, magnitudes_of_mel, random_phases
from speechkit.nn.invertible_stft import InvertibleStft

SMALL = {"sampling_rate": 8000, "n_fft": 256, "hop_length": 60, "win_length": 240, "num_mel_bins": 20, "high_freq": 0.0}


def vocoder(mel=None, **options):
    featurizer = (mel or HifiganMel.Config(**SMALL)).build()
    return GriffinLim.Config(**options).build(given=VocoderInput.of(featurizer)), featurizer


def voice(seconds: float = 0.5, sampling_rate: int = 8000) -> torch.Tensor:
    time = torch.arange(round(seconds * sampling_rate)) / sampling_rate
    phase = 2 * torch.pi * (140 * time + 40 * time**2)
    return sum(torch.sin(k * phase) / k for k in range(1, 20)) * 0.2 + 0.01 * torch.randn(len(time))


def distance(stft: InvertibleStft, signal: torch.Tensor, magnitudes: torch.Tensor) -> float:
    """Spectral convergence over the whole spectrum, bins above n_fft / 2 included."""
    weights = torch.full_like(magnitudes[0], 2.0)
    weights[0] = weights[-1] = 1.0
    difference = ((stft(signal).abs() - magnitudes).square() * weights).sum()
    return float((difference / (magnitudes.square() * weights).sum()).sqrt())


@pytest.mark.parametrize("num_iters", [0, 5])
@pytest.mark.parametrize("momentum", [0.0, 0.99])
def test_the_true_phases_give_the_signal_back(num_iters, momentum):
    stft = InvertibleStft(64, 16, 60).double()
    signal = torch.randn(20 * 16 + 64, dtype=torch.float64)
    spectrum = stft(signal)
    start = spectrum / spectrum.abs()
    found = griffin_lim(spectrum.abs(), stft, start, num_iters, momentum)
    torch.testing.assert_close(found[3:-3], signal[3:-3], atol=1e-8, rtol=0)


def test_without_momentum_no_iteration_makes_it_worse():
    stft = InvertibleStft(256, 60, 240).double()
    for magnitudes in (stft(voice().double()).abs(), torch.rand(31, 129, dtype=torch.float64)):
        start = random_phases(magnitudes)
        errors = [distance(stft, griffin_lim(magnitudes, stft, start, n, 0.0), magnitudes) for n in range(25)]
        assert all(after <= before + 1e-12 for before, after in itertools.pairwise(errors))
        assert errors[-1] < 0.75 * errors[0]


def test_momentum_comes_closer_in_as_many_iterations():
    stft = InvertibleStft(256, 60, 240)
    magnitudes = stft(voice()).abs()
    start = random_phases(magnitudes)
    plain, fast = (distance(stft, griffin_lim(magnitudes, stft, start, 40, m), magnitudes) for m in (0.0, 0.99))
    assert fast < 0.9 * plain


def test_momentum_is_perraudins_algorithm():
    """Written down as the paper has it, in double precision, with the complex absolute value."""
    stft = InvertibleStft(64, 16, 64).double()
    magnitudes = torch.rand(9, 33, dtype=torch.float64)
    start = random_phases(magnitudes)

    def consistent(spectrum):
        return stft(stft.inverse(spectrum))

    def right(spectrum):
        return magnitudes * torch.exp(1j * spectrum.angle())

    c, t = start, consistent(right(start))
    for _ in range(7):
        t, before = consistent(right(c)), t
        c = t + 0.9 * (t - before)
    expected = stft.inverse(right(c))
    torch.testing.assert_close(griffin_lim(magnitudes, stft, start, 7, 0.9), expected, atol=1e-7, rtol=0)


def test_the_magnitudes_have_the_mel_spectrogram_asked_for():
    _, featurizer = vocoder()
    filters = torch.from_numpy(featurizer.config.filters()).float()
    true = InvertibleStft(256, 60, 240)(voice()).abs()
    mel = true @ filters
    found = magnitudes_of_mel(mel, filters)
    assert (found >= 0).all() and found.shape == true.shape
    assert ((found @ filters).log() - mel.log()).abs().mean() < 3e-3
    assert (found[:, ~filters.any(1)] == 0).all()


@pytest.mark.corpus
def test_the_magnitudes_of_real_speech_are_nearer_to_the_true_ones_than_those_of_the_pseudo_inverse(corpora):
    import soundfile

    wav = torch.from_numpy(soundfile.read(min((corpora / "ljspeech").rglob("*.wav")), dtype="float32")[0])
    filters = torch.from_numpy(HifiganMel.Config().filters()).float()
    true = InvertibleStft(1024, 256, 1024)(wav).abs() * filters.any(1)
    mel = true @ filters
    found, cut_off = magnitudes_of_mel(mel, filters), (mel @ torch.linalg.pinv(filters)).clamp(min=0)
    assert ((found @ filters).log() - mel.log()).abs().mean() < 1e-3
    assert (found - true).norm() < 0.85 * (cut_off - true).norm()


def test_flat_spectra_stay_flat():
    filters = torch.from_numpy(HifiganMel.Config(**SMALL).filters()).float()
    flat = torch.full((1, 129), 0.3) * filters.any(1)
    torch.testing.assert_close(magnitudes_of_mel(flat @ filters, filters), flat, atol=1e-4, rtol=0)


def test_it_speaks_what_the_featurizer_heard():
    speaker, featurizer = vocoder()
    wav = voice().unsqueeze(0)
    feats, lens = featurizer(wav, torch.tensor([wav.shape[1]]))
    out, out_lens = speaker.generate(feats, lens, torch.Generator().manual_seed(0))
    assert out.shape == (1, feats.shape[1] * 60) and out_lens.tolist() == [feats.shape[1] * 60]
    heard, _ = featurizer(out, out_lens)
    assert (heard - feats).abs().mean() < 0.15  # nepers; a random waveform is ten times further away


def test_every_frame_gives_a_hop_of_samples_and_padding_is_silent():
    speaker, _ = vocoder(num_iters=2)
    feats, lens = torch.randn(4, 7, 20) - 4, torch.tensor([7, 1, 0, 3])
    out, out_lens = speaker.generate(feats, lens, torch.Generator().manual_seed(0))
    assert out.shape == (4, 420) and out_lens.tolist() == [420, 60, 0, 180]
    assert all((row[length:] == 0).all() and (row[:length] != 0).any() == (length > 0) for row, length in zip(out, out_lens))
    alone = speaker.speak(feats[0], torch.Generator().manual_seed(0))
    torch.testing.assert_close(out[0], alone.clamp(-1, 1))


def test_the_same_seed_gives_the_same_waveform():
    speaker, _ = vocoder(num_iters=1)
    feats = torch.randn(5, 20) - 4
    one, same, other = (speaker.speak(feats, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert one.equal(same) and not one.equal(other)


def test_features_it_cannot_speak_are_named():
    with pytest.raises(ConfigError, match="expected features of hifigan for griffin_lim.*got whisper"):
        vocoder(WhisperMel.Config())
    with pytest.raises(ConfigError, match="only the size is known"):
        GriffinLim.Config().build(given=VocoderInput(20, 60, 8000))
    with pytest.raises(ConfigError, match="win_length: expected more than hop_length 60 samples for griffin_lim, got 60"):
        vocoder(HifiganMel.Config(**{**SMALL, "win_length": 60}))
