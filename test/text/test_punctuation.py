import itertools

import pytest

from speechkit.text.punctuation import (
    MARKS,
    closed,
    hide_overrides,
    pauses,
    plain_marks,
    show_overrides,
    spoken_characters,
    tidy,
)


def test_of_marks_that_meet_the_strongest_stays_whatever_their_order():
    for marks in itertools.permutations(".,?!;:", 3):
        assert tidy(f"a {' '.join(marks)} b") == f"a{next(mark for mark in '?!.;:,' if mark in marks)} b"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (" , a ,b", "a, b"),
        ("well-known - a", "well known - a"),
        ("a - ", "a -"),
        ("a -, b", "a, b"),
        ("u.s. a", "u s. a"),
        ("好.世界", "好. 世界"),
        ("?!", ""),
        ("", ""),
    ],
)
def test_tidy_text(text, expected):
    assert tidy(text) == expected


def test_dashes_and_chinese_marks_are_pauses():
    assert tidy(spoken_characters(pauses("a—b--c。d，e、f；g(h)"))) == "a - b - c. d, e, f; g, h,"


def test_plain_marks_change_nothing_else():
    assert plain_marks("你好，世界。a—b… c-d") == "你好,世界.a - b. c-d"


def test_overrides_pass_unchanged():
    text = "A {AW1 S} b {h ə} {}"
    hidden, overrides = hide_overrides(text)
    assert (
        not set(hidden) & set("{}W")
        and show_overrides(hidden.lower(), overrides).split() == text.lower().replace("{aw1 s}", "{AW1 S}").split()
    )


def test_nobody_can_smuggle_in_a_placeholder():
    hidden, overrides = hide_overrides("\ue000 {A}")
    assert show_overrides(hidden, overrides).split() == ["{A}"]


@pytest.mark.parametrize(
    ("spoken", "written", "expected"), [("p m", "p.m.", "p m."), ("a?", "a?", "a?"), ("", ".", ""), ("a", "a", "a")]
)
def test_the_period_at_the_end_is_not_lost(spoken, written, expected):
    assert closed(spoken, written) == expected


def test_every_mark_has_a_strength():
    assert len(set(MARKS)) == 7
    for mark in MARKS:
        assert tidy(f"a {mark} b").split("a", 1)[1].strip(" b") == mark
