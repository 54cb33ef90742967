from __future__ import annotations

import tiny

from speechkit.cli.main import main


def test_the_tokenizer_is_fitted_and_counted(tmp_path, capsys):
    conf = tiny.write_corpus(tmp_path)
    assert main(["tokenizer", str(conf)]) == 0
    assert capsys.readouterr().out == "5 tokens\n"  # blank, unknown, low, high, start and end
    assert list((tmp_path / "data" / "tokenizers").iterdir())
