from __future__ import annotations

import hashlib

import pytest

from speechkit.utils.files import atomic_path, atomic_write, sha256


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
