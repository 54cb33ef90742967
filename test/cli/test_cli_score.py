from __future__ import annotations

from lm_text import write_texts

from speechkit.cli.main import main


def test_the_table_is_printed_and_the_files_are_written(finished, capsys):
    assert main(["score", str(finished / "exp")]) == 0
    out = capsys.readouterr().out
    assert "test" in out and "WER" in out
    assert all((finished / "exp" / "decode" / "test" / name).exists() for name in ("wer.json", "cer.json", "errors.txt"))


def test_of_a_language_model_the_perplexities_are_printed(tmp_path, capsys):
    conf, exp = str(write_texts(tmp_path)), str(tmp_path / "lm")
    for argv in (["train", conf, "--exp", exp, "train.max_epochs=1"], ["average", exp], ["score", exp]):
        assert main(argv) == 0
    out = capsys.readouterr().out
    assert "perplexity per token" in out and str(tmp_path) in out.replace("\n", "")
    assert (tmp_path / "lm" / "perplexity.json").exists()
