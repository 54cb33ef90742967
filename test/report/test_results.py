from __future__ import annotations

import json

import pytest
from report_toy import UTTERANCES, write_set

from speechkit.decode.transducer_beam import TransducerBeamSearch
from speechkit.metrics.error_rate import score
from speechkit.report.results import read_sets


def test_rates_are_those_of_the_files(tmp_path):
    write_set(tmp_path)
    wer = {"rate": 0.125, "interval": [0.1, 0.25], "sub": 5, "ins": 6, "del": 7, "ref_len": 144}
    path = tmp_path / "decode" / "test" / "wer.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | wer))
    [each] = read_sets(tmp_path)
    assert each.wer.rate == 0.125 and each.wer.interval == (0.1, 0.25)
    assert (each.wer.sub, each.wer.ins, each.wer.del_, each.wer.ref_len) == (5, 6, 7, 144)


@pytest.mark.parametrize("scored", [True, False])
def test_a_set_that_was_not_scored_is_scored_on_the_spot(tmp_path, scored):
    write_set(tmp_path, scored=scored)
    [each] = read_sets(tmp_path)
    assert (each.wer.sub, each.wer.ins, each.wer.del_, each.wer.ref_len) == (2, 1, 2, 14)
    assert each.wer.rate == pytest.approx(5 / 14)
    assert each.cer.rate == pytest.approx(score(UTTERANCES, "char").total.rate)
    assert each.wer.interval[0] <= each.wer.rate <= each.wer.interval[1]


def test_facts_about_the_search_are_split_in_name_and_options(tmp_path):
    write_set(tmp_path)
    [each] = read_sets(tmp_path)
    assert each.search == ("ctc_prefix_beam", "beam_size 8") and each.facts["threads"] == 3


def searched(tmp_path, **search):
    path = tmp_path / "decode" / "test" / "decode.json"
    path.write_text(json.dumps({"search": search}))
    [each] = read_sets(tmp_path)
    return each.search


def test_options_of_the_search_that_are_its_defaults_are_not_told(tmp_path):
    write_set(tmp_path)
    everything = TransducerBeamSearch.Config(beam_size=4).model_dump(mode="json")
    assert searched(tmp_path, **everything) == ("transducer_beam", "beam_size 4")
    assert searched(tmp_path, **TransducerBeamSearch.Config().model_dump(mode="json")) == ("transducer_beam", "")
    scorers = {"lm": {"name": "ngram", "path": "x.arpa", "scale": 0.4}, "ilm": {"name": "internal_lm", "objective": None}}
    told = "scorers {lm: {name: ngram, scale: 0.4, path: x.arpa}, ilm: internal_lm}"
    assert searched(tmp_path, **(everything | {"scorers": scorers})) == ("transducer_beam", f"{told}, beam_size 4")


def test_of_a_search_that_is_not_known_here_all_options_are_told(tmp_path):
    write_set(tmp_path)
    assert searched(tmp_path, name="mine", width=3, deep=False) == ("mine", "width 3, deep false")
    assert searched(tmp_path, name="ctc_greedy", gone=[1]) == ("ctc_greedy", "gone [1]")


def test_sets_come_by_name_and_empty_ones_not_at_all(tmp_path):
    for name in ("test-other", "dev", "test-clean"):
        write_set(tmp_path, name)
    (tmp_path / "decode" / "dev" / "hyps.jsonl").write_text("")
    (tmp_path / "decode" / "unfinished").mkdir()
    assert [each.name for each in read_sets(tmp_path)] == ["test-clean", "test-other"]


def test_without_decode_json_there_are_dashes(tmp_path):
    write_set(tmp_path)
    (tmp_path / "decode" / "test" / "decode.json").unlink()
    assert read_sets(tmp_path)[0].search == ("–", "")


@pytest.mark.parametrize(
    ("texts", "unit"),
    [(["今天天气", "我们走吧"], "char"), (["good day", "我们"], "word"), (["今天", "我们", "ok"], "char")],
)
def test_errors_are_counted_in_characters_where_there_are_no_spaces(tmp_path, texts, unit):
    write_set(tmp_path, utterances=[(str(i), text, text) for i, text in enumerate(texts)])
    [each] = read_sets(tmp_path)
    assert each.unit == unit and each.main[0] == {"char": "CER", "word": "WER"}[unit]


@pytest.mark.parametrize(
    ("file", "content", "where"),
    [
        ("hyps.jsonl", '{"id": "a", "ref": "b", "hyp": "c"}\n{"id": ', "hyps.jsonl:2: not valid JSON; decode"),
        ("hyps.jsonl", '{"id": "a", "ref": "b"}\n', "hyps.jsonl:1: expected an object"),
        ("decode.json", "{", "decode.json: not valid JSON; decode"),
        ("wer.json", "[]", "wer.json: expected an object"),
        ("wer.json", '{"rate": 0.1}', "wer.json: expected the fields of an error rate"),
        ("cer.json", '{"rate": 0.1, "interval": [1]}', "cer.json: expected the fields of an error rate"),
    ],
)
def test_a_corrupt_file_is_named_with_a_remedy(tmp_path, file, content, where):
    write_set(tmp_path)
    (tmp_path / "decode" / "test" / file).write_text(content)
    with pytest.raises(ValueError, match=where) as caught:
        [each] = read_sets(tmp_path)
        assert each.wer == each.cer  # both are read when asked for
    assert "again" in str(caught.value) and "\n" not in str(caught.value)
