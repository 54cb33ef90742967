"""Joint search against enumeration of all sentences, against both objectives, and against the searches of each."""

from __future__ import annotations

import pytest
import torch
from hybrid import LENS, VOCABULARY, all_sentences, encodings, log_likelihoods, model, search

from speechkit.decode.attention_beam import AttentionBeamSearch
from speechkit.decode.ctc_prefix_beam import CtcPrefixBeamSearch
from speechkit.decode.joint import JointSearch
from speechkit.graphs.aligner import align_ctc

MAX_LEN = 3


def decode(decoders, seed, **options):
    built = search(JointSearch, max_len_ratio=MAX_LEN / 6, **options)
    return built.decode(decoders, encodings(seed)[:1], LENS[:1])[0]


@pytest.mark.parametrize("decoder", ["transformer", "las"])
@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_a_wide_beam_finds_the_n_best_of_all_sentences_with_their_exact_scores(decoder, weight, seed):
    decoders = model(decoder, seed)
    attention, ctc = log_likelihoods(decoders, encodings(seed)[:1], LENS[:1], all_sentences(MAX_LEN))
    exact = [
        ((1 - weight) * a + (weight * c if weight else 0.0), tokens)
        for a, c, tokens in zip(attention, ctc, all_sentences(MAX_LEN))
    ]
    ranked = sorted(exact, reverse=True)[:6]
    found = decode(decoders, seed, beam_size=200, nbest=6, ctc_weight=weight)
    assert [h.tokens for h in found] == [tokens for _, tokens in ranked]
    assert [h.score for h in found] == pytest.approx([score for score, _ in ranked])


@pytest.mark.parametrize("beam_size", [1, 3, 8])
def test_the_parts_of_every_result_are_the_two_objectives(beam_size):
    for seed in range(5):
        decoders = model(seed=seed)
        built = search(JointSearch, beam_size=beam_size, nbest=beam_size, ctc_weight=0.4, length_bonus=0.3)
        for b, hypotheses in enumerate(built.decode(decoders, encodings(seed), LENS)[:2]):
            sentences = [h.tokens for h in hypotheses]
            attention, ctc = log_likelihoods(decoders, encodings(seed)[b : b + 1], LENS[b : b + 1], sentences)
            for h, a, c in zip(hypotheses, attention, ctc, strict=True):
                assert h.scores == pytest.approx({"attention": a, "ctc": c})
                assert h.score == pytest.approx(0.4 * c + 0.6 * a + 0.3 * len(h.tokens))


@pytest.mark.parametrize("seed", range(5))
def test_with_ctc_alone_it_finds_what_the_ctc_search_finds(seed):
    decoders = model(seed=seed)
    joint = search(JointSearch, beam_size=300, ctc_weight=1.0).decode(decoders, encodings(seed), LENS)
    ctc = search(CtcPrefixBeamSearch, beam_size=300).decode(decoders, encodings(seed), LENS)
    for (a,), (b,) in zip(joint, ctc, strict=True):
        assert a.tokens == b.tokens and a.token_times == b.token_times
        assert a.score == pytest.approx(b.score) and a.confidences == pytest.approx(b.confidences)


@pytest.mark.parametrize("beam_size", [1, 2, 5])
def test_without_ctc_it_is_the_attention_search(beam_size):
    for seed in range(5):
        decoders = model(seed=seed)
        joint = search(JointSearch, beam_size=beam_size, ctc_weight=0.0).decode(decoders, encodings(seed), LENS)
        alone = search(AttentionBeamSearch, beam_size=beam_size).decode(decoders, encodings(seed), LENS)
        assert [each[0].tokens for each in joint] == [each[0].tokens for each in alone]
        assert [each[0].score for each in joint] == pytest.approx([each[0].score for each in alone])


def test_times_are_those_of_the_ctc_alignment_and_confidences_are_mixed():
    decoders = model(seed=3)
    (hypothesis,) = decode(decoders, 2, ctc_weight=0.25)
    log_probs = decoders["ctc"](encodings(2))[0].detach().numpy()
    path = align_ctc(log_probs, hypothesis.tokens)
    assert hypothesis.tokens and hypothesis.token_times == path.token_times
    state, own = decoders["attention"].start(encodings(2)[:1], LENS[:1]), []
    for token, following in zip([4, *hypothesis.tokens], hypothesis.tokens):
        given, state = decoders["attention"].step(torch.tensor([token]), state)
        own.append(given[0, following].exp().item())
    assert hypothesis.confidences == pytest.approx([0.75 * a + 0.25 * c for a, c in zip(own, path.confidences)])


def test_ctc_is_asked_about_more_tokens_than_attention_would_keep():
    # Attention's two best tokens are 1 and 2; CTC knows that it was 3, the third.
    decoders = model()
    attention, ctc = decoders["attention"].out, decoders["ctc"].out
    for out, bias in ((attention, [0.0, 2.0, 1.9, 1.8, 1.7]), (ctc, [0.0, -9, -9, 9, -9])):
        torch.nn.init.zeros_(out.weight)
        out.bias.data = torch.tensor(bias, dtype=torch.float64)
    assert decode(decoders, 0, beam_size=2, candidate_ratio=1.5)[0].tokens == [3]
    assert decode(decoders, 0, beam_size=2, candidate_ratio=1.0)[0].tokens != [3]


def test_the_decoder_of_frames_can_be_told_and_must_be_there():
    decoders = {**model(), "other": model(seed=7)["ctc"]}
    told = decode(decoders, 0, ctc_objective="other", ctc_weight=0.9)
    assert told == decode({"attention": decoders["attention"], "ctc": decoders["other"]}, 0, ctc_weight=0.9)
    built = JointSearch.Config().build(vocabulary=VOCABULARY)
    with pytest.raises(ValueError, match="decoder that scores frames, such as ctc, got objectives attention"):
        built.decode({"attention": decoders["attention"]}, encodings(), LENS)
    with pytest.raises(ValueError, match=r"^search\.ctc_objective: joint expected attention with .* scores frames"):
        decode(decoders, 0, ctc_objective="attention")
