from __future__ import annotations

import json
import shutil

import pytest

from speechkit.cli.main import main


def run(finished, *args):
    return main(["align", str(finished / "exp"), *args])


def wav(finished, i):
    return str(finished / "data" / "wavs" / f"test-{i}.wav")


def test_a_set_becomes_a_textgrid_per_utterance_or_lines_for_all(finished, tmp_path, capsys):
    assert run(finished, "--to", str(tmp_path)) == 0
    said = capsys.readouterr()
    assert "test: 7 utterances aligned, " in said.err and said.out == f"{tmp_path}: 7 alignments\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"test-{i}.TextGrid" for i in range(7)]
    assert run(finished, "--set", "test", "--set", "dev", "--format", "ctm") == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert all(len(line) == 6 and line[1] == "1" and line[4] in ("low", "high") for line in lines)
    assert list(dict.fromkeys(line[0] for line in lines)) == [f"test-{i}" for i in range(7)] + [f"dev-{i}" for i in range(5)]


def test_recordings_take_their_words_from_the_option_or_a_file_beside_them(finished, tmp_path, capsys):
    assert run(finished, wav(finished, 0), "--text", "low", "--format", "json") == 0
    assert [word["word"] for word in json.loads(capsys.readouterr().out)["words"]] == ["low"]
    for i in (0, 1):
        shutil.copy(wav(finished, i), tmp_path)
    (tmp_path / "test-0.txt").write_text("high\n low\n")
    assert run(finished, *(str(tmp_path / f"test-{i}.wav") for i in (0, 1)), "--format", "json") == 1
    captured = capsys.readouterr()
    assert [word["word"] for word in json.loads(captured.out)["words"]] == ["high", "low"]
    assert f"test-1.wav: expected its words in {tmp_path / 'test-1.txt'}, found no such file" in captured.err


def test_an_utterance_that_cannot_be_aligned_is_named_and_the_exit_code_says_so(finished, tmp_path, capsys):
    assert run(finished, wav(finished, 0), "--text", "middle", "--to", str(tmp_path)) == 1
    error = capsys.readouterr().err
    assert "speechkit align: error: " in error and "test-0.wav: word tokenizer: 'middle' in 'middle' is outside" in error
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("args", "problem"),
    [
        (["a.wav", "b.wav"], "textgrid holds one recording, got 2; write one file each with --to DIR"),
        (["a.wav", "b.wav", "--text", "x"], "--text: expected one recording to go with it, got 2"),
        (["--text", "x"], "--text: expected one recording to go with it, got 0"),
        (["a.wav", "--set", "test"], "--set: expected sets or recordings, got both"),
        ([], "textgrid holds one utterance, got 7 in test"),
        (["--objective", "ctx"], "--objective: the model has no objective 'ctx'; did you mean 'ctc'? it can align with: ctc"),
        (["--set", "nope", "--format", "ctm"], "nope.jsonl.gz: no such manifest"),
    ],
)
def test_what_cannot_work_is_said_in_a_line(finished, capsys, args, problem):
    assert run(finished, *args) == 1
    error = capsys.readouterr().err
    assert problem in error and error.count("\n") == 1


def test_recordings_of_one_name_do_not_overwrite_each_other(finished, tmp_path, capsys):
    (tmp_path / "x").mkdir()
    for folder in (tmp_path, tmp_path / "x"):
        shutil.copy(wav(finished, 0), folder / "a.wav")
        (folder / "a.txt").write_text("low")
    assert run(finished, str(tmp_path / "a.wav"), str(tmp_path / "x" / "a.wav"), "--to", str(tmp_path / "out")) == 1
    assert "both would be" in capsys.readouterr().err
