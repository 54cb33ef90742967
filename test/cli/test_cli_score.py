from __future__ import annotations

import json

import numpy as np
import tiny
from lm_text import write_texts
from spoken_toy import write_voice, write_wav

from speechkit.cli.main import main
from speechkit.tasks.recognizer import Recognizer


def test_the_table_is_printed_and_the_files_are_written(finished, capsys):
    assert main(["score", str(finished / "exp")]) == 0
    out = capsys.readouterr().out
    assert "test" in out and "WER" in out
    assert all((finished / "exp" / "decode" / "test" / name).exists() for name in ("wer.json", "cer.json", "errors.txt"))


def test_of_a_language_model_the_perplexities_are_printed(tmp_path, capsys):
    conf, exp = str(write_texts(tmp_path)), str(tmp_path / "lm")
    for argv in (["train", conf, "--exp", exp, "train.max_epochs=1"], ["average", exp], ["score", exp]):
        assert main(argv) == 0
    out = capsys.readouterr().out
    assert "perplexity per token" in out and str(tmp_path) in out.replace("\n", "")
    assert (tmp_path / "lm" / "perplexity.json").exists()


def test_of_a_voice_a_recogniser_says_how_much_it_understands(finished, tmp_path, capsys):
    write_voice(tmp_path / "voice", texts=["low high", "high"])
    write_voice(tmp_path / "voice", "dev", texts=["low"])
    argv = ["score", str(tmp_path / "voice"), "--recognizer", str(finished / "exp"), "--set", "test"]
    assert main(argv) == 0
    out = capsys.readouterr().out
    assert "synthesised" in out and "MCD" in out and "heard by" in out and "dev" not in out
    totals = json.loads((tmp_path / "voice" / "synthesis" / "test" / "scores.json").read_text())
    assert totals["recognizer"] == str(finished / "exp") and set(totals["rates"]) == {"natural", "vocoded", "synthesised"}
    assert totals["rates"]["synthesised"]["wer"]["ref_len"] == 3
    assert not (tmp_path / "voice" / "synthesis" / "dev" / "scores.json").exists()


def test_the_recogniser_hears_the_words_that_it_was_trained_on(finished, tmp_path):
    write_voice(tmp_path, texts=["low high", "high"])
    random = np.random.default_rng(0)
    for i, words in enumerate((["low", "high"], ["low"])):  # the second voice says the wrong word
        write_wav(tmp_path / "synthesis" / "test" / "synthesised" / f"test-{i}.wav", tiny.waveform(words, random))
    assert main(["score", str(tmp_path), "--recognizer", str(finished / "exp")]) == 0
    lines = (tmp_path / "synthesis" / "test" / "scores.jsonl").read_text().splitlines()
    heard = [json.loads(line)["hyps"]["synthesised"]["text"] for line in lines]
    recognizer = Recognizer.load(finished / "exp")
    paths = [tmp_path / "synthesis" / "test" / "synthesised" / f"test-{i}.wav" for i in range(2)]
    assert heard == [recognizer.transcribe(path).text for path in paths]


def test_options_of_voices_and_tasks_without_scores_are_refused(finished, tmp_path, capsys):
    write_voice(tmp_path, texts=["low"])
    assert main(["score", str(finished / "exp"), "--recognizer", str(finished / "exp")]) == 1
    assert "--recognizer: expected the experiment of a voice" in capsys.readouterr().err
    assert main(["score", str(tmp_path), "--recognizer", str(tmp_path / "nowhere")]) == 1
    assert "nowhere: expected a model directory, found nothing" in capsys.readouterr().err
    (tmp_path / "config.yaml").write_text("task: vocoder\ndiscriminator: combined\n")
    assert main(["score", str(tmp_path)]) == 1
    assert "task: expected one of asr, lm, tts, got vocoder" in capsys.readouterr().err
