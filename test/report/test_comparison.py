from __future__ import annotations

import pytest
from report_toy import write_set, write_training
from voice_toy import write_scored

from speechkit.report.comparison import comparison


def test_experiments_stand_side_by_side_with_their_errors_and_costs(tmp_path):
    for name in ("ctc", "transducer"):
        write_training(tmp_path / name)
        write_set(tmp_path / name, "test")
    header, line, first, second, empty, machine = comparison([tmp_path / "ctc", tmp_path / "transducer"]).splitlines()
    cells = dict(zip((cell.strip() for cell in header.split("|")), (cell.strip() for cell in second.split("|"))))
    assert cells["experiment"] == "transducer" and first.startswith("| ctc ")
    assert (cells["WER %"], cells["errors"], cells["words"]) == ("35.71", "5", "14")
    # 170 steps of 0.5 s, in epochs of 50
    assert (cells["parameters"], cells["epochs"], cells["s per epoch"]) == ("1.23 M", "4", "21.2")
    assert (cells["peak memory GiB"], cells["search"], cells["RTF"]) == ("1.25", "ctc_prefix_beam", "0.0317")
    assert line.count("|") == header.count("|") and machine and not empty


def test_what_was_not_logged_is_a_dash(tmp_path):
    write_set(tmp_path / "bare", "test")
    assert comparison([tmp_path / "bare"]).count("| – ") == 4


def test_an_experiment_that_decoded_nothing_is_named(tmp_path):
    write_training(tmp_path / "raw")
    with pytest.raises(ValueError, match="raw/decode: expected decoded sets, found none; run `speechkit decode"):
        comparison([tmp_path / "raw"])


def test_recognisers_and_voices_have_a_table_each(tmp_path):
    write_set(tmp_path / "ctc")
    write_scored(tmp_path / "vits")
    blocks = comparison([tmp_path / "ctc", tmp_path / "vits"]).split("\n\n")
    assert blocks[0].splitlines()[2].startswith("| ctc | test | 35.71 |") and "vits" not in blocks[0]
    assert blocks[2].splitlines()[4].startswith("| vits | test | synthesised | 25.00 (") and "ctc |" not in blocks[2]
