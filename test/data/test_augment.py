from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from lhotse import Recording, SupervisionSegment
from lhotse.cut import MonoCut
from lhotse.utils import fastcopy

from speechkit.config import ConfigError, validate
from speechkit.data.audio import load_audio
from speechkit.data.augment import (
    AugmentConfig,
    Augmenter,
    NoiseConfig,
    ReverbConfig,
    SpeedConfig,
    VolumeConfig,
    add_noise,
    origin_id,
    reverberate,
    synthetic_noise,
    synthetic_rir,
)
from speechkit.data.cuts import write_cuts

RATE = 8000
CORPORA = os.environ.get("SPEECHKIT_CORPORA")
EVERYTHING = AugmentConfig(
    speed=SpeedConfig(), reverb=ReverbConfig(p=1.0), noise=NoiseConfig(p=1.0), volume=VolumeConfig()
)


def power(audio: np.ndarray) -> float:
    return float(np.mean(np.square(audio, dtype=np.float64)))


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    return np.random.default_rng(0).standard_normal(4001).astype(np.float32) * np.float32(0.1)


@pytest.fixture(scope="module")
def cut(tmp_path_factory, speech) -> MonoCut:
    path = tmp_path_factory.mktemp("augment") / "one.wav"
    soundfile.write(path, speech, RATE, subtype="FLOAT")
    cut = Recording.from_file(path).to_cut()
    cut.supervisions = [SupervisionSegment("one", "one", 0.0, cut.duration, text="one", speaker="ann")]
    return cut


def renamed(cut: MonoCut, number: int) -> MonoCut:
    return fastcopy(cut, id=f"cut-{number}")


def perturbed(augmenter: Augmenter, cut: MonoCut, epoch: int) -> np.ndarray:
    cut = augmenter(cut, epoch)
    return augmenter.perturb_audio(load_audio(cut, RATE), cut, RATE)


# --- determinism ----------------------------------------------------------------------------------------------------


def test_the_result_depends_on_seed_epoch_and_id_alone(cut):
    first = perturbed(Augmenter(EVERYTHING, seed=1), cut, 2)
    busy = Augmenter(EVERYTHING, seed=1)
    for number in range(3):
        perturbed(busy, renamed(cut, number), 7)
    np.testing.assert_array_equal(perturbed(busy, cut, 2), first)
    for other in (
        perturbed(Augmenter(EVERYTHING, seed=2), cut, 2),
        perturbed(busy, cut, 3),
        perturbed(busy, renamed(cut, 5), 2),
    ):
        assert len(other) != len(first) or np.abs(other - first).max() > 1e-4


@pytest.mark.parametrize("block", ["noise", "reverb", "volume"])
def test_every_effect_changes_with_epoch_and_id(cut, block):
    config = {"noise": NoiseConfig(p=1.0), "reverb": ReverbConfig(p=1.0), "volume": VolumeConfig()}[block]
    augmenter = Augmenter(AugmentConfig(**{block: config}))
    results = [perturbed(augmenter, renamed(cut, number), epoch) for number in (0, 1) for epoch in (0, 1)]
    for i, one in enumerate(results):
        assert all(np.abs(one - other).max() > 1e-5 for other in results[:i])


def test_effects_are_drawn_independently(cut, monkeypatch):
    augmenter = Augmenter(AugmentConfig(noise=NoiseConfig(p=0.5), volume=VolumeConfig(p=0.5)))
    applied: list[str] = []
    for effect in ("noise", "volume"):
        monkeypatch.setattr(augmenter, f"_{effect}", lambda audio, *_, effect=effect: applied.append(effect) or audio)
    counts: Counter[tuple[str, ...]] = Counter()
    for number in range(400):
        applied.clear()
        perturbed(augmenter, renamed(cut, number), 0)
        counts[tuple(applied)] += 1
    assert set(counts) == {(), ("noise",), ("volume",), ("noise", "volume")} and min(counts.values()) > 60


def test_an_effect_does_not_change_the_draws_of_another(cut):
    volume = AugmentConfig(volume=VolumeConfig(min_db=-20.0))
    quiet = perturbed(Augmenter(volume), cut, 0)
    with_nothing_else_audible = AugmentConfig(
        volume=volume.volume, noise=NoiseConfig(min_snr=200.0, max_snr=200.0, p=1.0)
    )
    np.testing.assert_allclose(perturbed(Augmenter(with_nothing_else_audible), cut, 0), quiet, rtol=1e-4, atol=1e-7)


def test_nothing_configured_changes_nothing(cut, speech):
    augmenter = Augmenter(AugmentConfig())
    marked = augmenter(cut, 3)
    assert marked.id == cut.id and marked.duration == cut.duration
    np.testing.assert_array_equal(perturbed(augmenter, cut, 3), speech)


@pytest.mark.parametrize("block", ["noise", "reverb", "volume"])
def test_p_is_the_share_of_utterances_that_change(cut, speech, block):
    config = {"noise": NoiseConfig(p=0.25), "reverb": ReverbConfig(p=0.25), "volume": VolumeConfig(p=0.25)}[block]
    augmenter = Augmenter(AugmentConfig(**{block: config}))
    changed = sum(not np.array_equal(perturbed(augmenter, renamed(cut, i), 0), speech) for i in range(400))
    assert 70 <= changed <= 130  # 100 expected, standard deviation 8.7


# --- speed ----------------------------------------------------------------------------------------------------------


def test_speed_factors_are_uniform_and_change_with_the_epoch(cut):
    augmenter = Augmenter(AugmentConfig(speed=SpeedConfig()))
    counts = Counter(augmenter.speed(renamed(cut, i), 0) for i in range(3000))
    assert set(counts) == {0.9, 1.0, 1.1} and min(counts.values()) > 900
    assert len({augmenter.speed(cut, epoch) for epoch in range(20)}) == 3


def test_p_of_speed_leaves_the_rest_alone(cut):
    augmenter = Augmenter(AugmentConfig(speed=SpeedConfig(factors=(0.5, 2.0), p=0.5)))
    counts = Counter(augmenter.speed(renamed(cut, i), 0) for i in range(2000))
    assert 900 < counts[1.0] < 1100 and min(counts[0.5], counts[2.0]) > 400


def test_a_faster_cut_is_shorter_and_keeps_its_first_id_and_text(cut):
    fast = Augmenter(AugmentConfig(speed=SpeedConfig(factors=(1.25,))))(cut, 0)
    assert fast.num_samples == round(cut.num_samples / 1.25) and len(load_audio(fast, RATE)) == fast.num_samples
    assert fast.id == "one_sp1.25" and origin_id(fast) == "one" == origin_id(cut)
    assert fast.supervisions[0].text == "one" and fast.supervisions[0].duration == pytest.approx(
        fast.duration, abs=2e-4
    )
    assert cut.id == "one" and cut.num_samples == 4001  # the cut of the manifest is untouched


def test_appended_cuts_are_augmented_as_one(cut):
    both = cut.append(renamed(cut, 1)).with_id("both")
    augmenter = Augmenter(AugmentConfig(speed=SpeedConfig(factors=(1.25,)), volume=VolumeConfig()))
    fast = augmenter(both, 0)
    assert (
        origin_id(fast) == "both" and fast.id == "both_sp1.25" and fast.num_samples == pytest.approx(8002 / 1.25, abs=1)
    )
    loaded = load_audio(fast, RATE)
    gains = augmenter.perturb_audio(loaded, fast, RATE)[np.abs(loaded) > 0.01] / loaded[np.abs(loaded) > 0.01]
    assert gains == pytest.approx(gains[0], rel=1e-4) and abs(gains[0] - 1) > 1e-3
    assert not np.array_equal(perturbed(augmenter, both, 0), perturbed(augmenter, both, 1))


def test_a_cut_without_recording_is_named(cut):
    with pytest.raises(ValueError, match="cut one: expected a recording to augment, got none"):
        Augmenter(EVERYTHING)(fastcopy(cut, recording=None), 0)


def test_custom_fields_of_a_cut_are_kept(cut):
    marked = Augmenter(EVERYTHING)(fastcopy(cut, custom={"dialect": "north"}), 0)
    assert marked.custom["dialect"] == "north" and origin_id(marked) == "one"


# --- volume and noise -----------------------------------------------------------------------------------------------


def test_volume_is_a_gain_between_its_limits(cut, speech):
    augmenter = Augmenter(AugmentConfig(volume=VolumeConfig(min_db=-6.0, max_db=12.0)))
    gains = np.array([np.median(perturbed(augmenter, renamed(cut, i), 0) / speech) for i in range(200)])
    decibels = 20 * np.log10(gains)
    assert -6.001 <= decibels.min() < -4 and 10 < decibels.max() <= 12.001


@pytest.mark.parametrize("snr", [-5.0, 0.0, 20.0])
def test_noise_is_added_at_the_ratio_asked_for(speech, snr):
    noise = synthetic_noise(len(speech), "pink", np.random.default_rng(1))
    added = add_noise(speech, noise, snr) - speech
    assert 10 * np.log10(power(speech) / power(added)) == pytest.approx(snr, abs=1e-3)


def test_silence_has_no_ratio_and_stays_as_it_is(speech):
    silence = np.zeros_like(speech)
    np.testing.assert_array_equal(add_noise(silence, speech, 0.0), silence)
    np.testing.assert_array_equal(add_noise(speech, silence, 0.0), speech)


@pytest.mark.parametrize("color, slope", [("white", 0.0), ("pink", -1.0)])
def test_synthetic_noise_has_the_spectrum_of_its_color(color, slope):
    noise = synthetic_noise(2**16, color, np.random.default_rng(0))
    spectrum = np.abs(np.fft.rfft(noise)) ** 2
    edges = 2 ** np.arange(4, 16)
    bands = [spectrum[low:high].mean() for low, high in zip(edges, edges[1:])]
    fitted = np.polyfit(np.log2(edges[:-1]), np.log2(bands), 1)[0]
    assert fitted == pytest.approx(slope, abs=0.1)


@pytest.fixture
def noises(tmp_path) -> Path:
    random = np.random.default_rng(0)
    for name, seconds in (("short", 0.1), ("long", 2.0)):
        soundfile.write(tmp_path / f"{name}.wav", random.uniform(-1, 1, round(16000 * seconds)), 16000)
    return tmp_path


def test_noise_comes_from_a_manifest_or_a_folder(cut, noises):
    cuts = [Recording.from_file(path).to_cut() for path in sorted(noises.glob("*.wav"))]
    write_cuts(cuts, noises / "noise.jsonl.gz")

    def draw(source):
        augmenter = Augmenter(AugmentConfig(noise=NoiseConfig(cuts=str(source), min_snr=3.0, max_snr=3.0, p=1.0)))
        return [perturbed(augmenter, renamed(cut, i), 0) for i in range(8)]

    from_manifest = draw(noises / "noise.jsonl.gz")
    for one, other in zip(from_manifest, draw(noises)):
        np.testing.assert_array_equal(one, other)
        added = one - load_audio(cut, RATE)
        assert 10 * np.log10(power(load_audio(cut, RATE)) / power(added)) == pytest.approx(3, abs=1e-3)
    assert np.abs(from_manifest[0] - from_manifest[1]).max() > 1e-3


def test_missing_noise_is_an_error_at_once(tmp_path):
    with pytest.raises(ValueError, match=r"none\.jsonl\.gz: no such manifest"):
        Augmenter(AugmentConfig(noise=NoiseConfig(cuts=str(tmp_path / "none.jsonl.gz"))))
    with pytest.raises(ValueError, match="expected recordings to augment with, got none"):
        Augmenter(AugmentConfig(reverb=ReverbConfig(cuts=str(tmp_path))))


# --- reverberation --------------------------------------------------------------------------------------------------


def test_reverberation_is_a_convolution_at_the_time_and_power_of_the_direct_sound(speech):
    rir = np.zeros(301, np.float32)
    rir[[40, 90, 300]] = 1.0, 0.5, -0.25
    expected = np.convolve(speech, rir)[40 : 40 + len(speech)]
    expected *= np.sqrt(power(speech) / power(expected))
    np.testing.assert_allclose(reverberate(speech, rir), expected, atol=1e-5)


def test_a_response_longer_than_the_utterance_is_no_circle(speech):
    rir = np.random.default_rng(2).standard_normal(9001).astype(np.float32)
    delay = int(np.argmax(np.abs(rir)))
    expected = np.convolve(speech, rir)[delay : delay + len(speech)]
    expected *= np.sqrt(power(speech) / power(expected))
    np.testing.assert_allclose(reverberate(speech, rir), expected, atol=1e-4)


def test_silence_stays_silent_in_any_room(speech):
    assert not reverberate(np.zeros_like(speech), np.ones(7, np.float32)).any()


@pytest.mark.parametrize("rt60", [0.2, 0.6])
@pytest.mark.parametrize("drr", [0.0, 10.0])
def test_a_synthetic_room_has_its_decay_and_its_direct_sound(rt60, drr):
    rir = synthetic_rir(rt60, drr, 16000, np.random.default_rng(0)).astype(np.float64)
    assert rir[0] == 1 == np.abs(rir).max() and 10 * np.log10(1 / np.sum(rir[1:] ** 2)) == pytest.approx(drr, abs=1e-3)
    decay = 10 * np.log10(np.cumsum(rir[:0:-1] ** 2)[::-1])  # Schroeder's backward integration
    decay -= decay[0]
    begin, end = np.argmax(decay < -5), np.argmax(decay < -35)
    assert 2 * (end - begin) / 16000 == pytest.approx(rt60, rel=0.1)


# --- configs --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "raw, complaint",
    [
        ({"speed": {"factors": [0.9, -1.0]}}, "speed.factors.1"),
        ({"speed": {"factors": []}}, "speed.factors"),
        ({"noise": {"p": 1.5}}, "noise.p"),
        ({"noise": {"min_snr": 9.0, "max_snr": 3.0}}, "expected min_snr <= max_snr, got 9.0 and 3.0"),
        ({"reverb": {"min_rt60": 0.0}}, "reverb.min_rt60"),
        ({"noise": {"colour": "pink"}}, "noise.color"),
    ],
)
def test_impossible_settings_are_refused(raw, complaint):
    with pytest.raises(ConfigError, match=complaint):
        validate(AugmentConfig, raw)


def test_settings_are_read_from_plain_values():
    config = validate(AugmentConfig, {"speed": {"factors": [0.95, 1.0]}, "noise": {"cuts": "noise.jsonl.gz"}})
    assert config.speed.factors == (0.95, 1.0) and config.noise.cuts == "noise.jsonl.gz" and config.volume is None


# --- real noises and rooms ------------------------------------------------------------------------------------------


@pytest.mark.corpus
@pytest.mark.skipif(CORPORA is None, reason="SPEECHKIT_CORPORA is not set")
def test_real_noises_and_rooms_leave_usable_audio(cut, speech):
    config = AugmentConfig(
        reverb=ReverbConfig(cuts=f"{CORPORA}/rirs", p=1.0),
        noise=NoiseConfig(cuts=f"{CORPORA}/noise/esc10", min_snr=10.0, max_snr=10.0, p=1.0),
    )
    augmenter = Augmenter(config)
    assert len(augmenter.rirs) == 8 and len(augmenter.noises) == 400
    for number in range(24):
        audio = perturbed(augmenter, renamed(cut, number), 0)
        assert audio.shape == speech.shape and np.isfinite(audio).all()
        assert power(audio) == pytest.approx(1.1 * power(speech), rel=0.15)
