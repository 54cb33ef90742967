from __future__ import annotations

import pytest

from speechkit.text.passages import Passage, Pauses, split_passages

PAUSES = Pauses(phrase=0.1, sentence=0.2, paragraph=0.5)


def passages(text, **options):
    return split_passages(text, pauses=PAUSES, **options)


def test_sentences_and_paragraphs_have_pauses_between_them_and_none_behind_the_last():
    found = passages("Mr. Smith came. He saw.\n\nHe left!\n \n")
    assert found == [
        Passage("Mr. Smith came.", pause=0.2),
        Passage("He saw.", pause=0.5),
        Passage("He left!", pause=0.0),
    ]


def test_a_long_sentence_is_said_in_parts():
    found = passages("One two three, four five six seven. Eight.", max_length=20)
    assert [(each.text, each.pause) for each in found] == [
        ("One two three,", 0.1),
        ("four five six seven.", 0.2),
        ("Eight.", 0.0),
    ]


def test_a_manner_may_change_within_a_sentence_without_a_pause():
    found = passages(
        '<speak>A <prosody rate="fast" pitch="+2st">loud</prosody> cry. And <prosody rate="50%">Mr.</prosody> X.</speak>'
    )
    assert found == [
        Passage("A"),
        Passage("loud", 1.25, 2.0),
        Passage("cry.", pause=0.2),
        Passage("And"),
        Passage("Mr.", 0.5),
        Passage("X."),
    ]


def test_a_sentence_that_ends_with_its_manner_is_followed_by_a_pause():
    assert passages('<speak>Stop. <prosody rate="2">Now go.</prosody></speak>')[0] == Passage("Stop.", pause=0.2)
    assert passages("<speak><s>stop</s><s>go</s></speak>") == [Passage("stop", pause=0.2), Passage("go")]


def test_a_paragraph_of_markup_is_one():
    found = passages("<speak><p><s>One</s> <s>two</s></p> <p>three</p> four <p>five</p></speak>")
    assert [(each.text, each.pause) for each in found] == [
        ("One", 0.2),
        ("two", 0.5),
        ("three", 0.5),
        ("four", 0.5),
        ("five", 0.0),
    ]


def test_breaks_come_on_top_of_what_punctuation_gives_and_stand_anywhere():
    found = passages(
        '<speak><break time="300ms"/>Wait <break time="1s"/>here. <break time="1s"/>Now.<break time="2s"/></speak>'
    )
    assert found == [
        Passage("", pause=0.3),
        Passage("Wait", pause=1.0),
        Passage("here.", pause=1.2),
        Passage("Now.", pause=2.0),
    ]


def test_phones_stay_in_braces_and_another_alphabet_is_refused():
    text = '<speak>say <phoneme alphabet="ipa" ph="t ə">to</phoneme>.</speak>'
    assert passages(text, alphabet="ipa") == [Passage("say {t ə}.")]
    with pytest.raises(ValueError, match="expected 'x-arpabet'"):
        passages(text, alphabet="x-arpabet")


@pytest.mark.parametrize("text", ["", " \n\n \n", "<speak> </speak>"])
def test_of_nothing_there_are_no_passages(text):
    assert passages(text) == []
