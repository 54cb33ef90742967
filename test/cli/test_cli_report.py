from __future__ import annotations

from spoken_toy import write_voice

from speechkit.cli.main import main


def test_it_says_where_the_page_is(finished, capsys):
    assert main(["report", str(finished / "exp")]) == 0
    path = finished / "exp" / "report.html"
    assert str(path) in capsys.readouterr().out and "<html" in path.read_text(encoding="utf-8")


def test_several_experiments_are_one_page_where_a_file_is_named_and_a_comparison_otherwise(finished, tmp_path, capsys):
    write_voice(tmp_path / "voice", texts=["low"])
    argv = ["report", str(finished / "exp"), str(tmp_path / "voice")]
    assert main(argv) == 0
    assert "| voice | test | synthesised |" in capsys.readouterr().out
    assert main([*argv, "--to", str(tmp_path / "all.html")]) == 0
    assert str(tmp_path / "all.html") in capsys.readouterr().out and "Listen to test" in (tmp_path / "all.html").read_text()
