import numpy as np
import pytest

from speechkit.metrics.dtw import dtw


def paths(rows, columns):
    """All monotonic paths from (0, 0) to the last pair."""
    if (rows, columns) == (1, 1):
        return [[(0, 0)]]
    before = [(rows - 1, columns - 1), (rows - 1, columns), (rows, columns - 1)]
    found = [path for r, c in before if r and c for path in paths(r, c)]
    return [[*path, (rows - 1, columns - 1)] for path in found]


def cost(ref, hyp, path):
    return sum(np.linalg.norm(ref[t] - hyp[s]) for t, s in path)


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 4), (5, 1), (4, 5), (5, 3)])
def test_the_path_is_the_cheapest_of_all(rows, columns):
    source = np.random.default_rng(rows)
    every = paths(rows, columns)
    for _ in range(10):
        ref, hyp = source.normal(size=(rows, 2)), source.normal(size=(columns, 2))
        found = [tuple(pair) for pair in dtw(ref, hyp).tolist()]
        assert found in every
        assert cost(ref, hyp, found) == pytest.approx(min(cost(ref, hyp, path) for path in every), rel=1e-12)


def test_the_number_of_paths_is_delannoys():
    assert [len(paths(n, n)) for n in (1, 2, 3, 4)] == [1, 3, 13, 63]


def test_equal_recordings_go_along_the_diagonal_and_repeated_frames_beside_it():
    frames = np.random.default_rng(0).normal(size=(17, 5))
    assert dtw(frames, frames).tolist() == [[t, t] for t in range(17)]
    times = np.arange(17).repeat([2, 1, 3] * 5 + [1, 4])
    assert dtw(frames, frames[times]).tolist() == [[t, s] for s, t in enumerate(times)]
    silence = np.zeros((6, 3))
    assert dtw(silence, silence).tolist() == [[t, t] for t in range(6)]


def test_input_that_does_not_fit_is_named():
    with pytest.raises(ValueError, match=r"expected \(T, D\) and \(S, D\).*got \(3, 2\) and \(3, 4\)"):
        dtw(np.ones((3, 2)), np.ones((3, 4)))
    with pytest.raises(ValueError, match="not empty"):
        dtw(np.ones((0, 2)), np.ones((3, 2)))
    with pytest.raises(ValueError, match="NaN"):
        dtw(np.full((1, 2), np.nan), np.ones((3, 2)))
