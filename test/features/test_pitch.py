import itertools
import sys

import numpy as np
import pytest
import torch

from speechkit.config import ConfigError, validate
from speechkit.features.fbank import Fbank
from speechkit.features.mel import HifiganMel, WhisperMel
from speechkit.features.pitch import AutocorrelationPitch, PitchExtractor, WorldPitch, best_path

HIFIGAN = HifiganMel.Config().build()
FEATURIZERS = {"hifigan": HIFIGAN, "whisper": WhisperMel.Config().build(), "fbank": Fbank.Config().build()}


def voice(f0: torch.Tensor, sampling_rate: int, harmonics=range(1, 21)) -> torch.Tensor:
    """Samples (L,) of harmonics that fall off by 6 dB per octave, of an F0 (L,) that may change from sample to sample."""
    phase = 2 * torch.pi * (f0.double() / sampling_rate).cumsum(0)
    waves = [torch.sin(k * phase) / k * (k * f0 < 0.45 * sampling_rate) for k in harmonics]
    return 0.2 * torch.stack(waves).sum(0).float()


def measure(extractor, wav: torch.Tensor) -> torch.Tensor:
    return extractor(wav.unsqueeze(0), torch.tensor([len(wav)]))[0][0]


EXTRACTORS = [
    AutocorrelationPitch.Config(),
    pytest.param(WorldPitch.Config(), marks=pytest.mark.optional),
    pytest.param(WorldPitch.Config(algorithm="dio"), marks=pytest.mark.optional),
]


def build(config, featurizer):
    if config.name == "world":
        pytest.importorskip("pyworld")
    return config.build(featurizer=featurizer)


@pytest.mark.parametrize("sampling_rate", [16000, 22050, 48000])
def test_a_steady_voice_is_measured_to_a_few_hundredths_of_a_percent(sampling_rate):
    extractor = AutocorrelationPitch.Config().build(featurizer=HifiganMel.Config(sampling_rate=sampling_rate).build())
    for f0 in (78.0, 131.3, 220.0, 443.7, 590.0):
        found = measure(extractor, voice(torch.full((sampling_rate // 3,), f0), sampling_rate))[3:-3]
        assert (found / f0 - 1).abs().max() < 5e-4, f0


def test_a_voice_without_its_fundamental_has_the_same_f0():
    wav = voice(torch.full((11025,), 150.0), 22050, harmonics=range(3, 9))
    assert (measure(AutocorrelationPitch.Config().build(featurizer=HIFIGAN), wav)[3:-3] / 150 - 1).abs().max() < 1e-4


@pytest.mark.parametrize("config", EXTRACTORS)
@pytest.mark.parametrize("featurizer", FEATURIZERS.values(), ids=FEATURIZERS)
def test_a_glide_is_measured_at_the_middle_of_the_featurizers_frames(config, featurizer):
    glide = 120 * 2 ** torch.linspace(0, 1, 2 * featurizer.sampling_rate)
    found = measure(build(config, featurizer), voice(glide, featurizer.sampling_rate))
    middle = featurizer.framing.window_length // 2 - featurizer.framing.left
    expected = glide[middle :: featurizer.hop_length][: len(found)]
    inner = slice(10, len(expected) - 10)
    error = found[inner] / expected[inner] - 1
    # Half a frame off would be 0.2 % on average.
    assert error.mean().abs() < 2e-4 and error.abs().max() < 1e-2


@pytest.mark.parametrize("config", EXTRACTORS)
def test_silence_and_noise_are_unvoiced_and_the_voice_between_is_not(config):
    quiet, noise = torch.zeros(11025), 0.05 * torch.randn(11025)
    wav = torch.cat([quiet, voice(torch.full((11025,), 200.0), 22050), noise])
    found = measure(build(config, HIFIGAN), wav)
    frames = 11025 / 256
    assert (found[: int(frames) - 3] == 0).all()
    assert (found[int(frames) + 3 : int(2 * frames) - 3] - 200).abs().max() < 1
    wrong = (found[int(2 * frames) + 3 :] > 0).float().mean()
    assert wrong < (0.1 if config.name == "autocorrelation" else 0.7)  # WORLD finds voice in noise, and leaves it to users


@pytest.mark.parametrize("config", EXTRACTORS)
@pytest.mark.parametrize("featurizer", FEATURIZERS.values(), ids=FEATURIZERS)
def test_there_are_as_many_values_as_frames_and_padding_does_not_matter(config, featurizer):
    extractor = build(config, featurizer)
    lens = torch.tensor([4001, 1, 0, 2560, 399])
    wav = voice(torch.full((4001,), 180.0), featurizer.sampling_rate) + 1e-3 * torch.randn(5, 4001)
    f0, f0_lens = extractor(wav, lens)
    assert f0.shape == (5, featurizer.num_frames(4001)) and f0.dtype == torch.float32
    assert f0_lens.tolist() == featurizer.num_frames(lens).tolist()
    for row, each, length, frames in zip(f0, wav, lens.tolist(), f0_lens.tolist()):
        assert (row[frames:] == 0).all()
        if frames:
            torch.testing.assert_close(row[:frames], measure(extractor, each[:length]), rtol=0, atol=0)


def test_more_frames_than_a_block_are_those_of_their_parts():
    extractor = AutocorrelationPitch.Config().build(featurizer=HifiganMel.Config(hop_length=32).build())
    found = measure(extractor, voice(100 * 2 ** torch.linspace(0, 1, 32 * 1100), 22050))
    assert len(found) == 1100 and (found[20:-20].diff() / found[20:-21]).max() < 0.002 and (found[20:-20].diff() > 0).all()


def test_the_path_is_the_best_of_all():
    source = np.random.default_rng(0)
    for _ in range(20):
        f0 = source.uniform(80, 500, (5, 4))
        f0[:, 0] = 0
        strengths = source.uniform(0, 1, (5, 4))
        strengths[source.uniform(size=(5, 4)) < 0.2] = -np.inf
        strengths[:, 0] = 0.5

        def worth(path, f0=f0, strengths=strengths):
            total = sum(strengths[t, c] for t, c in enumerate(path))
            for (s, b), (t, c) in itertools.pairwise(enumerate(path)):
                one, other = f0[s, b], f0[t, c]
                total -= 0.3 * ((one > 0) != (other > 0)) + (0.7 * abs(np.log2(one / other)) if one and other else 0)
            return total

        best = max(itertools.product(range(4), repeat=5), key=worth)
        assert best_path(f0, strengths, 0.7, 0.3).tolist() == list(best)


def test_a_costly_jump_is_not_made_for_one_frame():
    f0 = np.array([[0, 200, 100], [0, 200, 100], [0, 200, 100.0]])
    strengths = np.array([[0.4, 0.9, 0.8], [0.4, 0.8, 0.9], [0.4, 0.9, 0.8]])
    assert best_path(f0, strengths, 0.35, 0.14).tolist() == [1, 1, 1]
    assert best_path(f0, strengths, 0.0, 0.0).tolist() == [1, 2, 1]


def test_options_that_do_not_fit_are_named():
    with pytest.raises(ConfigError, match="max_f0: expected more than min_f0 75 Hz, got 70"):
        validate(PitchExtractor.registry["autocorrelation"].Config, {"max_f0": 70.0})
    with pytest.raises(ConfigError, match="pitch.max_f0: expected at most 2000 Hz.*8000, got 2500"):
        low = HifiganMel.Config(sampling_rate=8000, high_freq=0.0).build()
        AutocorrelationPitch.Config(max_f0=2500.0).build(featurizer=low)


def test_without_pyworld_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyworld", None)
    with pytest.raises(ConfigError, match=r"speechkit\[tts\].*pitch.name=autocorrelation"):
        WorldPitch.Config().build(featurizer=HIFIGAN)


@pytest.mark.corpus
@pytest.mark.optional
def test_real_speech_has_the_f0_that_praat_finds(corpora):
    parselmouth = pytest.importorskip("parselmouth")
    import soundfile

    extractor = AutocorrelationPitch.Config().build(featurizer=HIFIGAN)
    ours, theirs = [], []
    for path in sorted((corpora / "ljspeech").rglob("*.wav"))[:4]:
        wav = soundfile.read(path, dtype="float32")[0]
        found = measure(extractor, torch.from_numpy(wav)).numpy()
        # Praat's frames lie symmetrically in the recording; half a hop and whole ones around it put them where ours are.
        padded = np.pad(wav[: 256 * len(found)], 128 + 2560).astype(float)
        sound = parselmouth.Sound(padded, 22050)
        pitch = sound.to_pitch_ac(256 / 22050, 75.0, 15, False, 0.03, 0.45, 0.01, 0.35, 0.14, 600.0)
        first = (pitch.xs()[0] * 22050 - 0.5 - 2560 - 256) / 256
        assert first == pytest.approx(round(first), abs=0.01)
        theirs.append(pitch.selected_array["frequency"][-round(first) :][: len(found)])
        ours.append(found)
    ours, theirs = np.concatenate(ours), np.concatenate(theirs)
    both = (ours > 0) & (theirs > 0)
    assert both.mean() > 0.5 and ((ours > 0) != (theirs > 0)).mean() < 0.003
    assert np.median(np.abs(ours / np.where(both, theirs, 1) - 1)[both]) < 2e-4
    assert np.quantile(np.abs(ours / np.where(both, theirs, 1) - 1)[both], 0.99) < 5e-3
