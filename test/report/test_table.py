from __future__ import annotations

import io
import json

import pytest
from report_toy import write_set
from rich.console import Console

from speechkit.report.table import results_markdown, results_table


def printed(exp_dir, width=80) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(results_table(exp_dir))
    return console.file.getvalue()


def test_the_terminal_shows_the_numbers_of_the_files_in_80_columns(tmp_path):
    write_set(tmp_path, "test-clean")
    wer = json.loads((tmp_path / "decode" / "test-clean" / "wer.json").read_text())
    cer = json.loads((tmp_path / "decode" / "test-clean" / "cer.json").read_text())
    text = printed(tmp_path)
    [row] = [line.split() for line in text.splitlines() if line.strip().startswith("test-clean")]
    interval = "–".join(f"{100 * border:.2f}" for border in wer["interval"])
    assert row == ["test-clean", "35.71", interval, "2", "1", "2", f"{100 * cer['rate']:.2f}", "4", "14", "0.0317"]
    assert "ctc_prefix_beam (beam_size 8), 3 threads" in text and max(map(len, text.splitlines())) <= 80


def test_searches_that_differ_are_told_per_set(tmp_path):
    write_set(tmp_path, "a")
    write_set(tmp_path, "b")
    assert printed(tmp_path).count("ctc_prefix_beam") == 1
    path = tmp_path / "decode" / "b" / "decode.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"search": "greedy"}))
    text = printed(tmp_path)
    assert "a: ctc_prefix_beam (beam_size 8), 3 threads" in text and "b: greedy, 3 threads" in text


def test_one_thread_is_one(tmp_path):
    write_set(tmp_path)
    path = tmp_path / "decode" / "test" / "decode.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"threads": 1}))
    assert printed(tmp_path).split()[-2:] == ["1", "thread"]


def test_brackets_in_names_are_text(tmp_path):
    write_set(tmp_path, "[red]x[")
    assert "[red]x[" in printed(tmp_path)


def test_markdown_has_one_row_per_set_and_the_command_that_made_it(tmp_path):
    write_set(tmp_path, "a|b")
    write_set(tmp_path, "c")
    table, made = results_markdown(tmp_path).split("\n\n")
    head, rule, *rows = table.splitlines()
    assert len(rows) == 2 and head.count("|") == rule.count("|") == rows[1].count("|") == 13
    cer = json.loads((tmp_path / "decode" / "c" / "cer.json").read_text())["rate"]
    assert rows[0].startswith("| a\\|b | 35.71 | ")
    assert rows[1].endswith(f" | 2 | 1 | 2 | {100 * cer:.2f} | 4 | 14 | 0.0317 | 3 | ctc_prefix_beam (beam_size 8) |")
    assert made == "* `speechkit decode x`: An Engine, 4 cores, 2026-03-05\n"


def test_a_set_without_facts_has_dashes(tmp_path):
    write_set(tmp_path)
    (tmp_path / "decode" / "test" / "decode.json").unlink()
    assert results_markdown(tmp_path).splitlines()[-1].endswith("| – | – | – |")
    assert "– threads" in printed(tmp_path)


@pytest.mark.parametrize("make", [results_table, results_markdown])
def test_nothing_decoded_is_an_error_with_the_remedy(tmp_path, make):
    with pytest.raises(
        ValueError, match=f"{tmp_path}/decode: expected decoded sets, found none; run `speechkit decode"
    ):
        make(tmp_path)
