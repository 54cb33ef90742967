from __future__ import annotations

from speechkit.cli.main import main


def test_it_says_where_the_page_is(finished, capsys):
    assert main(["report", str(finished / "exp")]) == 0
    path = finished / "exp" / "report.html"
    assert str(path) in capsys.readouterr().out and "<html" in path.read_text(encoding="utf-8")
