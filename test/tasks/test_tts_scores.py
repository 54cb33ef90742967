from __future__ import annotations

import json

import numpy as np
import pytest
from spoken_toy import CONFIG, RATE, rewrite, voice, write_voice, write_wav
from test_hearing import Ear

from speechkit.config import ConfigError
from speechkit.metrics.error_rate import bootstrap_interval
from speechkit.tasks.recognizer import Recognizer
from speechkit.tasks.tts_scores import score_voice, value


def scores(exp_dir, *args, **kwargs):
    [spoken] = score_voice(exp_dir, *args, **kwargs)
    rows = [json.loads(line) for line in (spoken.folder / "scores.jsonl").read_text().splitlines()]
    return json.loads((spoken.folder / "scores.json").read_text()), rows


def test_a_voice_that_repeats_the_recordings_is_no_distance_from_them(tmp_path):
    write_voice(tmp_path, wav="vocoded/test-0.wav", vocoded="vocoded/test-0.wav", texts=["low"])
    write_wav(tmp_path / "synthesis/test/vocoded/test-0.wav", voice(0.6, seed=0))
    totals, [row] = scores(tmp_path)
    for name in ("mcd", "vocoded_mcd", "log_f0_rmse", "voicing_error", "duration_error", "clipped"):
        assert row[name] == 0 and totals["measures"][name]["value"] == 0, name
    assert row["duration_ratio"] == 1 and totals["problems"] == dict.fromkeys(totals["problems"], 0)


def test_durations_are_compared_with_the_recording_and_those_of_tokens_where_they_are_known(tmp_path):
    write_voice(tmp_path)  # 0.1 s longer than the recordings, whose tokens have a frame of 10 ms more each
    totals, rows = scores(tmp_path)
    assert [row["duration_error"] for row in rows] == pytest.approx([0.1] * 4)
    assert totals["measures"]["duration_ratio"]["value"] == pytest.approx(4.0 / 3.6)
    assert totals["measures"]["token_duration_error"]["value"] == pytest.approx(0.01)
    (tmp_path / "durations.jsonl").unlink()
    totals, _ = scores(tmp_path)
    assert "token_duration_error" not in totals["measures"] and "is not there" in totals["left_out"][0]


def test_durations_of_other_tokens_are_not_compared(tmp_path):
    rows = write_voice(tmp_path)
    rewrite(tmp_path / "synthesis" / "test", [rows[0] | {"token_frames": [3, 4]}, *rows[1:]])
    totals, found = scores(tmp_path)
    assert "token_duration_error" not in found[0] and totals["measures"]["token_duration_error"]["utterances"] == 3


def test_recordings_are_trimmed_as_those_that_the_voice_has_learned_from(tmp_path):
    write_voice(tmp_path, texts=["low"], config=CONFIG + "trim: {threshold: 30, margin: 0.0}\n")
    _, [row] = scores(tmp_path)
    assert 0.1 < row["duration_error"] < 0.25  # 0.05 s at each end are noise of -35 dB


def test_what_is_wrong_with_an_utterance_is_counted(tmp_path):
    rows = write_voice(tmp_path)
    bad = {0: np.full(RATE, np.nan), 1: np.full(RATE, 1e-4), 2: np.clip(20 * voice(0.5), -1, 1), 3: np.zeros(0)}
    for i, wav in bad.items():
        write_wav(tmp_path / "synthesis" / "test" / rows[i]["wav"], wav.astype(np.float32))
    rewrite(tmp_path / "synthesis" / "test", [*rows[:3], rows[3] | {"finished": False}])
    totals, found = scores(tmp_path)
    assert totals["problems"] == {"not_finite": 1, "silent": 2, "clipped": 1, "unfinished": 1}
    assert "mcd" not in found[0] and found[1]["mcd"] > 5 and "mcd" not in found[3]
    assert found[2]["clipped"] == pytest.approx(np.mean(np.abs(bad[2]) == 1)) and found[2]["clipped"] > 0.1
    assert found[3]["duration_ratio"] == 0 and totals["measures"]["mcd"]["utterances"] == 2


def test_alignments_are_judged(tmp_path):
    rows = write_voice(tmp_path, texts=["ab", "ab"])
    np.save(tmp_path / "synthesis" / "test" / rows[1]["alignment"], np.array([[0, 1], [1, 0], [1, 0]], np.float16))
    _, (good, bad) = scores(tmp_path)
    assert (good["focus"], good["monotonic"], good["coverage"]) == (1, 1, 1)
    assert (bad["monotonic"], bad["coverage"]) == (0.5, 1) and bad["diagonal"] < 0.5


def test_the_values_of_a_set_are_sums_over_utterances_with_bootstrap_intervals(tmp_path):
    write_voice(tmp_path)
    totals, rows = scores(tmp_path)
    values = np.array([row["mcd"] for row in rows])
    found = totals["measures"]["mcd"]
    assert found["value"] == pytest.approx(values.mean())
    assert found["interval"] == pytest.approx(bootstrap_interval(values, np.ones(4)))
    assert found["interval"][0] < found["value"] < found["interval"][1]
    rmse = totals["measures"]["log_f0_rmse"]
    assert min(row["log_f0_rmse"] for row in rows) < rmse["value"] < max(row["log_f0_rmse"] for row in rows)


def test_a_measure_is_a_ratio_of_sums_and_the_root_of_it_where_squares_were_summed():
    assert value("mcd", 6.0, 4) == 1.5 and value("log_f0_rmse", 0.09, 4) == pytest.approx(0.15)
    assert value("mcd", 0.0, 0) is None


def test_a_recogniser_is_named_and_hears_every_kind_of_speech(tmp_path, monkeypatch):
    write_voice(tmp_path, texts=["x x x x x x", "x"])
    monkeypatch.setattr(Recognizer, "load", lambda path, device: Ear())
    totals, rows = scores(tmp_path, tmp_path / "asr")
    assert totals["recognizer"] == str(tmp_path / "asr")
    # A word for each 0.1 s: six and eight where one is right.
    assert totals["rates"]["natural"]["wer"]["errors"] == 7 and totals["rates"]["synthesised"]["wer"]["errors"] == 9
    assert sorted(totals["rates"]) == sorted(rows[0]["hyps"]) == ["natural", "synthesised", "vocoded"]
    assert rows[0]["wer"] == pytest.approx(1 / 6) and rows[0]["ref"] == "x x x x x x"


def test_without_a_recogniser_there_are_no_error_rates(tmp_path):
    write_voice(tmp_path, texts=["low"])
    totals, [row] = scores(tmp_path)
    assert totals["recognizer"] is None and totals["rates"] == {} and "wer" not in row


def test_utterances_without_a_recording_are_only_looked_at(tmp_path):
    write_voice(tmp_path, texts=["low"], natural=None, vocoded=None, alignment=None)
    totals, [row] = scores(tmp_path)
    assert set(totals["measures"]) == {"clipped", "token_duration_error"} and row["finite"]


def test_recordings_that_are_gone_leave_no_scores(tmp_path):
    write_voice(tmp_path)
    score_voice(tmp_path)
    (tmp_path / "recordings" / "test-2.wav").unlink()
    with pytest.raises(ValueError, match="utterance test-2: expected natural speech in .*test-2.wav"):
        score_voice(tmp_path)
    assert not list((tmp_path / "synthesis" / "test").glob("*scores*"))


def test_a_recogniser_of_another_task_and_an_experiment_of_another_task_are_refused(tmp_path):
    write_voice(tmp_path / "voice")
    with pytest.raises(ValueError, match="no checksums.json, so no finished model"):
        score_voice(tmp_path / "voice", tmp_path / "voice")
    (tmp_path / "voice" / "checksums.json").write_text("{}")
    with pytest.raises(ConfigError, match="task: expected asr, got tts"):
        score_voice(tmp_path / "voice", tmp_path / "voice")
