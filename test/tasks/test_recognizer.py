from __future__ import annotations

import io
import json

import numpy as np
import pytest
import soundfile
import tiny
import torch

import speechkit
from speechkit.decode.ctc_greedy import CtcGreedySearch
from speechkit.decode.graph_viterbi import GraphViterbiSearch
from speechkit.tasks import load
from speechkit.tasks.recognizer import split_at_pauses
from speechkit.utils.model_dir import write_checksums
from speechkit.utils.yaml_files import merge, read_yaml


def say(words, rate=tiny.RATE, seed=9):
    wav = tiny.waveform(words.split(), np.random.default_rng(seed))
    if rate != tiny.RATE:
        import soxr

        wav = soxr.resample(wav, tiny.RATE, rate)
    return wav


def test_a_moved_model_transcribes_with_word_times(model_dir, tmp_path):
    soundfile.write(tmp_path / "a.wav", say("low high low"), tiny.RATE)
    transcript = speechkit.load(model_dir).transcribe(tmp_path / "a.wav")
    assert transcript.text == "low high low" and transcript.duration == pytest.approx(3 * 0.35 + 0.15)
    true_starts = [0.15, 0.5, 0.85]
    for word, start in zip(transcript.words, true_starts):
        assert abs(word.start - start) <= 0.08 and start < word.end <= start + 0.35 and 0 < word.confidence <= 1
    assert json.loads(json.dumps(transcript.to_dict()))["words"][1]["word"] == "high"


@pytest.mark.parametrize("rate", [8000, 44100])
@pytest.mark.parametrize("channels", [1, 2])
def test_any_rate_and_number_of_channels_gives_the_same_text(model_dir, tmp_path, rate, channels):
    wav = np.stack([say("high low", rate)] * channels, axis=1)
    soundfile.write(tmp_path / "a.flac", wav, rate)
    recognizer = speechkit.load(model_dir)
    assert recognizer.transcribe(tmp_path / "a.flac").text == "high low"
    buffer = io.BytesIO()
    soundfile.write(buffer, wav, rate, format="WAV")
    assert recognizer.transcribe(buffer.getvalue()).text == "high low"
    assert recognizer.transcribe(wav[:, 0], sampling_rate=rate).text == "high low"


def test_a_long_recording_is_cut_at_pauses_and_loses_no_word(model_dir):
    words = " ".join(["low", "high", "high"] * 40)  # 42 seconds
    transcript = speechkit.load(model_dir).transcribe(say(words))
    assert transcript.text == words
    starts = [word.start for word in transcript.words]
    assert starts == sorted(starts) and abs(starts[-1] - (0.15 + 119 * 0.35)) < 0.1


@pytest.mark.parametrize("wav", [np.zeros((10, 2), np.float32), np.array([0.0, np.nan], np.float32)])
def test_samples_that_make_no_sense_are_refused(model_dir, wav):
    with pytest.raises(ValueError, match="audio: expected finite samples"):
        speechkit.load(model_dir).transcribe(wav)


def test_integer_samples_are_refused_rather_than_taken_for_silence_or_noise(model_dir):
    with pytest.raises(ValueError, match=r"\[-1, 1\], got int16; divide"):
        speechkit.load(model_dir).transcribe(np.zeros(8000, np.int16))


def test_a_recording_shorter_than_a_frame_has_no_words(model_dir):
    assert speechkit.load(model_dir).transcribe(np.zeros(10, np.float32)).text == ""


@pytest.mark.parametrize("name", ["config.yaml", "averaged.safetensors", "tokenizer/tokenizer.yaml"])
@pytest.mark.parametrize("damage", ["missing", "altered"])
def test_a_missing_or_altered_file_of_the_model_is_named(model_dir, name, damage):
    path = model_dir / name
    path.unlink() if damage == "missing" else path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(ValueError, match=rf"{name}: {damage}") as error:
        speechkit.load(model_dir)
    assert "\n" not in str(error.value)


def test_no_model_or_an_unfinished_one_says_what_to_do(tmp_path, model_dir):
    with pytest.raises(ValueError, match="expected a model directory, found nothing"):
        speechkit.load(tmp_path / "nowhere")
    (model_dir / "checksums.json").unlink()
    with pytest.raises(ValueError, match="run `speechkit average"):
        speechkit.load(model_dir)


def test_recordings_are_cut_into_pieces_as_long_as_those_of_training(model_dir):
    from speechkit.tasks.recognizer import Recognizer

    loaded = speechkit.load(model_dir)
    assert loaded.max_seconds == 4.0  # training heard 1.5 s at most, and shorter pieces would cut through words
    parts = loaded.config, loaded.tokenizer, loaded.model, loaded.device
    assert [Recognizer(*parts, max_seconds=seconds).max_seconds for seconds in (12.5, 300.0)] == [12.5, 30.0]


def test_cuts_lie_in_silence_and_no_piece_is_too_long():
    rate, random = 1000, np.random.default_rng(0)
    wav = random.normal(0, 1, 100 * rate).astype(np.float32)
    pauses = [20, 45, 60, 85]
    for second in pauses:
        wav[second * rate : second * rate + 500] = 0
    borders = split_at_pauses(wav, rate)
    assert borders[0] == 0 and borders[-1] == len(wav)
    assert all(b - a <= 30 * rate for a, b in zip(borders, borders[1:]))
    for border in borders[1:-1]:
        assert any(second * rate <= border <= second * rate + 500 for second in pauses)
    assert split_at_pauses(wav[:100], rate) == [0, 100]


def test_a_search_that_was_saved_and_does_not_suit_the_model_can_be_replaced(model_dir):
    changes = {"objectives": {"ctc": {"name": "lf_mmi"}}, "valid_search": {"name": "graph_viterbi"}}
    (model_dir / "config.yaml").write_text(json.dumps(merge(read_yaml(model_dir / "config.yaml"), changes)))
    write_checksums(model_dir)
    with pytest.raises(ValueError, match=r"search\.name: expected graph_viterbi, .*, got ctc_greedy"):
        load(model_dir)
    recognizer = load(model_dir, search=GraphViterbiSearch.Config())
    with pytest.raises(ValueError, match=r"search\.name: expected graph_viterbi, .*, got ctc_greedy"):
        recognizer.build_search(CtcGreedySearch.Config())


def test_loading_and_transcribing_needs_no_training_data(model_dir):
    torch.manual_seed(0)
    first = speechkit.load(model_dir).transcribe(say("low low"))
    assert first == speechkit.load(model_dir).transcribe(say("low low"))
