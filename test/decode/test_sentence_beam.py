from __future__ import annotations

import math

import torch
from hybrid import LENS, encodings, model

from speechkit.decode.scorers.fusion import Fusion
from speechkit.decode.sentence_beam import Limits, SentenceBeam


def beam(decoders, tokens, **limits):
    decoder, fusion = decoders["attention"], Fusion({}, 0.0, decoders["attention"].vocabulary)
    limits = Limits(**{"beam_size": 3, "nbest": 2, "candidates": 3, **limits}, tokens=tokens)
    with torch.inference_mode():
        return SentenceBeam(decoder, decoder.start(encodings(), LENS), fusion, decoders, limits).run()


def test_one_step_serves_all_sentences_and_utterances_that_are_done_leave():
    decoders, widths = model(), []
    step = type(decoders["attention"]).step
    decoders["attention"].step = lambda tokens, state: (
        widths.append((len(tokens), state.memory.groups.count)),
        step(decoders["attention"], tokens, state),
    )[1]
    beam(decoders, [4, 2, 0], nbest=3)
    counts = [count for _, count in widths]
    assert counts[:2] == [3, 2] and counts == sorted(counts, reverse=True)  # the empty utterance leaves at once
    assert [rows for rows, _ in widths] == [3, *(3 * count for count in counts[1:])]


def test_no_sentence_is_longer_than_allowed_and_at_the_limit_all_end():
    for utterance, limit in zip(beam(model(), [3, 1, 0]), (3, 1, 0)):
        assert utterance and all(len(each.tokens) <= limit for each in utterance)


def test_weights_and_log_probs_are_those_of_the_steps_that_said_the_tokens():
    decoders = model("las")
    for b, sentences in enumerate(beam(decoders, [4, 3, 0])):
        for sentence in sentences:
            state, given = decoders["attention"].start(encodings()[b : b + 1], LENS[b : b + 1]), []
            for u, token in enumerate([4, *sentence.tokens]):
                log_probs, state = decoders["attention"].step(torch.tensor([token]), state)
                following = [*sentence.tokens, 4][u]
                given.append(log_probs[0, following].item())
                if u < len(sentence.tokens):
                    torch.testing.assert_close(
                        torch.from_numpy(sentence.weights[u]), state.weights[0].float().detach(), rtol=1e-5, atol=1e-6
                    )
            torch.testing.assert_close(torch.tensor(sentence.log_probs), torch.tensor(given[:-1]))
            assert math.isclose(sum(given), sentence.scores["attention"], rel_tol=1e-9)
