"""CTC prefix beam search against enumeration of all paths, a plain beam over dictionaries, and published results."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict

import pytest
import torch

from speechkit.config import ConfigError, validate
from speechkit.data.batch import Targets
from speechkit.decode.ctc_greedy import CtcGreedySearch
from speechkit.decode.ctc_prefix_beam import CtcPrefixBeamSearch
from speechkit.decode.scorers.hotwords import HotwordScorer
from speechkit.graphs.arpa import symbol_names, write_arpa
from speechkit.graphs.ngram_estimation import estimate
from speechkit.models.decoder.linear import Linear
from speechkit.objectives.ctc import CtcObjective
from speechkit.text.symbols import CharTokenizer
from speechkit.text.vocabulary import Vocabulary


def search(probs, beam_size=1000, nbest=None, blank_id=0, min_token_prob=0.0):
    """Hypotheses of one utterance given as probabilities (S, V)."""
    config = CtcPrefixBeamSearch.Config(beam_size=beam_size, nbest=nbest or beam_size, min_token_prob=min_token_prob)
    return config.build(vocabulary=Vocabulary(7, blank_id))(probs.log().unsqueeze(0), torch.tensor([len(probs)]))[0]


def random_probs(num_frames, vocab_size, seed, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    return (scale * torch.randn(num_frames, vocab_size, generator=generator, dtype=torch.float64)).softmax(-1)


def probability_of_all(probs, blank_id=0):
    """Each spelling's probability, by enumeration of all paths."""
    found, frames = defaultdict(float), probs.tolist()
    for path in itertools.product(range(probs.shape[1]), repeat=len(probs)):
        spelled = tuple(token for token, _ in itertools.groupby(path) if token != blank_id)
        found[spelled] += math.prod(frame[token] for frame, token in zip(frames, path))
    return dict(found)


def plain_beam(probs, beam_size):
    """The same search as a textbook writes it: all tokens, prefixes as keys, plain probabilities."""
    beam = {(): (1.0, 0.0)}
    for frame in probs.tolist():
        grown = defaultdict(lambda: [0.0, 0.0])
        for prefix, (ending_blank, ending_token) in beam.items():
            grown[prefix][0] += (ending_blank + ending_token) * frame[0]
            for token in range(1, len(frame)):
                if prefix and token == prefix[-1]:
                    grown[prefix][1] += ending_token * frame[token]
                    grown[prefix + (token,)][1] += ending_blank * frame[token]
                else:
                    grown[prefix + (token,)][1] += (ending_blank + ending_token) * frame[token]
        beam = dict(sorted(grown.items(), key=lambda item: -sum(item[1]))[:beam_size])
    return {prefix: sum(mass) for prefix, mass in beam.items() if sum(mass) > 0}


# --- exactness ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("blank_id", [0, 2])
@pytest.mark.parametrize("seed", range(3))
def test_a_wide_beam_finds_every_spelling_with_its_exact_probability(seed, blank_id):
    probs = random_probs(5, 3, seed)
    hypotheses = search(probs, blank_id=blank_id)
    found = {tuple(h.tokens): math.exp(h.score) for h in hypotheses}
    assert found == pytest.approx(probability_of_all(probs, blank_id), rel=1e-10)
    assert sum(found.values()) == pytest.approx(1.0, abs=1e-10)


@pytest.mark.parametrize("seed", range(10))
def test_a_wide_beam_finds_the_exhaustive_maximum(seed):
    probs = random_probs(5, 4, seed)
    exact = probability_of_all(probs)
    best = search(probs, nbest=1)[0]
    assert tuple(best.tokens) == max(exact, key=exact.__getitem__)
    assert best.scores == {"ctc": best.score}


@pytest.mark.parametrize("beam_size", [1, 2, 3, 7])
@pytest.mark.parametrize(("num_frames", "vocab_size"), [(13, 3), (11, 23)])
@pytest.mark.parametrize("seed", range(5))
def test_a_narrow_beam_equals_the_textbook(seed, num_frames, vocab_size, beam_size):
    # Few tokens: prefixes often leave the beam and come back. Many: not all of them are looked at.
    probs = random_probs(num_frames, vocab_size, seed)
    found = {tuple(h.tokens): math.exp(h.score) for h in search(probs, beam_size)}
    assert found == pytest.approx(plain_beam(probs, beam_size), rel=1e-10)


@pytest.mark.parametrize("seed", range(5))
def test_no_score_exceeds_the_exact_likelihood(seed):
    probs = random_probs(29, 5, seed)
    objective = CtcObjective.Config().build(vocabulary=Vocabulary(5))
    for hypothesis in search(probs, beam_size=4):
        tokens = torch.tensor([hypothesis.tokens])
        lens, token_lens = torch.tensor([29]), torch.tensor([tokens.shape[1]])
        exact = -objective(lambda log_probs: log_probs, probs.log().unsqueeze(0), lens, Targets(tokens, token_lens)).item()
        assert hypothesis.score <= exact + 1e-9


# --- published results --------------------------------------------------------------------------------------------

# wenet-e2e/wenet, runtime/core/test/ctc_prefix_beam_search_test.cc
WENET = torch.tensor([[0.25, 0.40, 0.35], [0.40, 0.35, 0.25], [0.10, 0.50, 0.40]], dtype=torch.float64)
# parlance/ctcdecode, tests/test_decode.py: blank last
LETTERS = "' abcd"
CTCDECODE = [
    """0.06390443 0.21124858 0.27323887 0.06870235 0.0361254  0.18184413 0.16493624
       0.03309247 0.22866108 0.24390638 0.09699597 0.31895462 0.0094893  0.06890021
       0.218104   0.19992557 0.18245131 0.08503348 0.14903535 0.08424043 0.08120984
       0.12094152 0.19162472 0.01473646 0.28045061 0.24246305 0.05206269 0.09772094
       0.1333387  0.00550838 0.00301669 0.21745861 0.20803985 0.41317442 0.01946335
       0.16468227 0.1980699  0.1906545  0.18963251 0.19860937 0.04377724 0.01457421""",
    """0.08034842 0.22671944 0.05799633 0.36814645 0.11307441 0.04468023 0.10903471
       0.09742457 0.12959763 0.09435383 0.21889204 0.15113123 0.10219457 0.20640612
       0.45033529 0.09091417 0.15333208 0.07939558 0.08649316 0.12298585 0.01654384
       0.02512238 0.22079203 0.19664364 0.11906379 0.07816055 0.22538587 0.13483174
       0.17928453 0.06065261 0.41153005 0.1172041  0.11880313 0.07113197 0.04139363
       0.15882358 0.1235788  0.23376776 0.20510435 0.00279306 0.05294827 0.22298418""",
]


def ctcdecode_probs(index):
    return torch.tensor([float(number) for number in CTCDECODE[index].split()], dtype=torch.float64).view(6, 7)


def spell(hypothesis):
    return "".join(LETTERS[token] for token in hypothesis.tokens)


@pytest.mark.parametrize(
    ("beam_size", "probabilities"), [(3, [0.2185, 0.1550, 0.1525]), (100, [0.2185, 0.2050, 0.2025])]
)
def test_published_three_best_of_wenet_pruned_and_exact(beam_size, probabilities):
    hypotheses = search(WENET, beam_size, nbest=3)
    assert [h.tokens for h in hypotheses] == [[2, 1], [1, 2], [1]]
    assert [math.exp(h.score) for h in hypotheses] == pytest.approx(probabilities, rel=1e-10)
    assert [h.token_times for h in hypotheses] == [[(0, 1), (2, 3)], [(0, 1), (2, 3)], [(0, 3)]]
    assert hypotheses[0].confidences == pytest.approx([0.35, 0.5]) and hypotheses[2].confidences == pytest.approx([0.5])


@pytest.mark.parametrize(("index", "greedy", "best"), [(0, "ac'bdc", "acb"), (1, "b'da", "b'a")])
def test_published_result_of_ctcdecode(index, greedy, best):
    # Its own beam of 20 gives "acdc" for the first, which is not the likeliest; enumeration confirms "acb".
    probs = ctcdecode_probs(index)
    path = CtcGreedySearch.Config().build(vocabulary=Vocabulary(7, 6))(probs.log().unsqueeze(0), torch.tensor([6]))[0][0]
    assert spell(path) == greedy
    found = search(probs, nbest=1, blank_id=6)[0]
    exact = probability_of_all(probs, blank_id=6)
    assert spell(found) == best and tuple(found.tokens) == max(exact, key=exact.__getitem__)


# --- beam 1 and greedy --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
def test_a_beam_of_one_equals_greedy_where_every_frame_has_a_token_of_three_quarters(seed):
    probs = random_probs(31, 4, seed) * 0.25
    best = torch.randint(4, (31,), generator=torch.Generator().manual_seed(seed))
    probs += 0.75 * torch.nn.functional.one_hot(best, 4)
    greedy = CtcGreedySearch.Config().build(vocabulary=Vocabulary(7))(probs.log().unsqueeze(0), torch.tensor([31]))[0][0]
    found = search(probs, beam_size=1)[0]
    assert found.tokens == greedy.tokens and found.token_times == greedy.token_times
    assert found.score >= greedy.score


def test_in_general_a_beam_of_one_is_not_greedy():
    greedy = CtcGreedySearch.Config().build(vocabulary=Vocabulary(7))(WENET.log().unsqueeze(0), torch.tensor([3]))[0][0]
    assert greedy.tokens == [1, 1]
    assert search(WENET, beam_size=1)[0].tokens == [1, 2]


# --- options ------------------------------------------------------------------------------------------------------


def test_fewer_hypotheses_are_returned_where_fewer_exist():
    assert sorted(h.tokens for h in search(random_probs(1, 3, seed=0), beam_size=7)) == [[], [1], [2]]


def test_the_n_best_are_the_first_of_the_beam():
    probs = random_probs(9, 4, seed=0)
    assert search(probs, beam_size=7, nbest=3) == search(probs, beam_size=7)[:3]


def test_an_unlikely_token_starts_no_prefix_but_counts_for_those_there_are():
    probs = torch.tensor([[0.50, 0.30, 0.20], [0.30, 0.15, 0.55]], dtype=torch.float64)
    found = {tuple(h.tokens): math.exp(h.score) for h in search(probs, min_token_prob=0.25)}
    # Frame 0 starts no (2), frame 1 no (2, 1) and no (1, 1); but (1) is there already, so its paths all count.
    expected = {(): 0.5 * 0.3, (1,): 0.3 * (0.3 + 0.15) + 0.5 * 0.15, (2,): 0.5 * 0.55, (1, 2): 0.3 * 0.55}
    assert found == pytest.approx(expected, rel=1e-10)


def test_the_best_token_of_a_frame_is_never_unlikely():
    probs = torch.tensor([[0.0, 0.4, 0.35, 0.25]], dtype=torch.float64)
    assert [h.tokens for h in search(probs, min_token_prob=0.5)] == [[1]]


def test_more_hypotheses_than_the_beam_holds_are_an_error():
    with pytest.raises(ConfigError, match="nbest: expected at most beam_size = 3, got 4"):
        validate(CtcPrefixBeamSearch.Config, {"name": "ctc_prefix_beam", "beam_size": 3, "nbest": 4})


# --- scorers ------------------------------------------------------------------------------------------------------

LM_TEXTS = ["ab", "abc", "ba", "cab", "a", ""]


@pytest.fixture(scope="module")
def letters():
    tokenizer = CharTokenizer.Config().build()
    tokenizer.fit(["abcd"])
    return tokenizer


@pytest.fixture(scope="module")
def lm(letters, tmp_path_factory):
    """(model, path of its ARPA file)"""
    model = estimate([letters.encode(text) for text in LM_TEXTS], letters.vocabulary, 3, "witten_bell")
    path = tmp_path_factory.mktemp("lm") / "lm.arpa"
    write_arpa(path, model, symbol_names(letters.tokens))
    return model, path


def fused(letters, probs, **options):
    """Hypotheses of one utterance, or of several of different length."""
    several = isinstance(probs, list)
    probs = probs if several else [probs]
    config = validate(CtcPrefixBeamSearch.Config, {"name": "ctc_prefix_beam", "nbest": options.get("beam_size", 1), **options})
    log_probs = torch.nn.utils.rnn.pad_sequence(probs, batch_first=True, padding_value=math.nan).log()
    found = config.build(vocabulary=letters.vocabulary, tokenizer=letters)(log_probs, torch.tensor([*map(len, probs)]))
    return found if several else found[0]


def lm_option(path, scale):
    return {"name": "ngram", "path": str(path), "scale": scale}


def count(tokens, phrase):
    return sum(tuple(tokens[i : i + len(phrase)]) == phrase for i in range(len(tokens)))


@pytest.mark.parametrize("seed", range(3))
def test_with_scorers_a_wide_beam_ranks_every_spelling_by_the_sum_of_its_parts(letters, lm, seed):
    model, path = lm
    probs = random_probs(4, 5, seed)  # blank, unknown, a, b, c
    scorers = {"lm": lm_option(path, 0.7), "bias": {"name": "hotwords", "phrases": ["ca", "b"], "boost": 2.0, "scale": 0.4}}
    found = fused(letters, probs, beam_size=1000, scorers=scorers, length_bonus=0.3)
    expected, exact = {}, probability_of_all(probs)
    for tokens, prob in exact.items():
        bias = 2.0 * (2 * count(tokens, (4, 2)) + count(tokens, (3,)))
        expected[tokens] = math.log(prob) + 0.7 * model.sentence_log_prob(tokens) + 0.4 * bias + 0.3 * len(tokens)
    assert {tuple(h.tokens): h.score for h in found} == pytest.approx(expected, abs=1e-4)
    assert [tuple(h.tokens) for h in found] == sorted(expected, key=expected.__getitem__, reverse=True)
    for hypothesis in found:
        scores = hypothesis.scores
        assert scores["ctc"] == pytest.approx(math.log(exact[tuple(hypothesis.tokens)]), rel=1e-9)
        whole = scores["ctc"] + 0.7 * scores["lm"] + 0.4 * scores["bias"] + 0.3 * len(hypothesis.tokens)
        assert hypothesis.score == pytest.approx(whole, abs=1e-5)


@pytest.mark.parametrize("beam_size", [1, 3, 7])
@pytest.mark.parametrize("seed", range(4))
def test_with_scorers_a_narrow_beam_equals_the_textbook(letters, lm, seed, beam_size):
    model, path = lm
    probs = random_probs(13, 5, seed)

    def gain(prefix):
        return sum(0.8 * model.log_prob([6, *prefix[:i]], token) + 0.5 for i, token in enumerate(prefix))

    beam = {(): (1.0, 0.0)}
    for frame in probs.tolist():
        grown = defaultdict(lambda: [0.0, 0.0])
        for prefix, (ending_blank, ending_token) in beam.items():
            grown[prefix][0] += (ending_blank + ending_token) * frame[0]
            for token in range(1, len(frame)):
                again = bool(prefix) and token == prefix[-1]
                grown[prefix][1] += ending_token * frame[token] * again
                grown[prefix + (token,)][1] += (ending_blank + (0.0 if again else ending_token)) * frame[token]
        ranked = sorted((item for item in grown.items() if sum(item[1])), key=lambda item: -math.log(sum(item[1])) - gain(item[0]))
        beam = dict(ranked[:beam_size])
    found = fused(letters, probs, beam_size=beam_size, scorers={"lm": lm_option(path, 0.8)}, length_bonus=0.5)
    expected = {
        prefix: math.log(sum(mass)) + gain(prefix) + 0.8 * model.log_prob([6, *prefix], 6) for prefix, mass in beam.items()
    }
    assert {tuple(h.tokens): h.score for h in found} == pytest.approx(expected, abs=1e-4)


def test_a_language_model_that_knows_nothing_is_a_constant_per_token(letters, tmp_path):
    lines = ["\\data\\", "ngram 1=7", "", "\\1-grams:", "-99\t<s>", *(f"-0.5\t{name}" for name in symbol_names(letters.tokens)[1:6])]
    (tmp_path / "lm.arpa").write_text("\n".join([*lines, "-0.5\t</s>", "", "\\end\\", ""]))
    cost = -0.5 * math.log(10)
    for seed in range(3):
        probs = random_probs(17, 5, seed)
        plain = search(probs, beam_size=8)
        found = fused(letters, probs, beam_size=8, scorers={"lm": lm_option(tmp_path / "lm.arpa", 1.0)}, length_bonus=-cost)
        assert [h.tokens for h in found] == [h.tokens for h in plain]
        assert [h.score - cost for h in found] == pytest.approx([h.score for h in plain], abs=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_hotwords_without_a_boost_change_nothing(letters, seed):
    probs, bias = random_probs(29, 5, seed), {"name": "hotwords", "phrases": ["ab", "c"], "boost": 0.0}
    found = fused(letters, probs, beam_size=6, scorers={"bias": bias}, min_token_prob=0.1)
    assert [h.scores.pop("bias") for h in found] == [0.0] * len(found)
    assert found == search(probs, beam_size=6, min_token_prob=0.1)


def test_a_hotword_is_found_where_the_network_hesitates(letters):
    path = torch.tensor([[0.3, 0, 0.7, 0, 0], [0.3, 0, 0, 0.36, 0.34]], dtype=torch.float64)
    assert letters.decode(fused(letters, path, beam_size=4)[0].tokens) == "ab"
    assert letters.decode(fused(letters, path, beam_size=4, scorers={"bias": {"name": "hotwords", "phrases": ["ac"]}})[0].tokens) == "ac"


def test_with_scorers_an_utterance_in_a_batch_is_searched_as_if_alone(letters, lm):
    options = {"beam_size": 4, "scorers": {"lm": lm_option(lm[1], 0.5)}, "rescore": {"bias": {"name": "hotwords", "phrases": ["ab"]}}}
    batch = [random_probs(length, 5, seed=length) for length in (17, 11, 0, 13)]
    together = fused(letters, batch, **options)
    assert together == [fused(letters, probs, **options) for probs in batch]
    assert together[2][0].tokens == [] and all(len(hypotheses) == 4 for hypotheses in (together[0], together[1], together[3]))


def test_rescoring_ranks_the_whole_beam_by_what_fusion_would_have_added(letters, lm):
    probs = random_probs(4, 5, seed=1)
    fusion = fused(letters, probs, beam_size=1000, scorers={"lm": lm_option(lm[1], 0.7)}, length_bonus=0.2)
    both = fused(letters, probs, beam_size=1000, rescore={"lm": lm_option(lm[1], 0.7)}, length_bonus=0.2)
    assert {tuple(h.tokens): h.score for h in both} == pytest.approx({tuple(h.tokens): h.score for h in fusion}, abs=1e-5)
    assert both[0].scores.keys() == {"ctc", "lm"}
    (best,) = fused(letters, probs, beam_size=1000, nbest=1, rescore={"lm": lm_option(lm[1], 0.7)}, length_bonus=0.2)
    assert best == both[0]


def test_scorers_that_read_the_network_get_its_decoders(letters):
    seen = []

    class Asking(HotwordScorer):
        def start(self, decoders, batch_size):
            seen.append(sorted(decoders))
            return super().start(decoders, batch_size)

    built = CtcPrefixBeamSearch.Config(length_bonus=0.1).build(vocabulary=letters.vocabulary)
    built.fusion.scorers["bias"] = Asking(
        HotwordScorer.Config(phrases=("ab",)), vocabulary=letters.vocabulary, tokenizer=letters
    )
    built.fusion.scales.append(1.0)
    decoders = {"ctc": Linear.Config().build(in_dim=3, vocabulary=letters.vocabulary)}
    built.decode(decoders, torch.randn(2, 5, 3), torch.tensor([5, 4]))
    assert seen == [["ctc"]]


def test_a_scorer_called_ctc_is_an_error():
    for option in ("scorers", "rescore"):
        with pytest.raises(ConfigError, match=f"{option}: expected names other than ctc"):
            validate(CtcPrefixBeamSearch.Config, {"name": "ctc_prefix_beam", option: {"ctc": "hotwords"}})
