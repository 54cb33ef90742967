from __future__ import annotations

import re

import pytest

from speechkit.cli.main import main


def test_a_model_of_tokens_is_written_and_scores_in_a_search(finished, capsys):
    path = finished / "exp" / "tokens.arpa"
    assert main(["lm", str(finished / "exp"), "--order", "2", "--to", str(path)]) == 0
    said = capsys.readouterr().out
    ones, twos = re.findall(r"^ngram \d=(\d+)$", path.read_text(), re.MULTILINE)
    assert f"tokens.arpa: {ones} 1-grams, {twos} 2-grams" in said
    assert re.search(r"tokens.arpa: \d+ 1-grams, \d+ 2-grams", said) and re.search(r"dev: perplexity \d+\.\d\d per token", said)
    search = ["search.name=ctc_prefix_beam", "search.scorers.lm.name=ngram", "search.scorers.lm.path=tokens.arpa"]
    assert main(["decode", str(finished / "exp"), *search, "search.scorers.lm.scale=0.1", "--device", "cpu"]) == 0


def test_a_model_of_words_takes_other_texts(finished, tmp_path, capsys):
    text = tmp_path / "more.txt"
    text.write_text("one two three\ntwo two\n", encoding="utf-8")
    argv = ["lm", str(finished / "exp"), "--unit", "word", "--smoothing", "witten_bell", "--text", str(text)]
    assert main([*argv, "--to", str(tmp_path / "words.arpa"), "--order", "1"]) == 0
    arpa = (tmp_path / "words.arpa").read_text()
    assert all(f"\t{word}" in arpa for word in ("one", "two", "three"))
    # Witten-Bell: "two" was seen 3 times in 7, of 4 kinds, and the uniform rest is shared by 5 symbols.
    assert 10 ** float(re.search(r"(\S+)\ttwo", arpa)[1]) == pytest.approx((3 + 4 / 5) / (7 + 4), rel=1e-4)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--min-counts", "1,x"], "expected whole numbers"),
        (["--order", "0"], "order: expected 1 or more, got 0"),
        (["--text", "absent.txt"], "absent.txt: no such text"),
    ],
)
def test_mistakes_are_explained_and_nothing_is_written(finished, tmp_path, capsys, arguments, problem):
    assert main(["lm", str(finished / "exp"), "--to", str(tmp_path / "no.arpa"), *arguments]) == 1
    assert problem in capsys.readouterr().err and not list(tmp_path.iterdir())
