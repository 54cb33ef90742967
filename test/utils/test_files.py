from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from speechkit.utils.files import atomic_path, atomic_write, find_file, sha256


def test_the_file_appears_only_when_the_block_has_ended_well(tmp_path):
    path = tmp_path / "new" / "a.txt"
    with atomic_write(path) as file:
        file.write("ä")
        assert not path.exists()
    assert path.read_text(encoding="utf-8") == "ä" and [p.name for p in path.parent.iterdir()] == ["a.txt"]


def test_an_error_leaves_the_old_content_and_no_litter(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic_write(path) as file:
        file.write("half")
        raise RuntimeError
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_a_path_is_as_it_is_given_or_in_the_models_folder_or_both_are_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model, given = tmp_path / "model", Path("lm.arpa")
    model.mkdir()
    message = f"^lm.arpa: expected an ARPA file, found nothing in {tmp_path} or {model}; make one$"
    with pytest.raises(ValueError, match=message):
        find_file(given, Path("model"), "an ARPA file", "make one")
    (model / "lm.arpa").touch()
    assert find_file(given, model, "an ARPA file", "make one") == model / "lm.arpa"
    with pytest.raises(ValueError, match=f"found nothing in {tmp_path}; make one"):
        find_file(given, None, "an ARPA file", "make one")
    (tmp_path / "lm.arpa").touch()
    assert find_file(given, model, "an ARPA file", "make one") == given
    with pytest.raises(ValueError, match=f"^{tmp_path}/no: expected a file, found nothing; look$"):
        find_file(tmp_path / "no", model, "a file", "look")


def test_a_full_disk_names_the_file_and_the_remedy(tmp_path):
    path = tmp_path / "a.txt"
    with pytest.raises(OSError, match="a.txt: cannot write: No space left on device; free space"):
        with atomic_path(path) as partial, open("/dev/full", "w") as full:
            partial.write_text("half")
            full.write("x" * 100_000)
    assert list(tmp_path.iterdir()) == []


def test_the_suffix_stays_last_for_writers_that_look_at_it(tmp_path):
    with atomic_path(tmp_path / "a.wav") as partial:
        assert partial.suffix == ".wav"
        partial.write_bytes(b"x")


def test_sha256_is_the_standard_one(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256(tmp_path / "a") == hashlib.sha256(b"abc").hexdigest()
