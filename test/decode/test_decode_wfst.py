"""The search through decoding graphs gives what trying every sentence gives."""

from __future__ import annotations

import math

import kaldi_decoder
import kaldifst
import numpy as np
import pytest
import torch
from toy_graph import TEXTS, char_tokenizer, every_sentence, language_model, random_log_probs, toy_graph

from speechkit.decode.scorers.base import Scorer
from speechkit.decode.scorers.fusion import Fusion
from speechkit.decode.wfst import WfstSearch
from speechkit.graphs.arpa import read_arpa, write_arpa
from speechkit.text.lexicon import Lexicon
from speechkit.text.vocabulary import Vocabulary

WIDE = {"beam": 1000.0, "lattice_beam": 1000.0, "nbest": 8}
TOKENS = char_tokenizer()
V = TOKENS.vocab_size


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory):
    return toy_graph(tmp_path_factory.mktemp("model") / "graph")


def search(graph, tokenizer=TOKENS, **options) -> WfstSearch:
    config = WfstSearch.Config(graph=str(graph.folder), **options)
    return config.build(vocabulary=tokenizer.vocabulary, tokenizer=tokenizer)


def ranked(found: dict, acoustic: float = 1.0, language: float = 1.0, bonus: float = 0.0) -> list[tuple[float, tuple]]:
    scores = {words: acoustic * a + language * g + bonus * len(words) for words, (a, g) in found.items()}
    return sorted(((score, words) for words, score in scores.items()), reverse=True)


def said(hypothesis) -> tuple[str, ...]:
    return tuple(word for word, _, _ in hypothesis.words)


@pytest.mark.parametrize("seed", range(4))
def test_the_n_best_are_those_of_trying_every_sentence(graph, seed: int) -> None:
    log_probs = random_log_probs(5, V, seed)
    expected = ranked(every_sentence(graph, log_probs, 3))
    found = search(graph, **WIDE).search(log_probs)
    assert [said(each) for each in found] == [words for _, words in expected[:8]]
    assert [each.score for each in found] == pytest.approx([score for score, _ in expected[:8]], abs=1e-4)


def test_scales_and_bonus_weigh_the_parts_of_the_score(graph) -> None:
    log_probs = random_log_probs(5, V, seed=7)
    options = {"acoustic_scale": 0.7, "lm_scale": 1.9, "length_bonus": 1.1}
    tried = every_sentence(graph, log_probs, 3)
    expected = ranked(tried, 0.7, 1.9, 1.1)
    for hypothesis, (score, words) in zip(search(graph, **WIDE, **options).search(log_probs), expected):
        parts = (hypothesis.scores["ctc"], hypothesis.scores["graph"])
        assert said(hypothesis) == words and hypothesis.score == pytest.approx(score, abs=1e-4)
        assert parts == pytest.approx(tried[words], abs=1e-4)
        assert 0.7 * parts[0] + 1.9 * parts[1] + 1.1 * len(words) == pytest.approx(hypothesis.score)


def test_alternative_spellings_and_words_that_sound_alike_keep_their_costs(tmp_path) -> None:
    lexicon = Lexicon.parse(b"a 1.0 a\na 0.3 b\nab 1.0 a b\nb 0.5 b\nb 0.5 a b\n")
    graph = toy_graph(tmp_path, lexicon=lexicon)
    for seed in range(3):
        log_probs = random_log_probs(4, V, seed)
        expected = ranked(every_sentence(graph, log_probs, 4))
        found = search(graph, **WIDE).search(log_probs)
        assert [said(each) for each in found] == [words for _, words in expected[:8]]
        assert [each.score for each in found] == pytest.approx([score for score, _ in expected[:8]], abs=1e-4)


def test_an_hmm_graph_has_no_blanks(tmp_path) -> None:
    graph = toy_graph(tmp_path, topology="hmm")
    log_probs = random_log_probs(5, V, seed=5)
    expected = ranked(every_sentence(graph, log_probs, 3, "hmm"))
    found = search(graph, **WIDE).search(log_probs)
    assert [said(each) for each in found] == [words for _, words in expected[:8]]
    assert [each.score for each in found] == pytest.approx([score for score, _ in expected[:8]], abs=1e-4)
    assert found[0].token_times[0][0] == 0 and found[0].token_times[-1][1] == 5


def test_the_decoder_of_kaldi_finds_the_same_best_path(graph) -> None:
    fst = kaldifst.StdFst.read(str(graph.folder / "TLG.fst"))
    for seed in range(3):
        log_probs = random_log_probs(30, V, seed)
        decoder = kaldi_decoder.FasterDecoder(fst, kaldi_decoder.FasterDecoderOptions(beam=100))
        decoder.decode(kaldi_decoder.DecodableCtc(log_probs.astype(np.float32)))
        _, _, words, weight = kaldifst.get_linear_symbol_sequence(decoder.get_best_path()[1])
        (best,) = search(graph, beam=100.0).search(log_probs)
        assert said(best) == tuple(graph.words(np.array(words)))
        assert best.score == pytest.approx(-(weight.value1 + weight.value2), abs=1e-3)


def test_words_are_the_tokens_that_spell_them_and_have_their_times(graph) -> None:
    path = TOKENS.encode("ab  a")
    path = [0, path[0], path[0], path[1], path[2], 0, 0, path[4], path[4]]
    log_probs = np.log(np.full((9, V), 0.01 / (V - 1)))
    log_probs[range(9), path] = math.log(0.99)
    (best,) = search(graph).search(log_probs)
    assert best.words == [("ab", 0, 2), ("a", 3, 4)] and TOKENS.decode(best.tokens) == "ab a"
    assert best.token_times == [(1, 3), (3, 4), (4, 5), (7, 9)]
    assert best.confidences == pytest.approx([0.99] * 4)


def test_a_narrow_beam_is_widened_until_a_sentence_ends(graph) -> None:
    log_probs = random_log_probs(12, V, seed=3)
    assert search(graph, beam=1e-9, max_active=1).search(log_probs)[0].words is not None


def test_frames_that_are_surely_blank_can_be_skipped_without_a_trace(graph) -> None:
    log_probs = np.insert(random_log_probs(6, V, seed=1), [2, 2, 2, 4, 6], -30.0, axis=0)
    silent = [2, 3, 4, 7, 10]
    log_probs[silent, 0] = -1e-6
    plain, skipping = search(graph, **WIDE).search(log_probs), search(graph, **WIDE, skip_blanks=0.9).search(log_probs)
    assert len(search(graph, skip_blanks=0.9)._searched(log_probs)[0]) == len(log_probs) - 2
    for one, other in zip(plain, skipping, strict=True):
        assert (one.words, one.tokens, one.confidences) == (other.words, other.tokens, other.confidences)
        assert one.score == pytest.approx(other.score) and one.scores["ctc"] == pytest.approx(other.scores["ctc"])


def test_a_batch_is_searched_as_each_utterance_alone(graph) -> None:
    log_probs = torch.from_numpy(np.stack([random_log_probs(9, V, seed) for seed in (1, 2)]))
    wide = search(graph, **WIDE)
    assert wide(log_probs, torch.tensor([9, 6])) == [wide.search(each.numpy()) for each in (log_probs[0], log_probs[1, :6])]


def test_rescoring_puts_another_models_scores_in_place_of_the_graphs(graph, tmp_path) -> None:
    new = language_model(graph.spellings, 3, ["ab ab ab b", *TEXTS, "b b"])
    write_arpa(tmp_path / "new.arpa", new, graph.names)
    log_probs = random_log_probs(6, V, seed=4)
    old, ids = read_arpa(graph.folder / "lm.arpa", graph.names).sentence_log_prob, graph.spellings.ids
    tried = every_sentence(graph, log_probs, 3)
    exact = {
        words: (a, g - old([ids[w] for w in words]) + new.sentence_log_prob([ids[w] for w in words]))
        for words, (a, g) in tried.items()
    }
    found = search(graph, **WIDE, lattice_lm=str(tmp_path / "new.arpa")).search(log_probs)
    assert [said(each) for each in found] == [words for _, words in ranked(exact)[:8]]
    assert [each.scores["graph"] for each in found] == pytest.approx([exact[said(each)][1] for each in found], abs=1e-4)


def test_a_rescoring_model_without_a_word_of_the_graph_is_refused(graph, tmp_path) -> None:
    model = language_model(graph.spellings, 1)
    write_arpa(tmp_path / "whole.arpa", model, graph.names)
    lines = (tmp_path / "whole.arpa").read_text().splitlines(keepends=True)
    kept = [line for line in lines if "\tab" not in line]
    count = sum("\t" in line for line in kept)
    text = "".join(kept).replace(f"ngram 1={count + 1}", f"ngram 1={count}")
    (tmp_path / "small.arpa").write_text(text)
    with pytest.raises(ValueError, match="small.arpa: expected a 1-gram for every word, got none for 1 of them: 'ab'"):
        search(graph, lattice_lm=str(tmp_path / "small.arpa"))
    with pytest.raises(ValueError, match="search.lattice_lm: expected search.graph"):
        WfstSearch.Config(graph="tokens", lattice_lm="x.arpa").build(vocabulary=Vocabulary(V))


class Length(Scorer):
    """One nat for each token."""

    def start(self, decoders, batch_size):
        return torch.zeros(batch_size)

    def score(self, state):
        rows = torch.ones(len(state), self.vocabulary.size)
        rows[:, self.vocabulary.eos_id] = 0.0
        return rows

    def advance(self, state, parents, tokens):
        return state[parents]


def test_scorers_of_tokens_rank_the_n_best_again(graph) -> None:
    log_probs, lens = torch.from_numpy(random_log_probs(5, V, seed=8))[None], torch.tensor([5])
    (plain,) = search(graph, **WIDE)(log_probs, lens)
    built = search(graph, **{**WIDE, "nbest": 2}, rescore_nbest=8)
    built.rescoring = Fusion({"long": Length(Scorer.Config(scale=3.0), vocabulary=TOKENS.vocabulary)}, 0.0, TOKENS.vocabulary)
    (found,) = built(log_probs, lens)
    expected = sorted(plain, key=lambda each: -each.score - 3 * len(each.tokens))[:2]
    assert [each.words for each in found] == [each.words for each in expected] and found[0].words != plain[0].words
    assert found[0].score == pytest.approx(expected[0].score + 3 * len(expected[0].tokens))
    assert found[0].scores == expected[0].scores | {"long": len(expected[0].tokens)}


def test_an_utterance_without_a_path_is_named(graph) -> None:
    log_probs = torch.full((2, 3, V), -math.inf)
    log_probs[0, :, 0] = log_probs[1, :, 1] = 0.0
    with pytest.raises(ValueError, match="utterance 1 of the batch: expected a path of 3 frames through the graph"):
        search(graph)(log_probs, torch.tensor([3, 3]))


def test_a_relative_graph_is_found_in_the_model_directory(graph) -> None:
    config = WfstSearch.Config(graph="graph")
    built = config.build(vocabulary=TOKENS.vocabulary, tokenizer=TOKENS, model_dir=graph.folder.parent)
    assert built.search(random_log_probs(5, V)) == search(graph).search(random_log_probs(5, V))


def test_a_graph_that_is_not_there_says_how_to_get_one(graph, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    facts = {"vocabulary": TOKENS.vocabulary, "tokenizer": TOKENS, "model_dir": tmp_path / "exp"}
    missing = f"^search.graph: expected the folder .*, got null; run `speechkit graph {tmp_path}/exp` and give search.graph=graph"
    with pytest.raises(ValueError, match=missing):
        WfstSearch.Config().build(**facts)
    where = f"found nothing in {tmp_path} or {tmp_path}/exp; run `speechkit graph {tmp_path}/exp`, or give search.graph"
    with pytest.raises(ValueError, match=f"^graph: expected the folder of a decoding graph, {where}"):
        WfstSearch.Config(graph="graph").build(**facts)
    lm = f"^lm.arpa: expected an ARPA file, found nothing in {tmp_path} or {tmp_path}/exp; make one with `speechkit lm {tmp_path}/exp"
    with pytest.raises(ValueError, match=lm):
        WfstSearch.Config(graph=str(graph.folder), lattice_lm="lm.arpa").build(**facts)


def test_a_graph_of_other_tokens_is_refused(graph) -> None:
    with pytest.raises(ValueError, match=f"over the 9 tokens of the model, got one over {V}; run `speechkit graph` again"):
        WfstSearch.Config(graph=str(graph.folder)).build(vocabulary=Vocabulary(9))
    other = char_tokenizer()
    other.fit(["xyz"])
    with pytest.raises(ValueError, match="whose token 2 is 'x', got one with ' '"):
        search(graph, tokenizer=other)
