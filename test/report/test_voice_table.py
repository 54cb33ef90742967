from __future__ import annotations

from rich.console import Console
from voice_toy import write_scored

from speechkit.report.voice_table import voice_table, voices_markdown


def printed(table):
    console = Console(width=80, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(table)
    return console.export_text()


def test_the_terminal_has_a_line_for_each_kind_of_speech_and_notes_below(tmp_path):
    write_scored(tmp_path)
    lines = printed(voice_table(tmp_path)).splitlines()
    rows = [line.split() for line in lines if line.strip().startswith("test ")]
    assert [row[1] for row in rows] == ["natural", "vocoded", "synthesised"]
    assert rows[2][2] == "25.00" and rows[2][5] == "5.50" and rows[1][5] == "1.25"
    text = "\n".join(lines)
    assert "heard by exp/ctc; 4 utterances, 2 clipped" in text and "parameters 1.23 M" in text and "length % 102.0" in text


def test_without_a_recogniser_its_columns_are_left_out_and_a_line_says_so(tmp_path):
    write_scored(tmp_path, heard=None)
    text = printed(voice_table(tmp_path))
    assert "WER" not in text and "no --recognizer, so no error rates" in text


def test_only_the_sets_asked_for_are_shown(tmp_path):
    for name in ("dev", "test"):
        write_scored(tmp_path, name)
    text = printed(voice_table(tmp_path, ["dev"]))
    assert "dev" in text and "test:" not in text


def test_markdown_puts_voices_side_by_side(tmp_path):
    for name in ("vits", "fastspeech2"):
        write_scored(tmp_path / name)
    header, line, *rows = voices_markdown([tmp_path / "vits", tmp_path / "fastspeech2"]).splitlines()
    names = [cell.strip() for cell in header.strip("|").split("|")]
    cells = dict(zip(names, (cell.strip() for cell in rows[2].strip("|").split("|")), strict=True))
    assert (cells["experiment"], cells["speech"], cells["WER %"][:5]) == ("vits", "synthesised", "25.00")
    assert (cells["MCD dB"], cells["problems"], cells["parameters"]) == ("5.50 (4.50–6.50)", "2 clipped", "1.23 M")
    assert rows[3].startswith("| fastspeech2 | test | natural ") and line.count("|") == header.count("|")
    assert rows[6:] == ["", "Heard by exp/ctc.", "", "An Engine, 2026-03-06"]
