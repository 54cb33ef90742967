from __future__ import annotations

import pytest
from hybrid import LENS, VOCABULARY, encodings, log_likelihoods, model, search

from speechkit.config import ConfigError, validate
from speechkit.decode.ctc_attention_rescoring import CtcAttentionRescoring, sentence_log_probs
from speechkit.decode.ctc_prefix_beam import CtcPrefixBeamSearch


@pytest.mark.parametrize("decoder", ["transformer", "las"])
@pytest.mark.parametrize("seed", range(3))
def test_the_sentences_of_ctc_are_ranked_by_both_objectives(decoder, seed):
    decoders = model(decoder, seed)
    built = search(CtcAttentionRescoring, beam_size=8, nbest=8, ctc_weight=0.4, length_bonus=0.2)
    first = search(CtcPrefixBeamSearch, beam_size=8, nbest=8, length_bonus=0.2).decode(decoders, encodings(seed), LENS)
    for b, hypotheses in enumerate(built.decode(decoders, encodings(seed), LENS)[:2]):
        by_ctc = {tuple(h.tokens): h for h in first[b]}
        attention, _ = log_likelihoods(decoders, encodings(seed)[b : b + 1], LENS[b : b + 1], [h.tokens for h in hypotheses])
        assert {tuple(h.tokens) for h in hypotheses} == by_ctc.keys()
        for h, a in zip(hypotheses, attention, strict=True):
            same = by_ctc[tuple(h.tokens)]
            ctc = same.scores["ctc"]
            assert h.scores == pytest.approx({"attention": a, "ctc": ctc}) and h.token_times == same.token_times
            assert h.score == pytest.approx(0.4 * ctc + 0.6 * a + 0.2 * len(h.tokens))


def test_with_ctc_alone_the_order_stays_and_with_attention_alone_it_is_the_best_of_those():
    decoders = model(seed=1)
    by_ctc, by_attention = (
        search(CtcAttentionRescoring, beam_size=8, nbest=8, ctc_weight=weight).decode(decoders, encodings(1), LENS)[0]
        for weight in (1.0, 0.0)
    )
    first = search(CtcPrefixBeamSearch, beam_size=8, nbest=8).decode(decoders, encodings(1), LENS)[0]
    assert [h.tokens for h in by_ctc] == [h.tokens for h in first]
    assert by_attention[0].scores["attention"] == max(h.scores["attention"] for h in by_ctc)
    assert search(CtcAttentionRescoring, beam_size=8, nbest=3).decode(decoders, encodings(1), LENS)[0][:1]


def test_one_pass_scores_sentences_of_any_length():
    decoders, sentences = model(), [(1, [2, 3]), (0, []), (1, [1, 1, 1]), (0, [3])]
    for (b, tokens), given in zip(sentences, sentence_log_probs(decoders["attention"], encodings(), LENS, sentences)):
        attention, _ = log_likelihoods(decoders, encodings()[b : b + 1], LENS[b : b + 1], [tokens])
        assert len(given) == len(tokens) + 1 and sum(given) == pytest.approx(attention[0])


def test_more_hypotheses_than_sentences_are_an_error_and_so_is_a_model_without_ctc():
    with pytest.raises(ConfigError, match="nbest: expected at most beam_size = 3, got 4"):
        validate(CtcAttentionRescoring.Config, {"name": "ctc_attention_rescoring", "beam_size": 3, "nbest": 4})
    built = CtcAttentionRescoring.Config().build(vocabulary=VOCABULARY)
    with pytest.raises(ValueError, match="decoder that scores frames, such as ctc, got objectives attention"):
        built.decode({"attention": model()["attention"]}, encodings(), LENS)
