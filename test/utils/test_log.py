from __future__ import annotations

from speechkit.utils import log


def test_messages_go_to_the_error_stream(capsys):
    log.info("hello")
    log.warn("careful")
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err == "hello\nwarning: careful\n"
