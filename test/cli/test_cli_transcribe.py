from __future__ import annotations

import io
import json
import sys

import pytest

from speechkit.cli.main import main


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
    assert len(errors) == 3 and all(name in line for name, line in zip(bad, errors))
