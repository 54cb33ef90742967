from __future__ import annotations

from types import SimpleNamespace

import pytest

from speechkit.data.speakers import SpeakerTable


def cut(name, cut_id="c"):
    return SimpleNamespace(id=cut_id, supervisions=[SimpleNamespace(speaker=name)])


def test_speakers_are_numbered_by_name_and_saved(tmp_path):
    SpeakerTable.fit([cut("zoé"), cut("ann"), cut("zoé"), cut("bob")]).save(tmp_path / "speakers.json")
    table = SpeakerTable.load(tmp_path / "speakers.json")
    assert table.names == ["ann", "bob", "zoé"] and len(table) == 3 and table(cut("zoé")) == 2


def test_a_corpus_that_names_nobody_has_one_speaker():
    table = SpeakerTable.fit([cut(None), cut(None)])
    assert len(table) == 1 and table(cut(None)) == 0


def test_a_stranger_names_the_cut():
    with pytest.raises(ValueError, match=r"cut x1: expected a speaker of the training data \(ann\), got 'eve'"):
        SpeakerTable(["ann"])(cut("eve", "x1"))


def test_a_speaker_is_found_by_name_and_a_wrong_name_gets_the_nearest_or_some():
    table = SpeakerTable([f"p{number}" for number in range(225, 240)])
    assert table.index("p226") == 1
    with pytest.raises(ValueError, match="one of the 15 of the training data, got 'p2255'; did you mean 'p225'"):
        table.index("p2255")
    with pytest.raises(ValueError, match="got 'me'; take one of p225, .*, p232 and 7 more"):
        table.index("me")


@pytest.mark.parametrize("content", [None, "[1,"])
def test_a_file_that_cannot_be_read_is_named(tmp_path, content):
    if content is not None:
        (tmp_path / "speakers.json").write_text(content)
    with pytest.raises(ValueError, match="speakers.json: expected the names of speakers"):
        SpeakerTable.load(tmp_path / "speakers.json")
