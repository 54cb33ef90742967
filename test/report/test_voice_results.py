from __future__ import annotations

from report_toy import Page
from voice_toy import write_scored

from speechkit.report.voice_results import LEGEND, voice_card, voice_results
from speechkit.report.voices import read_voices


def test_measures_are_rows_and_kinds_of_speech_are_columns(tmp_path):
    write_scored(tmp_path)
    page = Page(voice_results([("a", read_voices(tmp_path)[0])], several=False))
    titles = [text for attributes, text in page.find("th") if attributes["scope"] == "col"]
    assert titles == ["", "synthesisedtest", "vocodedtest", "naturaltest"]
    rows = [text for attributes, text in page.find("th") if attributes["scope"] == "row"]
    assert len(rows) == 8 and rows[1:3] == ["CER %", "MCD dB" + LEGEND["MCD dB"]]
    cells = page.texts("td")
    assert cells[0].startswith("25.00") and cells[1:3] == ["–", "0.000.00–0.00"]
    assert "5.504.50–6.50" in cells and "2 clipped" in cells and "griffin_lim" in cells
    assert "Recogniser of test: exp/ctc." in page.texts("p")[0]


def test_voices_of_one_corpus_stand_together_and_share_the_column_of_the_recordings(tmp_path):
    for name in ("a", "b"):
        write_scored(tmp_path / name)
    voices = [(name, read_voices(tmp_path / name)[0]) for name in ("a", "b")]
    page = Page(voice_results(voices, several=True))
    titles = [text for attributes, text in page.find("th") if attributes["scope"] == "col"]
    names = ["synthesiseda", "synthesisedb", "vocodeda", "vocodedb"]
    assert titles == ["", *(f"{name}, test" for name in names), "naturaltest"]


def test_without_a_recogniser_no_error_rates_are_shown(tmp_path):
    write_scored(tmp_path, heard=None)
    page = Page(voice_results([("a", read_voices(tmp_path)[0])], several=False))
    assert not any("WER" in text for text in page.texts("th")) and "no recogniser listened" in page.texts("p")[0]


def test_the_card_shows_the_rate_or_else_the_distance(tmp_path):
    write_scored(tmp_path / "heard")
    write_scored(tmp_path / "deaf", heard=None)
    heard, deaf = (Page(voice_card(read_voices(tmp_path / name)[0], name)).texts("article")[0] for name in ("heard", "deaf"))
    assert heard.startswith("heard25.00% WERnatural speech 0.00 %MCD 5.50 dB4 utterances, 2 clipped")
    assert deaf.startswith("deaf5.50dB MCD4 utterances")
