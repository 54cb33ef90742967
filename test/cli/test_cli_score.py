from __future__ import annotations

from speechkit.cli.main import main


def test_the_table_is_printed_and_the_files_are_written(finished, capsys):
    assert main(["score", str(finished / "exp")]) == 0
    out = capsys.readouterr().out
    assert "test" in out and "WER" in out
    assert all((finished / "exp" / "decode" / "test" / name).exists() for name in ("wer.json", "cer.json", "errors.txt"))
