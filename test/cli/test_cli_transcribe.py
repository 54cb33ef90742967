from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from speechkit.cli.main import main

ROOT = Path(__file__).parents[2]


def run(finished, *args):
    return main(["transcribe", str(finished / "exp"), *args])


def wav(finished, i):
    return str(finished / "data" / "wavs" / f"test-{i}.wav")


def test_one_recording_is_its_text_and_several_have_their_names(finished, capsys):
    assert run(finished, wav(finished, 0)) == 0
    alone = capsys.readouterr().out
    assert alone.endswith("\n") and "\t" not in alone and set(alone.split()) <= {"low", "high"}
    assert run(finished, wav(finished, 0), wav(finished, 1)) == 0
    assert capsys.readouterr().out.splitlines()[0] == f"{wav(finished, 0)}\t{alone.strip()}"


def test_json_has_words_with_times(finished, capsys):
    assert run(finished, wav(finished, 2), "--format", "json") == 0
    row = json.loads(capsys.readouterr().out)
    assert row["audio"] == wav(finished, 2) and {"word", "start", "end", "confidence"} == row["words"][0].keys()


@pytest.mark.parametrize(("style", "start"), [("srt", "1\n00:00:0"), ("vtt", "WEBVTT\n")])
def test_subtitles_are_written_beside_each_other(finished, tmp_path, style, start):
    assert run(finished, wav(finished, 0), wav(finished, 1), "--format", style, "--to", str(tmp_path)) == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"test-0.{style}", f"test-1.{style}"]
    assert (tmp_path / f"test-0.{style}").read_text().startswith(start)


def test_a_recording_can_come_through_the_input(finished, capsys, monkeypatch):
    run(finished, wav(finished, 0))
    expected = capsys.readouterr().out
    content = open(wav(finished, 0), "rb").read()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert run(finished, "-") == 0 and capsys.readouterr().out == expected


def test_a_bad_file_is_named_the_others_go_on_and_the_exit_code_says_so(finished, tmp_path, capsys):
    (tmp_path / "empty.wav").touch()
    (tmp_path / "noise.wav").write_bytes(b"RIFF nonsense")
    bad = [str(tmp_path / name) for name in ("empty.wav", "noise.wav", "missing.wav")]
    assert run(finished, *bad, wav(finished, 0)) == 1
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 1
    errors = captured.err.splitlines()
    assert len(errors) == 3 and all(any(name in line for line in errors) for name in bad)


def test_a_folder_is_no_recording_and_says_what_to_give(finished, tmp_path, capsys):
    assert run(finished, str(tmp_path), wav(finished, 0)) == 1
    captured = capsys.readouterr()
    assert f"{tmp_path}: not a recording: it is a directory; give its files, as in {tmp_path}/*.wav" in captured.err
    assert len(captured.out.splitlines()) == 1


def test_a_wav_that_was_cut_short_is_no_half_transcript(finished, tmp_path, capsys):
    content = open(wav(finished, 0), "rb").read()
    (tmp_path / "half.wav").write_bytes(content[: len(content) // 2])
    assert run(finished, str(tmp_path / "half.wav")) == 1
    captured = capsys.readouterr()
    assert captured.out == "" and "half.wav: unreadable audio: cut short" in captured.err


@pytest.mark.parametrize("style", ["srt", "vtt"])
def test_subtitles_of_several_recordings_need_a_folder(tmp_path, capsys, style):
    assert main(["transcribe", str(tmp_path / "no model is read"), "a.wav", "b.wav", "--format", style]) == 1
    error = capsys.readouterr().err
    assert f"{style} holds one recording, got 2; write one file each with --to DIR" in error and error.count("\n") == 1


def test_what_is_not_there_is_said_before_anything_heavy_is_imported(finished, tmp_path):
    script = (
        "import sys\nfrom speechkit.cli.main import main\n"
        "assert main(sys.argv[1:]) == 1\nassert 'torch' not in sys.modules and 'numpy' not in sys.modules\n"
    )
    model, folder = str(finished / "exp"), str(tmp_path)
    for argv, lines in (([model, folder + "/gone.wav", folder], 2), ([folder + "/gone", wav(finished, 0)], 1)):
        done = subprocess.run([sys.executable, "-c", script, "transcribe", *argv], capture_output=True, text=True, cwd=ROOT)
        assert done.returncode == 0, done.stderr
        assert "gone" in done.stderr and done.stderr.count("\n") == lines
