from __future__ import annotations

import shutil
import types

import numpy as np
import pytest
import soundfile
import torch
import tts_toy

import speechkit
from speechkit.data.audio import read_audio
from speechkit.models.acoustic.base import Controls, Spoken
from speechkit.models.vocoder.griffin_lim import GriffinLim
from speechkit.tasks import synthesizer
from speechkit.tasks.manner import Manner
from speechkit.tasks.synthesizer import Synthesizer, stretch
from speechkit.tasks.tts import SpeakerTable
from speechkit.text.passages import Pauses
from speechkit.utils.model_dir import write_checksums

RATE, HOP = 8000, 48


@pytest.fixture(scope="module")
def exp(tmp_path_factory):
    """A voice that obeys nothing."""
    return tts_toy.finish(tmp_path_factory.mktemp("voice"), overrides=("normalizer=basic",))


@pytest.fixture(scope="module")
def noisy_exp(tmp_path_factory):
    """A voice that obeys much."""
    changes = ("model=toy_noisy", "normalizer=basic", "tokenizer.unknown=token")
    return tts_toy.finish(tmp_path_factory.mktemp("noisy"), overrides=changes)


@pytest.fixture(scope="module")
def vocoder_exp(tmp_path_factory):
    return tts_toy.finish(tmp_path_factory.mktemp("vocoder"), tts_toy.VOCODER)


@pytest.fixture(scope="module")
def told_exp(tmp_path_factory):
    """A voice that obeys recordings and styles."""
    options = "{name: style_tokens, num_tokens: 3, num_heads: 7, reference_dim: 5, channels: [3, 4]}"
    changes = (f"model={{name: toy_told, conditions: [{options}]}}", "trim={margin: 0.0}", "normalizer=basic")
    return tts_toy.finish(tmp_path_factory.mktemp("told"), overrides=changes)


@pytest.fixture
def told(told_exp):
    return in_a_hurry(speechkit.load(told_exp))


@pytest.fixture
def voice(exp):
    return in_a_hurry(speechkit.load(exp))


@pytest.fixture
def noisy(noisy_exp):
    return in_a_hurry(speechkit.load(noisy_exp))


def in_a_hurry(synthesizer):
    """With a Griffin-Lim that does next to nothing."""
    synthesizer.vocoder.config = GriffinLim.Config(num_iters=1)
    return synthesizer


def spoken_feats(synthesizer, text="low", **manner):
    """What reaches the vocoder of each passage."""
    feats = []
    generate = synthesizer.vocoder.generate
    synthesizer.vocoder.generate = lambda f, lens, generator: feats.append(f) or generate(f, lens, generator)
    synthesizer.synthesize(text, **manner)
    synthesizer.vocoder.generate = generate
    return feats


def tone(path, frequency, rate=RATE, silence=0.0):
    """A recording of 0.5 s in stereo, with silence around it."""
    wave = 0.3 * np.sin(2 * np.pi * frequency * np.arange(rate // 2) / rate)
    around = np.zeros(round(silence * rate))
    soundfile.write(path, np.stack([np.concatenate([around, wave, around])] * 2, 1), rate)
    return path


def changed(model_dir, tmp_path, old, new):
    """A copy of a model directory with another config."""
    target = tmp_path / "changed"
    shutil.copytree(model_dir, target)
    text = (target / "config.yaml").read_text()
    assert old in text
    (target / "config.yaml").write_text(text.replace(old, new))
    write_checksums(target)
    return target


def test_a_voice_says_a_text_in_samples_that_belong_to_its_tokens(voice):
    said = voice.synthesize("low high low")
    assert said.samples.dtype == np.float32 and said.sampling_rate == RATE and np.abs(said.samples).max() <= 1
    assert said.tokens == ("low", "high", "low") and said.token_frames == (5, 5, 5)
    assert len(said.samples) == 15 * HOP and said.frame_shift == HOP / RATE and said.duration == 15 * HOP / RATE
    assert said.finished and said.text == "low high low" and said.samples.any()


def test_what_is_vocoded_are_the_features_of_the_model_in_their_own_scale(voice):
    feats = []
    voice.vocoder = types.SimpleNamespace(
        generate=lambda f, lens, generator: (feats.append(f) or torch.zeros(1, 10 * HOP), 0)
    )
    voice.synthesize("low high")
    ids = torch.tensor([voice.tokenize("low high")])
    plain = voice.model.acoustic.synthesize(ids, torch.tensor([2]), voice._controls(Manner(), None)).feats
    torch.testing.assert_close(feats[0], plain / voice.model.cmvn.inv_std + voice.model.cmvn.mean)


def test_the_same_call_is_the_same_samples_and_another_seed_is_not(noisy):
    first = noisy.synthesize("low high. high", seed=3).samples
    torch.rand(5)
    np.testing.assert_array_equal(noisy.synthesize("low high. high", seed=3).samples, first)
    assert not np.array_equal(noisy.synthesize("low high. high", seed=4).samples, first)


def test_a_stream_is_the_whole_in_passages_made_one_at_a_time(noisy, monkeypatch):
    made, say = [], noisy.say
    monkeypatch.setattr(noisy, "say", lambda *args: made.append(args[3]) or say(*args))
    text = "low. High low high!\n\nLow"
    stream = noisy.stream(text, seed=2)
    assert made == []
    first = next(stream)
    assert made == ["low."] == [first.text]
    rest = list(stream)
    assert [each.text for each in rest] == ["High low high!", "Low"]
    monkeypatch.undo()
    whole = noisy.synthesize(text, seed=2)
    np.testing.assert_array_equal(whole.samples, np.concatenate([each.samples for each in [first, *rest]]))
    assert sum(whole.token_frames) * HOP == len(whole.samples) and whole.text == text


def test_pauses_are_silence_of_the_length_that_is_asked_for(noisy):
    pauses = Pauses(sentence=0.06, paragraph=0.12)
    said = noisy.synthesize("low low. High\n\nlow", pauses=pauses)
    assert said.tokens == ("low", "low", "<pause>", "high", "<pause>", "low")
    assert said.token_frames == (6, 6, 10, 6, 20, 6)
    assert not said.samples[12 * HOP : 22 * HOP].any() and said.samples[: 12 * HOP].any()
    assert said.pitch.tolist() == [100.0] * 12 + [0.0] * 10 + [100.0] * 6 + [0.0] * 20 + [100.0] * 6


def test_markup_changes_speed_and_pitch_and_makes_pauses(noisy):
    said = noisy.synthesize(
        '<speak>low<break time="60ms"/><prosody rate="2" pitch="+12st">high low</prosody></speak>', speed=0.5
    )
    assert said.tokens == ("low", "<pause>", "high", "low") and said.token_frames == (12, 10, 6, 6)
    assert said.pitch.tolist() == [100.0] * 12 + [0.0] * 10 + [200.0] * 12


def test_temperature_reaches_the_model(noisy):
    def distance(**manner):
        feats = []
        noisy.vocoder = types.SimpleNamespace(
            generate=lambda f, lens, g: (feats.append(f) or torch.zeros(1, f.shape[1] * HOP), 0)
        )
        noisy.synthesize("low", seed=1, temperature=0.0)
        noisy.synthesize("low", seed=1, **manner)
        return float((feats[1] - feats[0]).norm())

    assert distance(temperature=2.0) == pytest.approx(2 * distance(temperature=1.0), rel=1e-4)
    assert distance() == pytest.approx(0.667 * distance(temperature=1.0), rel=1e-4)  # the usual one of Controls


def test_a_model_that_cannot_speed_up_has_its_frames_pushed_together(voice):
    slow, fast = voice.synthesize("low high", speed=0.5), voice.synthesize("low high", speed=2.0)
    assert slow.token_frames == (10, 10) and len(slow.samples) == 20 * HOP
    assert sum(fast.token_frames) == 5 and len(fast.samples) == 5 * HOP


def test_stretching_interpolates_and_keeps_all_that_belongs_to_the_frames():
    ramp = torch.arange(8.0).reshape(1, 8, 1)
    spoken = Spoken(ramp, torch.tensor([8]), torch.tensor([[3, 1, 4]]), torch.eye(8).unsqueeze(0), ramp[..., 0])
    half = stretch(spoken, 2.0)
    torch.testing.assert_close(half.feats, torch.tensor([0.5, 2.5, 4.5, 6.5]).reshape(1, 4, 1))
    assert half.feat_lens.tolist() == [4] and half.durations.sum() == 4 and half.durations.tolist() == [[2, 0, 2]]
    assert half.pitch.tolist() == [[1.0, 3.0, 5.0, 7.0]] and half.alignment.shape == (1, 4, 8)
    double = stretch(spoken, 0.5)
    assert double.durations.tolist() == [[6, 2, 8]] and double.feats[0, 1:-1, 0].diff().allclose(torch.full((13,), 0.5))


@pytest.mark.parametrize(
    ("manner", "message"),
    [
        (
            {"pitch_shift": 2},
            "pitch_shift: expected the usual one, for model toy_voice cannot change it, got 2; voices .*jets",
        ),
        ({"energy_scale": 2}, "energy_scale: expected the usual one"),
        ({"temperature": 0.5}, "temperature: expected the usual one.*vits"),
        ({"speed": 0.0}, "speed: expected 0.1 to 10 times the usual one, got 0"),
        ({"speed": float("nan")}, "speed: expected 0.1 to 10"),
        ({"pitch_shift": float("inf")}, "pitch_shift: expected semitones, got inf"),
        ({"temperature": -1.0}, "temperature: expected 0 or more, got -1"),
        ({"speaker": "z"}, "speaker: expected one of the 1 of the training data, got 'z'; take one of s"),
    ],
)
def test_what_a_voice_cannot_do_is_said_at_the_call(voice, manner, message):
    with pytest.raises(ValueError, match=message):
        voice.stream("low", **manner)


def test_a_voice_sounds_like_the_recording_that_it_is_given(told, tmp_path):
    low, high = tone(tmp_path / "low.wav", 300), tone(tmp_path / "high.flac", 2500)
    by_name = [spoken_feats(told, **each)[0] for each in ({}, {"reference": str(low)}, {"reference": high})]
    assert all(not torch.allclose(a, b) for a, b in zip(by_name, by_name[1:] + by_name[:1], strict=True))
    wav = torch.from_numpy(soundfile.read(low, dtype="float32")[0].mean(1)).unsqueeze(0)
    feats, lens = told.model.features(wav, torch.tensor([RATE // 2]))
    controls = Controls(reference=feats, reference_lens=lens, speakers=torch.tensor([0]))
    direct = told.model.synthesize(torch.tensor([told.tokenize("low")]), torch.tensor([1]), controls).feats
    torch.testing.assert_close(by_name[1], direct)


def test_a_recording_is_heard_once_and_as_training_hears_recordings(told, tmp_path, monkeypatch):
    asked, synthesize, reads = [], told.model.synthesize, []
    monkeypatch.setattr(told.model, "synthesize", lambda *args: asked.append(args[2]) or synthesize(*args))
    monkeypatch.setattr(synthesizer, "read_audio", lambda *args: reads.append(args[0]) or read_audio(*args))
    path = tone(tmp_path / "a.wav", 500, rate=3 * RATE, silence=0.7)
    told.synthesize("low. High. Low high", reference=path)
    assert reads == [path] and len(asked) == 3
    assert abs(int(asked[0].reference_lens) - RATE // 2 / HOP) <= 2  # at the voice's rate, without the silence
    heard = told.listen(path)
    torch.testing.assert_close(heard.feats, asked[2].reference)
    assert told.listen(heard) is heard
    told.synthesize("low", reference=heard)
    assert asked[3].reference is heard.feats and len(reads) == 2


def test_styles_are_mixed_by_their_weights(told):
    one, two, mixed = (spoken_feats(told, style=each)[0] for each in ([1, 0, 0], [0, 0, 1], (0.25, 0.0, 0.75)))
    assert not torch.allclose(one, two)
    torch.testing.assert_close(mixed, 0.25 * one + 0.75 * two)  # for this voice is linear


def test_a_recording_or_styles_that_cannot_be_obeyed_are_refused_before_the_first_sound(voice, told, tmp_path):
    (tmp_path / "noise.wav").write_bytes(b"no recording")
    good = tone(tmp_path / "a.wav", 300)
    with pytest.raises(
        ValueError,
        match="reference: expected none, for no condition of model toy_voice obeys it, got .*a.wav; voices that do are "
        "trained with model.conditions of reference, style_tokens",
    ):
        voice.stream("low", reference=good)
    with pytest.raises(ValueError, match=r"style: expected none, .*, got \(1.0,\); .* model.conditions of style_tokens"):
        voice.stream("low", style=[1])
    for name, message in (("gone.wav", "gone.wav: missing file"), ("noise.wav", "noise.wav: unreadable audio")):
        with pytest.raises(ValueError, match=message):
            told.stream("low", reference=tmp_path / name)
    with pytest.raises(ValueError, match="style: expected weights of the voice's 3 style tokens, got 2 of them"):
        told.stream("low", style=[0.5, 0.5])


def test_markup_that_a_voice_cannot_obey_is_refused_before_the_first_sound(voice):
    with pytest.raises(ValueError, match="pitch_shift: expected the usual one"):
        voice.stream('<speak>low low. <prosody pitch="+2st">high</prosody></speak>')
    with pytest.raises(ValueError, match=r"SSML: expected no <phoneme>, for this voice reads letters \(tokenizer word\)"):
        voice.stream('<speak><phoneme ph="l">low</phoneme></speak>')


@pytest.mark.parametrize("text", ["", " \n ", "<speak><break/></speak>"])
def test_nothing_to_say_is_an_error(voice, text):
    with pytest.raises(ValueError, match="expected a text to say, got .*, in which nothing is a token of this voice"):
        voice.stream(text)


def test_unknown_symbols_are_an_error_at_the_call_or_a_warning_or_nothing_to_say(voice, noisy, capsys):
    with pytest.raises(ValueError, match="'loud' in 'low low loud' is outside the vocabulary"):
        voice.stream("low. low loud")
    with pytest.raises(ValueError, match="expected a text to say, got 'loud noise'"):
        noisy.synthesize("loud noise")
    assert noisy.synthesize("low loud").tokens == ("low", "<unk>")
    assert "warning: 'low loud': 1 of 2 symbols are unknown to this voice" in capsys.readouterr().err


def test_a_passage_of_unknown_symbols_alone_leaves_its_pause(noisy):
    assert noisy.synthesize("low low\n\n***\n\nlow").tokens == ("low", "low", "<pause>", "<pause>", "low")


def test_long_sentences_are_said_in_parts_as_long_as_those_of_training(voice, monkeypatch):
    said = voice.synthesize("low " * 40)
    assert voice.max_seconds == 6.0 and said.tokens.count("<pause>") == 1  # 160 characters, at 14 in each of 6 seconds
    voice.max_seconds = 60.0
    assert voice.synthesize("low " * 40).tokens == ("low",) * 40


def test_speakers_are_chosen_by_name_and_a_wrong_name_shows_the_nearest(voice):
    voice.speakers = SpeakerTable(["anna", "bert", "hannah"])
    asked = []
    synthesize = voice.model.synthesize
    voice.model.synthesize = lambda ids, lens, controls: (
        asked.append(controls.speakers.item()) or synthesize(ids, lens, voice._controls(Manner(), None))
    )
    voice.synthesize("low", speaker="bert")
    voice.synthesize("low")
    assert asked == [1, 0]
    with pytest.raises(ValueError, match="got 'hana'; did you mean 'hannah' or 'anna'"):
        voice.synthesize("low", speaker="hana")


def test_a_model_that_says_nan_is_no_silent_noise(noisy_exp, tmp_path):
    broken = speechkit.load(changed(noisy_exp, tmp_path, "broken: false", "broken: true"))
    with pytest.raises(ValueError, match="'low high': features of model toy_noisy: expected finite values, got NaN"):
        broken.synthesize("low high")


def test_a_model_that_does_not_end_and_samples_that_are_clipped_are_told(noisy_exp, tmp_path, capsys):
    endless = speechkit.load(changed(noisy_exp, tmp_path, "endless: false", "endless: true"))
    endless.vocoder = types.SimpleNamespace(generate=lambda f, lens, g: (torch.ones(1, 6 * HOP), 0))
    said = endless.synthesize("low")
    assert not said.finished and said.num_clipped == 6 * HOP
    error = capsys.readouterr().err
    assert "'low': stopped after 0.0 s, because the model did not end" in error
    assert f"'low': {6 * HOP} samples are too loud and were clipped" in error


def test_a_trained_vocoder_speaks_if_it_is_named(exp, vocoder_exp, tmp_path, monkeypatch):
    plain = speechkit.load(exp).synthesize("low")
    said = speechkit.load(exp, vocoder=vocoder_exp).synthesize("low")
    assert len(said.samples) == len(plain.samples) and not np.array_equal(said.samples, plain.samples)
    moved = changed(exp, tmp_path, "vocoder: griffin_lim", "vocoder: hifi")
    with pytest.raises(ValueError, match="hifi: expected a vocoder's model directory, found nothing in .* or "):
        speechkit.load(moved)
    shutil.copytree(vocoder_exp, moved / "hifi")  # beside the voice's files, from wherever it is loaded
    np.testing.assert_array_equal(speechkit.load(moved).synthesize("low").samples, said.samples)


def test_a_recording_is_said_from_its_own_features(voice):
    time = np.arange(40 * HOP) / RATE
    tone = (0.3 * np.sin(2 * np.pi * 1000 * time)).astype(np.float32)
    said = voice.vocode(tone)
    assert said.shape == tone.shape and said.dtype == np.float32
    peak = np.abs(np.fft.rfft(said)).argmax() * RATE / len(said)
    assert abs(peak - 1000) < 150  # mel filters are 250 Hz wide there


def test_a_vocoder_of_other_features_is_refused_showing_both(noisy_exp, vocoder_exp, tmp_path):
    other = changed(vocoder_exp, tmp_path, "hop_length: 48", "hop_length: 40")
    with pytest.raises(
        ValueError, match="features of the voice, {name: hifigan.*hop_length: 48.*got one for .*hop_length: 40"
    ):
        Synthesizer.load(noisy_exp, vocoder=other)


@pytest.mark.parametrize("name", ["config.yaml", "averaged.safetensors", "speakers.json", "tokenizer/tokens.json"])
def test_a_missing_or_altered_file_of_the_voice_or_the_vocoder_is_named(exp, vocoder_exp, tmp_path, name):
    for model_dir in (exp, vocoder_exp):
        if not (model_dir / name).exists():
            continue
        copy = tmp_path / model_dir.parent.name
        shutil.copytree(model_dir, copy)
        (copy / name).write_bytes((copy / name).read_bytes() + b" ")
        with pytest.raises(ValueError, match=rf"{name}: altered"):
            speechkit.load(copy) if model_dir == exp else speechkit.load(exp, vocoder=copy)


def test_what_is_neither_recogniser_nor_voice_says_so(exp, vocoder_exp):
    with pytest.raises(ValueError, match="a vocoder says no text; load a voice with it"):
        speechkit.load(vocoder_exp)
    with pytest.raises(ValueError, match="task: expected vocoder, got tts"):
        speechkit.load(exp, vocoder=exp)


def test_what_was_said_is_saved_as_audio(voice, tmp_path):
    said = voice.synthesize("low high")
    said.save(tmp_path / "a.flac")
    samples, rate = soundfile.read(tmp_path / "a.flac")
    assert rate == RATE
    np.testing.assert_allclose(samples, said.samples, atol=1e-4)
