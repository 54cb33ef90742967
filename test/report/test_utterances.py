from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from report_toy import UTTERANCES, Page, write_set

from speechkit.report.clips import ClipBudget
from speechkit.report.results import DecodedSet, read_sets
from speechkit.report.utterances import count_errors, duration_bars, kind_of, set_section


def decoded(folder: Path, utterances: Any = UTTERANCES) -> DecodedSet:
    write_set(folder, utterances=utterances)
    return read_sets(folder)[0]


def section(each: DecodedSet, num_worst: int = 10, audio_bytes: int = 10**6) -> Page:
    return Page(set_section(each, num_worst, ClipBudget(audio_bytes), "set-0"))


def changed(each: DecodedSet, index: int, **values: Any) -> DecodedSet:
    rows = [row | values if i == index else row for i, row in enumerate(each.rows)]
    return DecodedSet(each.folder, rows, each.facts)


@pytest.mark.parametrize(
    ("pair", "kind"), [(("a", "a"), None), (("a", "b"), "sub"), (("a", None), "del"), ((None, "b"), "ins")]
)
def test_the_kind_of_an_error_follows_from_the_pair(pair, kind):
    assert kind_of(pair) == kind


def test_errors_are_counted_by_word(tmp_path):
    assert count_errors(decoded(tmp_path)) == {
        "sub": Counter({("five", "nine"): 1, ("two", "too"): 1}),
        "del": Counter({("seven", None): 1, ("five", None): 1}),
        "ins": Counter({(None, "one"): 1}),
    }


def test_confused_words_stand_with_their_counts_most_frequent_first(tmp_path):
    texts = [("one two", "won two"), ("one", "won"), ("six two", "six too"), ("one", "")]
    page = section(decoded(tmp_path, [(str(i), *text) for i, text in enumerate(texts)]))
    assert page.texts("li", class_="sub") == ["one → won2", "two → too1"]
    assert page.texts("li", class_="del") == ["one1"] and page.texts("li", class_="ins") == []
    assert "3 in all" in page.texts("h4")[0]


def test_the_worst_come_first_and_right_ones_not_at_all(tmp_path):
    page = section(decoded(tmp_path))
    assert page.texts("span", class_="id") == ["a-2", "b-2", "b-1"]
    assert (
        "2 errors in 4 words, 50 %" in page.texts("header")[0] and "1 substituted, 1 deleted" in page.texts("header")[0]
    )
    assert "3 of 4 utterances have errors" in page.texts("p", class_="note")[0]


def test_what_is_left_out_is_said(tmp_path):
    page = section(decoded(tmp_path), num_worst=1, audio_bytes=10)
    assert page.texts("span", class_="id") == ["a-2"] and page.find("audio") == []
    note = page.texts("p", class_="note")[0]
    assert "The other 2 are left out here; decode/test/errors.txt has all." in note
    assert "The audio of 1 is left out" in note


def test_words_are_marked_by_the_kind_of_their_error(tmp_path):
    page = section(decoded(tmp_path))
    pairs = [e for e in page.find("span", class_="pair")][3:]  # after the three of the legend
    shown = [(attributes["class"].removeprefix("pair").strip(), text) for attributes, text in pairs]
    assert shown[:4] == [("", "four"), ("sub", "five nine"), ("", "six"), ("del", "seven")]
    assert shown[-3:] == [("", "eight"), ("ins", "one"), ("", "nine")]
    assert page.texts("del")[2:4] == ["five", "seven"] and "nine" in page.texts("ins")


def test_recognised_words_carry_confidence_and_time(tmp_path):
    page = section(decoded(tmp_path))
    heard = [attributes for attributes, _ in page.find("span", class_="heard") if "data-start" in attributes]
    assert (
        heard[0]["style"] == "--c:0.90" and heard[0]["data-start"] == "0.0" and heard[0]["title"] == "confidence 0.90"
    )
    wrong = [attributes for attributes, text in page.find("ins") if text == "nine"]
    assert wrong[0]["style"] == "--c:0.80" and wrong[0]["data-start"] == "0.1"


def test_confidences_are_not_put_on_words_they_do_not_belong_to(tmp_path):
    each = decoded(tmp_path)
    other = changed(each, 1, words=[{"word": "fo", "start": 0, "end": 1, "confidence": 0.5}])
    article = section(other)
    before = sum("data-start" in a for a, _ in section(each).find("span", class_="heard"))
    assert sum("data-start" in a for a, _ in article.find("span", class_="heard")) == before - 2


def test_every_shown_utterance_can_be_heard_and_read_as_numbers(tmp_path):
    page = section(decoded(tmp_path))
    players = page.find("audio")
    assert len(players) == 3 and players[0][0]["aria-label"] == "audio of a-2"
    assert all(player["src"].startswith("data:audio/") and "controls" in player for player, _ in players)
    assert page.texts("td")[:4] == ["four", "0.00", "0.08", "0.90"]
    assert page.texts("ol", class_="nbest")[0] == "four nine six -1.25four nine six more -7.50"


def test_rows_with_nothing_but_texts_are_enough(tmp_path):
    each = decoded(tmp_path)
    bare = [{key: row[key] for key in ("id", "ref", "hyp")} for row in each.rows]
    page = section(DecodedSet(each.folder, bare, {}))
    assert page.texts("span", class_="id") == ["a-2", "b-2", "b-1"] and page.find("figure") == []
    assert page.texts("p", class_="note")[1:] == ["no audio here: the utterance is no part of a single file"] * 3


def test_a_perfect_set_says_so(tmp_path):
    page = section(decoded(tmp_path, [("a", "one", "one")]))
    assert page.texts("p") == ["No errors at all."] and page.find("article") == []


def test_insertions_into_an_empty_reference_have_no_rate(tmp_path):
    page = section(decoded(tmp_path, [("a", "", "one"), ("b", "two", "two")]))
    assert "1 error in 0 words" in page.texts("header")[0]


def test_the_histograms_hold_every_utterance_and_error(tmp_path):
    each = decoded(tmp_path)
    each = changed(each, 3, duration=9.9)
    counts, rates = duration_bars(each)
    assert [bar.height for bar in counts] == [2, 1, 1]
    for row in each.rows:
        assert sum(bar.low <= row["duration"] < bar.high for bar in counts) == 1
    assert [bar.height for bar in rates] == pytest.approx([100 * 2 / 7, 50, 40])
    assert counts[-1].text == "9.5 to 10 s: 1 utterance" and rates[-1].text.endswith("WER 40.00 %")


def test_writing_without_spaces_is_aligned_by_character(tmp_path):
    page = section(decoded(tmp_path, [("a", "今天天气", "今天气")]))
    assert "1 error in 4 characters" in page.texts("header")[0] and page.find("div", class_="tight")
    assert "CER by duration" in page.texts("strong")


def test_a_lost_space_can_be_seen(tmp_path):
    page = section(decoded(tmp_path, [("a", "今天 天气", "今天天气")]))
    assert page.texts("li", class_="del") == ["␣1"] and page.texts("del")[-1] == "␣"


def test_the_direction_of_writing_follows_the_text(tmp_path):
    [(aligned, _)] = section(decoded(tmp_path, [("a", "مرحبا بكم", "مرحبا")])).find("div", class_="aligned")
    assert aligned["dir"] == "auto"
