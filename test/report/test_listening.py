from __future__ import annotations

import json

import numpy as np
import pytest
from report_toy import Page
from spoken_toy import RATE, write_wav
from voice_toy import write_scored

from speechkit.report.clips import ClipBudget
from speechkit.report.listening import choose, listening_section
from speechkit.report.voices import ScoredVoice, read_voices
from speechkit.tasks.spoken_sets import KINDS


def section(*exp_dirs, num=24, budget=1_000_000):
    voices = [(exp_dir.name, read_voices(exp_dir)[0]) for exp_dir in exp_dirs]
    return Page(listening_section(voices, num, ClipBudget(budget), "listen-0"))


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    exp_dir = tmp_path_factory.mktemp("voice")
    write_scored(exp_dir)
    return section(exp_dir)


def test_the_worst_comes_first(page):
    # By character errors: "low" for "high", "hi high high" for "high high"; then by distance from the recording.
    assert page.texts("span", class_="id") == ["test-1", "test-3", "test-2", "test-0"]
    assert page.texts("h3") == ["All utterances, the worst first"]


def test_each_version_can_be_heard_and_seen(page):
    players = [attributes["aria-label"] for attributes, _ in page.find("audio")]
    assert len(players) == 12 and players[:3] == [f"{kind} speech of test-1" for kind in KINDS]
    pictures = [attributes["alt"] for attributes, _ in page.find("img")]
    assert pictures[:3] == [f"spectrogram of {label}" for label in players[:3]]
    assert pictures[3].startswith("attention in test-1") and len(pictures) == 16
    parts = [attributes.get("style") for attributes, _ in page.find("div", class_="picture")]
    assert parts[:3] == ["--part:0.889", "--part:0.889", "--part:1.000"]  # 0.8 of 0.9 s


def test_differences_from_the_text_are_marked(page):
    aligned = page.texts("div", class_="aligned")
    assert aligned[:2] == ["high", "high low"] and page.texts("span", class_="sub")[1:] == ["high low"]
    words = [attributes["data-start"] for attributes, _ in page.find("span", class_="heard")]
    assert words and set(words) <= {"0.0", "0.2", "0.4"}


def test_pitch_curves_and_durations_are_there(page):
    numbers = [json.loads(text) for attributes, text in page.find("script")]
    assert [each["name"] for each in numbers[0]["series"]] == ["natural", "synthesised", "asked of the decoder"]
    natural, said, asked = numbers[0]["series"]
    assert max(natural["x"]) < 0.8 and max(asked["x"]) == pytest.approx(0.895)
    assert asked["y"][0] == pytest.approx(160, rel=0.01) and said["y"][45] == pytest.approx(asked["y"][45], rel=0.01)
    assert said["y"][-1] is None  # a gap where there is no voice
    [strip, *_] = page.find("div", class_="tokens")
    assert strip[1] == "high" and strip[0]["tabindex"] == "0"
    titles = [attributes["title"] for attributes, _ in page.find("span") if "--n" in (attributes.get("style") or "")]
    assert titles[:4] == ["h: 220 ms", "i: 230 ms", "g: 230 ms", "h: 220 ms"]


def test_several_voices_say_the_same_words_side_by_side(tmp_path):
    for name in ("a", "b"):
        write_scored(tmp_path / name)
    page = section(tmp_path / "a", tmp_path / "b", num=1)
    titles = [text.split(" ")[0] + text.split(" ")[1] for text in page.texts("h4")]
    assert titles == ["Natural0.80", "Vocoded,a", "Synthesised,a", "Vocoded,b", "Synthesised,b"]


def test_half_are_the_worst_a_quarter_the_best_and_chance_takes_the_rest(tmp_path):
    write_scored(tmp_path)
    [voice] = read_voices(tmp_path)
    rows = [dict(voice.spoken.rows[0], id=f"u{i:02}") for i in range(40)]
    spoken = type(voice.spoken)(voice.spoken.folder, rows, {})
    scores = {row["id"]: {"cer": 0.0, "mcd": i / 10} for i, row in enumerate(rows)}
    scores["u05"] |= {"finite": False}
    scores["u07"] |= {"cer": 0.5}
    groups = choose(ScoredVoice(spoken, {}, scores), 8)
    assert groups["Worst"] == ["u05", "u07", "u39", "u38"] and groups["Best"] == ["u00", "u01"]
    assert len(groups["By chance"]) == 2 and not set(groups["By chance"]) & {*groups["Worst"], *groups["Best"]}
    assert groups == choose(ScoredVoice(spoken, {}, scores), 8)
    assert list(choose(ScoredVoice(spoken, {}, {}), 8)) == ["Utterances"]


def test_what_cannot_be_shown_says_why(tmp_path):
    rows = write_scored(tmp_path, alignment=None, pitch=None)
    folder = tmp_path / "synthesis" / "test"
    write_wav(folder / rows[0]["wav"], np.full(RATE, np.nan, np.float32))
    (folder / rows[1]["wav"]).unlink()
    page = section(tmp_path)
    notes = "\n".join(page.texts("p", class_="note"))
    assert "no picture: no finite samples" in notes
    assert "no picture: utterance test-1: expected synthesised speech" in notes and "no audio here:" in notes


def test_the_text_is_there_where_nobody_listened_and_the_page_keeps_its_budget(tmp_path):
    write_scored(tmp_path, heard=None)
    page = section(tmp_path, budget=3000)
    assert "low low high" in page.texts("p") and not page.find("div", class_="aligned")
    assert len(page.find("audio")) < 12 and "left out to keep the page small" in page.texts("p", class_="note")[0]


def test_ids_and_texts_cannot_act_as_markup(tmp_path):
    evil = "<script>alert(1)</script>"
    write_scored(tmp_path, texts=[evil] * 4, heard=[evil] * 4, speaker=evil, tokens=[evil], token_frames=[9])
    page = section(tmp_path)
    assert all(attributes == {"type": "application/json"} for attributes, _ in page.find("script"))
