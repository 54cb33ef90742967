from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from speechkit.data.frame_cache import FrameCache

CUT = SimpleNamespace(id="a/b c")


@pytest.fixture
def counted(tmp_path):
    def compute(wav):
        calls.append(len(wav))
        return wav[::3] * 100

    calls: list[int] = []
    return FrameCache(compute, tmp_path / "pitch"), calls


def test_values_are_computed_once(counted):
    cache, calls = counted
    wav = np.arange(11, dtype=np.float32)
    first, second = cache(CUT, wav), cache(CUT, wav)
    np.testing.assert_array_equal(first, second)
    assert calls == [11] and first.dtype == np.float32 and len(list(cache.folder.rglob("*"))) == 2


def test_other_samples_or_another_cut_are_computed_anew(counted):
    cache, calls = counted
    wav = np.arange(11, dtype=np.float32)
    cache(CUT, wav), cache(CUT, wav + 1), cache(CUT, wav[2:]), cache(SimpleNamespace(id="z"), wav)
    assert calls == [11, 11, 9, 11]


@pytest.mark.parametrize("damage", [b"", b"nonsense", None])
def test_a_damaged_file_is_written_again(counted, damage):
    cache, calls = counted
    wav = np.arange(11, dtype=np.float32)
    expected, path = cache(CUT, wav), cache.path(CUT, wav)
    path.write_bytes(path.read_bytes()[:-3] if damage is None else damage)
    np.testing.assert_array_equal(cache(CUT, wav), expected)
    np.testing.assert_array_equal(np.load(path), expected)
    assert len(calls) == 2


def test_values_that_are_not_finite_name_the_cut(tmp_path):
    cache = FrameCache(lambda wav: np.array([1.0, np.nan]), tmp_path)
    with pytest.raises(ValueError, match="cut a/b c: expected finite values"):
        cache(CUT, np.zeros(3, np.float32))
    assert not list(tmp_path.rglob("*.npy"))
