import math

import pytest
import torch

from speechkit.features.mel import HifiganMel, WhisperMel
from speechkit.features.prosody import LogF0Statistics, frame_energy, interpolate_unvoiced, mean_over_tokens


@pytest.mark.parametrize(
    "config",
    [HifiganMel.Config(), WhisperMel.Config(), WhisperMel.Config(n_fft=401, num_mel_bins=23)],
    ids=["hifigan", "whisper", "odd"],
)
def test_energy_is_the_norm_of_the_magnitude_spectrum(config):
    featurizer = config.build()
    wav = torch.randn(2, 4999) + 0.3  # with an offset, so that bin 0 matters
    lens = torch.tensor([4999, 2311])
    energy, energy_lens = frame_energy(featurizer, wav, lens)
    assert energy_lens.tolist() == featurizer.num_frames(lens).tolist()
    for row, each, length, frames in zip(energy, wav, lens.tolist(), energy_lens.tolist()):
        signal = featurizer.framing.extend(each[:length])
        stft = torch.stft(
            signal, config.n_fft, config.hop_length, window=featurizer.window, center=False, return_complex=True
        )
        torch.testing.assert_close(row[:frames], stft[:, :frames].abs().square().sum(0).sqrt(), rtol=1e-4, atol=1e-3)
        assert (row[frames:] == 0).all()


def test_silence_has_no_energy():
    energy, _ = frame_energy(HifiganMel.Config().build(), torch.zeros(1, 3000), torch.tensor([3000]))
    assert (energy == 0).all()


def test_gaps_are_filled_by_straight_lines_in_log_f0():
    f0 = torch.tensor([[0.0, 100, 0, 0, 0, 1600, 0], [0, 0, 0, 0, 0, 0, 0], [120, 0, 130, 0, 999, 0, 999]])
    filled = interpolate_unvoiced(f0, torch.tensor([7, 7, 4]))
    expected = torch.tensor([
        [100.0, 100, 200, 400, 800, 1600, 1600],
        [0, 0, 0, 0, 0, 0, 0],
        [120, math.sqrt(120 * 130), 130, 130, 0, 0, 0],
    ])
    torch.testing.assert_close(filled, expected)
    assert (filled[f0 > 0][:2] == f0[f0 > 0][:2]).all()  # voiced frames stay as they are, to the bit
    assert interpolate_unvoiced(torch.zeros(2, 0), torch.tensor([0, 0])).shape == (2, 0)


def test_means_over_tokens_are_exact():
    values = torch.tensor([[1.0, 2, 4, 8, 16], [3.0, 0, 6, 0, 0]])
    durations = torch.tensor([[2, 0, 3], [1, 2, 2]])
    plain = mean_over_tokens(values, durations)
    assert plain.tolist() == [[1.5, 0, pytest.approx(28 / 3)], [3, 3, 0]]
    voiced = mean_over_tokens(values, durations, skip_zeros=True)
    assert voiced.tolist() == [[1.5, 0, pytest.approx(28 / 3)], [3, 6, 0]]


def test_means_over_tokens_equal_a_loop_in_a_long_utterance():
    values = 300 * torch.rand(1, 4001) * (torch.rand(1, 4001) < 0.6)
    cuts = torch.cat([torch.tensor([0]), torch.randint(0, 4001, (700,)).sort().values, torch.tensor([4001])])
    means = mean_over_tokens(values, cuts.diff().unsqueeze(0), skip_zeros=True)[0]
    for mean, start, end in zip(means.tolist(), cuts[:-1].tolist(), cuts[1:].tolist()):
        voiced = values[0, start:end][values[0, start:end] > 0]
        assert mean == pytest.approx(float(voiced.double().mean()) if len(voiced) else 0.0, rel=1e-6)


def test_a_constant_survives_averaging_and_repeating():
    durations = torch.tensor([[3, 1, 5, 2]])
    tokens = torch.tensor([[1.1, 2.2, 3.3, 4.4]])
    frames = tokens[0].repeat_interleave(durations[0]).unsqueeze(0)
    torch.testing.assert_close(mean_over_tokens(frames, durations), tokens, rtol=1e-7, atol=0)


@pytest.mark.parametrize("durations", [[3, 3], [7, -2]])
def test_durations_that_do_not_fit_are_named(durations):
    with pytest.raises(ValueError, match="durations: expected frames >= 0 that add up to at most 5, got"):
        mean_over_tokens(torch.ones(1, 5), torch.tensor([durations]))


def test_statistics_are_those_of_all_voiced_frames_at_once():
    utterances = [250 * torch.rand(n) * (torch.rand(n) < 0.7) for n in (13, 1, 101, 0)] + [torch.zeros(5)]
    one, other = LogF0Statistics(), LogF0Statistics()
    for utterance in utterances[:2]:
        one.update(utterance)
    for utterance in utterances[2:]:
        other.update(utterance)
    one.merge(other)
    every = torch.cat(utterances).double()
    log_f0 = every[every > 0].log()
    assert one.count == len(log_f0)
    assert one.mean == pytest.approx(float(log_f0.mean()), rel=1e-12)
    assert one.std == pytest.approx(float(log_f0.std(correction=0)), rel=1e-12)
    normalized = one.normalize(every)
    voiced = every > 0
    assert (normalized[~voiced] == 0).all() and float(normalized[voiced].mean()) == pytest.approx(0, abs=1e-9)
    torch.testing.assert_close(one.denormalize(normalized)[voiced], every[voiced])


def test_statistics_of_nothing_are_an_error():
    statistics = LogF0Statistics()
    statistics.update(torch.zeros(4))
    with pytest.raises(ValueError, match="expected voiced frames, got none"):
        statistics.normalize(torch.ones(2))
