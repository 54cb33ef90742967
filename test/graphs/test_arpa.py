"""ARPA files: what is written is read, as KenLM reads it too, and what is damaged is named by file and line."""

from __future__ import annotations

import gzip
import itertools
import math

import numpy as np
import pytest

from speechkit.graphs.arpa import read_arpa, read_names, symbol_names, write_arpa
from speechkit.graphs.ngram_estimation import estimate
from speechkit.text.vocabulary import Vocabulary

NAMES = ["<blank>", "<unk>", "a", "b", "c\u2028d", "<sos/eos>"]
SMALL = """\\data\\
ngram 1=5
ngram 2=3

\\1-grams:
-1.0\t<unk>
-99\t<s>\t-0.2
-0.7\t</s>
-0.3\ta\t-0.1
-0.6\tb

\\2-grams:
-0.2\t<s> a
-0.4\ta b
-0.5\ta </s>

\\end\\
"""


def model(order=3):
    random = np.random.default_rng(0)
    return estimate([random.integers(2, 5, size).tolist() for size in random.integers(0, 6, 19)], Vocabulary(6), order)


def write(tmp_path, text):
    (tmp_path / "lm.arpa").write_text(text, encoding="utf-8")
    return tmp_path / "lm.arpa"


@pytest.mark.parametrize("name", ["lm.arpa", "lm.arpa.gz"])
@pytest.mark.parametrize("order", [1, 2, 4])
def test_what_is_written_is_read_and_written_again_as_the_same_bytes(tmp_path, order, name):
    written, again = tmp_path / name, tmp_path / "sub" / name
    write_arpa(written, model(order), NAMES)
    read = read_arpa(written, NAMES)
    for sentence in itertools.product(range(1, 5), repeat=3):
        assert read.sentence_log_prob(sentence) == pytest.approx(model(order).sentence_log_prob(sentence), rel=1e-11)
    write_arpa(again, read, NAMES)
    assert again.read_bytes() == written.read_bytes()
    assert read_names(written) == NAMES[1:5]


def test_a_file_is_read_in_log10_with_start_end_and_backoff(tmp_path):
    read = read_arpa(write(tmp_path, SMALL), NAMES)
    log10 = {
        ((5,), 2): -0.2,
        ((5,), 3): -0.2 - 0.6,
        ((2,), 5): -0.5,
        ((2,), 1): -0.1 - 1.0,
        ((3,), 5): -0.7,
        ((5, 2), 3): -0.4,
    }
    for (history, symbol), expected in log10.items():
        assert read.log_prob(history, symbol) == pytest.approx(expected * math.log(10), rel=1e-12)
    assert read.log_prob([], 4) == -math.inf  # c d is not in the file


@pytest.mark.optional
def test_kenlm_gives_the_same_probabilities(tmp_path):
    kenlm = pytest.importorskip("kenlm")
    names = symbol_names(["<blank>", "<unk>", "a", "b", "c", "<sos/eos>"])
    write_arpa(tmp_path / "lm.arpa", model(), names)
    theirs, ours = kenlm.Model(str(tmp_path / "lm.arpa")), model()
    for sentence in itertools.product(range(1, 5), repeat=4):
        expected = theirs.score(" ".join(names[symbol] for symbol in sentence)) * math.log(10)
        assert ours.sentence_log_prob(sentence) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("ngram 2=3\n", "ngram 2=4\n", r"lm.arpa:17: expected 4 2-grams before this line, as \\data\\ says, got 3"),
        ("ngram 2=3\n", "ngram 3=3\n", r"lm.arpa:3: expected 'ngram 2=COUNT' or a section, got 'ngram 3=3'"),
        ("ngram 2=3\n", "", r"lm.arpa:6: expected a log-probability and 1 word\(s\), got '-99"),
        ("\\2-grams:\n", "\\3-grams:\n", r"lm.arpa:12: expected \\end\\ or \\2-grams: .* got \\3-grams:"),
        (SMALL[SMALL.index("\\2-") : SMALL.index("\\end")], "", r"lm.arpa:12: expected a section \\2-grams:, got \\end\\"),
        ("\\end\\", "", r"lm.arpa:17: expected \\end\\, got the end of the file"),
        ("\\data\\", "", r"lm.arpa:17: expected \\data\\, got the end of the file"),
        ("-0.4\ta b", "nan\ta b", r"lm.arpa:14: expected a finite log-probability of at most 0, got nan"),
        ("-0.4\ta b", "0.4\ta b", r"lm.arpa:14: expected a finite log-probability of at most 0, got 0.4"),
        ("-0.4\ta b", "-0,4\ta b", r"lm.arpa:14: expected a number, got '-0,4'"),
        ("-0.4\ta b", "-0.4\ta", r"lm.arpa:14: expected a log-probability and 2 word\(s\), got '-0.4\\ta'"),
        ("a\t-0.1", "a\tnan", r"lm.arpa:9: expected a finite backoff weight, got nan"),
        ("-0.4\ta b", "-0.2\t<s> a", r"lm.arpa:14: expected each n-gram once, got '<s> a' again"),
        ("-0.4\ta b", "-0.4\t<unk> b\n-0.4\tc b", r"lm.arpa:15: expected words that are symbols of the model, got 'c'"),
        ("-0.4\ta b", "-0.4\ta <s>", r"lm.arpa:14: expected <s> only as the first and </s> only as the last"),
        ("-0.6\tb\n", "", r"lm.arpa:11: expected 5 1-grams before"),
        ("-0.7\t</s>", "-0.7\tc\u2028d", r"lm.arpa: expected a 1-gram </s>, got none"),
    ],
)
def test_a_damaged_file_is_an_error_that_names_the_line(tmp_path, old, new, problem):
    assert SMALL.count(old) == 1
    with pytest.raises(ValueError, match=problem):
        read_arpa(write(tmp_path, SMALL.replace(old, new)), NAMES)


def test_an_ngram_whose_beginning_is_missing_is_an_error(tmp_path):
    text = SMALL.replace("-0.6\tb\n", "-0.6\tc\u2028d\n").replace("-0.4\ta b", "-0.4\tb a")
    with pytest.raises(ValueError, match=r"lm.arpa:14: expected the 1-gram 'b' that 'b a' begins with, got none"):
        read_arpa(write(tmp_path, text), NAMES)


def test_what_is_no_text_or_cut_short_is_an_error(tmp_path):
    packed = tmp_path / "lm.arpa.gz"
    for content in (gzip.compress(SMALL.encode())[:-12], SMALL.encode(), gzip.compress(b"\\data\\\n\xff")):
        packed.write_bytes(content)
        with pytest.raises(ValueError, match=r"lm.arpa.gz: cannot be read: .*; write it again"):
            read_arpa(packed, NAMES)


def test_words_that_are_no_symbols_can_be_skipped(tmp_path):
    names = ["<blank>", "<unk>", "a", "<sos/eos>"]
    read = read_arpa(write(tmp_path, SMALL), names, unknown="skip")
    assert read.ngrams(1).tolist() == [[1], [2], [3]] and read.ngrams(2).tolist() == [[2, 3], [3, 2]]


def test_spaces_are_written_as_a_word_and_names_that_fall_together_are_an_error(tmp_path):
    assert symbol_names([" ", "a b", "\u3000", ""]) == ["<space>", "a<space>b", "<U+3000>", "<empty>"]
    with pytest.raises(ValueError, match="got two that are written '<space>'"):
        symbol_names([" ", "<space>"])
    with pytest.raises(ValueError, match="expected 6 names of symbols, got 2"):
        write_arpa(tmp_path / "lm.arpa", model(), NAMES[:2])
