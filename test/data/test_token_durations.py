from __future__ import annotations

import numpy as np
import pytest

from speechkit.data.token_durations import read_token_durations, write_token_durations


def test_what_is_written_is_read(tmp_path):
    write_token_durations([("a", [3, 0, 7]), ("é", np.array([2]))], tmp_path / "d.jsonl")
    found = read_token_durations(tmp_path / "d.jsonl")
    assert {cut_id: frames.tolist() for cut_id, frames in found.items()} == {"a": [3, 0, 7], "é": [2]}


@pytest.mark.parametrize(
    "line", ["{", "[]", '{"id": "a"}', '{"id": "a", "durations": [1.5]}', '{"id": "a", "durations": [-1]}']
)
def test_a_wrong_line_is_named(tmp_path, line):
    (tmp_path / "d.jsonl").write_text('{"id": "x", "durations": [1]}\n' + line + "\n")
    with pytest.raises(ValueError, match="d.jsonl:2: expected a line like"):
        read_token_durations(tmp_path / "d.jsonl")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ValueError, match="d.jsonl: expected the durations of tokens, found no such file"):
        read_token_durations(tmp_path / "d.jsonl")
