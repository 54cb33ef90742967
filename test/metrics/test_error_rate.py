import json
import random

import jiwer
import kaldialign
import numpy as np
import pytest

from speechkit.metrics.error_rate import align, bootstrap_interval, display_width, error_rate, score, split_units


def levenshtein(ref, hyp):
    """The textbook recursion, one cell at a time."""
    costs = list(range(len(hyp) + 1))
    for row, unit in enumerate(ref, start=1):
        before = [row]
        for column, other in enumerate(hyp, start=1):
            before.append(min(costs[column] + 1, before[-1] + 1, costs[column - 1] + (unit != other)))
        costs = before
    return costs[-1]


def random_pairs(count, seed=0, empty=False):
    source = random.Random(seed)
    words = ["a", "b", "ab", "天", "***", "0"]

    def text():
        return " ".join(source.choices(words, k=source.randrange(0 if empty else 1, 9)))

    return [(f"u{index}", text(), text()) for index in range(count)]


def test_an_alignment_has_the_fewest_errors_and_spells_both_sides():
    for _, ref, hyp in random_pairs(300, empty=True):
        ref, hyp = ref.split(), hyp.split()
        pairs = align(ref, hyp)
        assert [r for r, _ in pairs if r is not None] == ref and [h for _, h in pairs if h is not None] == hyp
        assert sum(r != h for r, h in pairs) == levenshtein(ref, hyp)
        assert (None, None) not in pairs


def test_an_alignment_names_what_happened():
    assert align(["a", "b", "c"], ["a", "x", "c", "d"]) == [("a", "a"), ("b", "x"), ("c", "c"), (None, "d")]
    assert align(["a", "b"], ["b"]) == [("a", None), ("b", "b")]


@pytest.mark.parametrize("unit", ["word", "char"])
def test_the_rate_is_jiwers(unit):
    pairs = random_pairs(200)
    refs, hyps = [ref for _, ref, _ in pairs], [hyp for _, _, hyp in pairs]
    expected = {"word": jiwer.wer, "char": jiwer.cer}[unit](refs, hyps)
    assert score(pairs, unit).total.rate == pytest.approx(expected, abs=1e-12)
    assert error_rate(pairs, unit).rate == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("unit", ["word", "char"])
def test_the_counts_are_kaldialigns(unit):
    pairs = random_pairs(200, empty=True)
    expected = kaldialign.batch_error_rate(
        [split_units(ref, unit) for _, ref, _ in pairs], [split_units(hyp, unit) for _, _, hyp in pairs]
    )
    total = score(pairs, unit).total
    counts = {"sub": total.sub, "ins": total.ins, "del": total.del_, "ref_len": total.ref_len}
    assert counts == {key: expected[key] for key in counts}
    assert total == error_rate(pairs, unit)


def test_spaces_between_words_are_characters_but_spaces_around_and_doubled_are_not():
    assert split_units("  a  bc ", "char") == ["a", " ", "b", "c"]
    assert split_units("  a  bc ", "word") == ["a", "bc"]
    assert score([("u", "ab cd", "abcd")], "char").total.del_ == 1


@pytest.mark.parametrize(("hyp", "rate"), [("", 0.0), ("a b c", 3.0)])
def test_without_reference_words_the_rate_is_the_number_of_insertions(hyp, rate):
    total = score([("u", "", hyp)]).total
    assert total.rate == rate == jiwer.wer("", hyp) and total.ins == rate and total.interval == (rate, rate)


def test_an_empty_reference_counts_its_insertions_among_others():
    total = score([("u", "", "x y"), ("v", "a b c d", "a b c d")]).total
    assert (total.ins, total.ref_len, total.rate) == (2, 4, 0.5)


def test_utterances_keep_their_order_and_sum_to_the_total():
    pairs = random_pairs(50, empty=True)
    report = score(pairs)
    assert [utterance.id for utterance in report.utterances] == [id for id, _, _ in pairs]
    for name in ("sub", "ins", "del_", "ref_len", "errors"):
        assert sum(getattr(utterance, name) for utterance in report.utterances) == getattr(report.total, name)
    assert sum(report.confusions.values()) == report.total.sub


def test_confusions_count_reference_then_hypothesis():
    report = score([("u", "cat sat", "bat sat"), ("v", "cat", "bat"), ("w", "bat", "cat"), ("x", "a", "")])
    assert report.confusions == {("cat", "bat"): 2, ("bat", "cat"): 1}


def test_the_result_is_plain_json():
    total = score([("u", "a b c d", "a x c")]).total
    assert json.loads(json.dumps(total.to_dict())) == {
        "rate": 0.5, "interval": [0.5, 0.5], "errors": 2, "sub": 1, "ins": 0, "del": 1, "ref_len": 4,
    }  # fmt: skip


# --- the interval -------------------------------------------------------------------------------------------------


def test_the_interval_is_the_one_of_plain_resampling():
    source = np.random.default_rng(0)
    ref_lens = source.integers(3, 20, size=211)
    errors = source.binomial(ref_lens, 0.2)
    picks = np.random.default_rng(1).integers(0, 211, size=(20000, 211))
    expected = np.quantile(errors[picks].sum(1) / ref_lens[picks].sum(1), [0.025, 0.975])
    assert bootstrap_interval(errors, ref_lens) == pytest.approx(tuple(expected), abs=0.003)


def test_the_interval_agrees_with_kaldialigns_bootstrap():
    source = random.Random(0)
    refs = [[source.choice("abcdef") for _ in range(source.randrange(4, 15))] for _ in range(150)]
    hyps = [[unit if source.random() < 0.8 else "z" for unit in ref] for ref in refs]
    expected = kaldialign.bootstrap_wer_ci(refs, hyps)
    pairs = [(str(index), " ".join(ref), " ".join(hyp)) for index, (ref, hyp) in enumerate(zip(refs, hyps))]
    assert score(pairs).total.interval == pytest.approx((expected["ci95min"], expected["ci95max"]), abs=0.005)


def test_the_interval_depends_on_the_seed_and_not_on_the_order():
    pairs = random_pairs(40)
    assert score(pairs, seed=1).total == score(pairs[::-1], seed=1).total
    assert score(pairs, seed=1).total.interval != score(pairs, seed=2).total.interval


def test_the_interval_covers_the_truth_as_often_as_it_says():
    source = np.random.default_rng(0)
    covered = 0
    for trial in range(300):
        ref_lens = source.integers(5, 15, size=100)
        low, high = bootstrap_interval(source.binomial(ref_lens, 0.15), ref_lens, seed=trial)
        covered += low <= 0.15 <= high
    assert 0.91 < covered / 300 < 0.98


def test_a_hundred_thousand_utterances_need_no_memory_for_resamples():
    errors = np.arange(100_000) % 7
    low, high = bootstrap_interval(errors, np.full(100_000, 10))
    assert low < 0.3 < high and high - low < 0.01


# --- errors and text ----------------------------------------------------------------------------------------------


def test_wrong_input_is_named():
    with pytest.raises(ValueError, match="expected at least one utterance"):
        score([])
    with pytest.raises(ValueError, match="expected every utterance once, got 'u' 2 times"):
        error_rate([("u", "a", "a"), ("u", "b", "b")])
    with pytest.raises(ValueError, match="unit: expected 'word' or 'char', got 'phone'"):
        score([("u", "a", "a")], unit="phone")


def test_the_report_lines_up_its_columns():
    text = score([("u1", "the cat sat", "the bat on sat"), ("u2", "今 天 好", "今 明天 好"), ("u3", "a", "a")]).to_text()
    assert "u1: 1 sub, 1 ins, 0 del of 3\nref: the cat ** sat\nhyp: the bat on sat\n         S   I\n" in text
    assert "u2: 1 sub, 0 ins, 0 del of 3\nref: 今 天   好\nhyp: 今 明天 好\n        S\n" in text
    assert "u3" not in text and "1 of 3 utterances have no error." in text
    assert text.startswith("WER 42.86% (95 % interval ") and "3 errors: 2 sub, 1 ins, 0 del; 7 reference words" in text


def test_every_column_of_the_report_begins_at_the_same_place():
    for block in score(random_pairs(60, empty=True)).to_text().split("\n\n")[4:]:
        heading, ref, hyp, marks = (block.split("\n") + [""])[:4]
        for line in (ref, hyp):
            wide = "".join(char * max(display_width(char), 1) for char in line)
            for column in [index for index, mark in enumerate(marks) if mark in "SID"]:
                assert wide[column - 1] == " " and wide[column] != " ", block


def test_the_tables_list_the_most_frequent_errors_first():
    pairs = [("a", "x x y", "z z w"), ("b", "d d", ""), ("c", "", "i"), ("d", "a b", "a b c")]
    text = score(pairs).to_text(top=1)
    assert "Most confused words:\n  x -> z  2\n\n" in text and "y -> w" not in text
    assert "Most deleted words:\n  d  2\n" in text and "Most inserted words:\n  c  1\n" in text


def test_a_space_is_visible_in_a_character_report():
    assert "ref: a ␣ b\nhyp: a * b\n       D" in score([("u", "a b", "ab")], "char").to_text()


def test_widths_of_characters():
    assert [display_width(text) for text in ("abc", "天", "ア", "e\u0301", "한", "\u200b", "é")] == [3, 2, 2, 1, 2, 0, 1]
