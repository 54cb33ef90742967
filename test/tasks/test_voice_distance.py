from __future__ import annotations

import numpy as np
import pytest
from spoken_toy import RATE, voice

from speechkit.features.pitch import AutocorrelationPitch
from speechkit.tasks.voice_distance import VoiceMeter, compare


@pytest.fixture(scope="module")
def meter():
    return VoiceMeter(RATE, AutocorrelationPitch.Config())


def test_pitch_and_spectrum_have_the_same_frames_of_10_ms(meter):
    look = meter.look(voice(0.7))
    assert look.log_mel.shape == (70, 80) and look.pitch.shape == (70,)
    voiced = look.pitch[15:55]
    expected = 150 * 1.5 ** ((np.arange(15, 55) + 0.5) / 70)
    assert np.abs(voiced / expected - 1).max() < 0.02
    assert np.all(look.pitch[:4] == 0)


def test_a_recording_is_no_distance_from_itself(meter):
    look = meter.look(voice(0.5))
    distance, pitch = compare(look, look)
    assert distance == 0 and pitch.squares == 0 and pitch.voicing == 0 and pitch.num_frames == 50


def test_neither_tempo_nor_loudness_is_a_distance_but_timbre_is(meter):
    natural = meter.look(voice(0.5))
    slow, loud = meter.look(voice(0.8)), meter.look(3 * voice(0.5))
    dull = voice(0.5)
    dull = meter.look(dull + np.roll(dull, 1))
    (tempo, _), (loudness, _), (timbre, _) = (compare(natural, each) for each in (slow, loud, dull))
    assert tempo < 2.2 and loudness < 0.5 and timbre > 3


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 24000, 44100, 48000])
def test_every_usual_sampling_rate_can_be_measured(rate):
    meter = VoiceMeter(rate, AutocorrelationPitch.Config())
    assert meter.look(np.ones(rate // 5, np.float32)).log_mel.shape == (20, 80)
