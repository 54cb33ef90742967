from __future__ import annotations

import random

import pytest
from report_toy import Page

from speechkit.report.html import Html, details, escape, h, join, table

NASTY = "<script>alert('x')</script> & \"quoted\" &amp; ]]> <!-- --> \\ ' ` é 你好"


def test_text_and_attributes_come_back_as_they_were():
    [(attributes, text)] = Page(h("p", NASTY, title=NASTY, data_x=NASTY)).find("p")
    assert text == NASTY and attributes == {"title": NASTY, "data-x": NASTY}


def test_any_text_makes_exactly_one_element():
    letters = "<>&\"'=/! -abs\t\n\u2028é"
    for _ in range(200):
        text = "".join(random.choices(letters, k=random.randrange(20)))
        page = Page(h("b", text, title=text))
        assert [tag for tag, _, _ in page.elements] == ["b"]
        assert page.texts("b") == [text]


@pytest.mark.parametrize("bad", ["\x00", "\x1b", "\x7f", "\ud800", "\udfff"])
def test_what_no_page_can_hold_becomes_a_replacement_character(bad):
    assert h("p", f"a{bad}b", title=bad) == '<p title="\ufffd">a\ufffdb</p>'
    h("p", bad, title=bad).encode("utf-8")


def test_markup_is_not_escaped_twice_and_nothing_is_left_out():
    assert h("p", h("b", "<"), ["x", [h("i", 1), None]], None, 2.5) == "<p><b>&lt;</b>x<i>1</i>2.5</p>"
    assert escape(Html("<b>")) == "<b>" and join(["<", Html("<br>")], ", ") == "&lt;, <br>"


def test_attributes_true_is_bare_and_none_is_absent():
    assert h("audio", controls=True, hidden=False, src=None, class_="c") == '<audio controls class="c"></audio>'
    assert h("br", class_="x") == '<br class="x">'


def test_a_table_names_its_columns_and_can_be_scrolled_by_keyboard():
    page = Page(table(["set", "n"], [["<a>", 3], [h("th", "b", scope="row"), 4]], [1], "Results"))
    assert page.texts("caption") == ["Results"]
    assert page.texts("th", scope="col") == ["set", "n"] and page.texts("th", scope="row") == ["b"]
    assert page.texts("td") == ["<a>", "3", "4"] and page.texts("td", class_="num") == ["3", "4"]
    [(region, _)] = page.find("div")
    assert region["tabindex"] == "0" and region["aria-label"] == "Results"


def test_details_are_closed_unless_asked():
    assert details("more", "x") == "<details><summary>more</summary>x</details>"
    assert details("more", "x", open_=True).startswith("<details open>")
