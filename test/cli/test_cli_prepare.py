from __future__ import annotations

import pytest
import tiny

from speechkit.cli.main import main
from speechkit.data.cuts import open_cuts


@pytest.fixture
def recordings(tmp_path):
    """A folder of wavs with a .txt beside each, and one without."""
    for cut in tiny.write_split(tmp_path / "made", "x", 12, seed=1):
        (tmp_path / "made" / "wavs" / f"{cut.id}.txt").write_text(cut.supervisions[0].text)
    (tmp_path / "made" / "wavs" / "x-3.txt").write_text("  ")
    (tmp_path / "made" / "wavs" / "x-4.wav").write_bytes(b"")
    return tmp_path / "made" / "wavs"


def test_a_folder_of_recordings_becomes_manifests_and_a_summary(recordings, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    assert main(["prepare", "folder", str(recordings), "--to", str(tmp_path / "data")]) == 0
    captured = capsys.readouterr()
    manifests = sorted((tmp_path / "data").rglob("*.jsonl.gz"))
    ids = [cut.id for path in manifests for cut in open_cuts(path)]
    assert len(ids) == 10 and "empty" in captured.err and str(tmp_path / "data") in captured.out


def test_manifests_of_other_recordings_are_not_replaced(recordings, tmp_path, capsys):
    argv = ["--to", str(tmp_path / "data")]
    assert main(["prepare", "folder", str(recordings), *argv]) == 0
    other = tmp_path / "other"
    other.mkdir()
    before = {path: path.read_bytes() for path in (tmp_path / "data").rglob("*.gz")}
    capsys.readouterr()
    assert main(["prepare", "folder", str(other), *argv]) == 1
    assert f"got those of {recordings}; delete them, or" in capsys.readouterr().err
    assert before == {path: path.read_bytes() for path in before}


def test_options_of_a_corpus_are_checked(tmp_path, capsys):
    assert main(["prepare", "fsdd", "conected=true", "--to", str(tmp_path)]) == 1
    assert "corpus.conected: unknown key; did you mean corpus.connected?" in capsys.readouterr().err
    assert main(["prepare", "fsddd", "--to", str(tmp_path)]) == 1
    assert "did you mean 'fsdd'" in capsys.readouterr().err


def test_a_config_without_a_corpus_says_so(tmp_path, capsys):
    conf = tiny.write_corpus(tmp_path)
    assert main(["prepare", str(conf)]) == 1
    assert "corpus: expected a block that names the corpus" in capsys.readouterr().err
