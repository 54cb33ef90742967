"""Decoding graphs as folders."""

from __future__ import annotations

import json

import pytest
from toy_graph import char_tokenizer, toy_graph

from speechkit.graphs.folder import DecodingGraph, check_words
from speechkit.text.vocabulary import Vocabulary


def test_a_graph_is_read_back_with_its_words_and_symbol_tables(tmp_path) -> None:
    graph = toy_graph(tmp_path / "graph")
    assert graph.names == ["<eps>", "<unk>", "a", "ab", "b", "</s>"] and graph.words([0, 3, 0, 2]) == ["ab", "a"]
    assert graph.tokens == char_tokenizer().tokens and len(graph.spellings.separator) == 1
    symbols = (graph.folder / "tokens.txt").read_text().splitlines()
    assert symbols == ["<eps> 0", "<blank> 1", "<unk> 2", "<space> 3", "a 4", "b 5", "<sos/eos> 6"]
    assert (graph.folder / "words.txt").read_text().splitlines()[-2:] == ["</s> 5", "#0 6"]
    facts = json.loads((graph.folder / "graph.json").read_text())
    assert facts["order"] == 2 and facts["ngrams"][0] == len(graph.names)  # <s> in place of <eps>
    assert toy_graph(tmp_path / "again").folder.joinpath("TLG.fst").read_bytes() == (graph.folder / "TLG.fst").read_bytes()


def test_what_is_no_whole_graph_is_refused(tmp_path) -> None:
    with pytest.raises(ValueError, match="here: expected the folder of a decoding graph, got nothing; run `speechkit graph"):
        DecodingGraph.read(tmp_path / "nothing-here")
    graph = toy_graph(tmp_path / "graph")
    lexicon = graph.folder / "lexicon.json"
    lexicon.write_text(lexicon.read_text() + " ")
    with pytest.raises(ValueError, match="lexicon.json: expected the file that the graph was written with"):
        DecodingGraph.read(graph.folder)
    (graph.folder / "graph.json").unlink()
    with pytest.raises(ValueError, match="got a folder without graph.json"):
        DecodingGraph.read(graph.folder)


def test_tokens_of_another_model_are_refused(tmp_path) -> None:
    graph, tokenizer = toy_graph(tmp_path), char_tokenizer()
    graph.check_tokens(tokenizer.vocabulary, tokenizer)
    graph.check_tokens(tokenizer.vocabulary, None)
    with pytest.raises(ValueError, match="the 9 tokens of the model, got one over 6; run `speechkit graph` again for this"):
        graph.check_tokens(Vocabulary(9), None)
    tokenizer.tokens[3] = "z"
    with pytest.raises(ValueError, match="whose token 3 is 'z', got one with 'a'"):
        graph.check_tokens(tokenizer.vocabulary, tokenizer)


def test_missing_words_are_counted_and_the_first_named() -> None:
    check_words([], "lexicon.txt", "a spelling")
    with pytest.raises(ValueError, match=r"lexicon.txt: expected a spelling .* 7 of them: 'a', 'b', 'c', 'd', 'e' \.\.\.; add"):
        check_words(list("abcdefg"), "lexicon.txt", "a spelling")
