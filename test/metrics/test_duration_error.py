import math

import numpy as np
import pytest

from speechkit.metrics.duration_error import DurationError, duration_error


def test_errors_are_in_seconds():
    found = duration_error(np.array([2, 5, 3, 10]), np.array([2, 3, 4, 12]), frame_shift=0.01)
    assert found.mean_absolute_error == pytest.approx(0.0125)
    assert found.rmse == pytest.approx(0.01 * math.sqrt(9 / 4))
    assert found.total_ratio == pytest.approx(21 / 20)


def test_the_correlation_is_numpys_also_over_utterances():
    source = np.random.default_rng(0)
    refs = [source.integers(1, 20, n) for n in (7, 1, 30)]
    hyps = [ref + source.normal(size=len(ref)) for ref in refs]
    total = sum((duration_error(ref, hyp, 0.0116) for ref, hyp in zip(refs, hyps)), DurationError())
    ref, hyp = np.concatenate(refs), np.concatenate(hyps)
    assert total.correlation == pytest.approx(np.corrcoef(ref, hyp)[0, 1], rel=1e-9)
    assert total.rmse == pytest.approx(0.0116 * np.sqrt(np.mean((ref - hyp) ** 2)))
    assert total.num_tokens == 38


def test_exact_predictions_have_no_error_and_slow_ones_only_a_ratio():
    durations = np.array([3, 1, 4, 1, 5])
    same = duration_error(durations, durations, 0.01)
    assert same.mean_absolute_error == 0 and same.rmse == 0 and same.correlation == pytest.approx(1)
    slow = duration_error(durations, 2 * durations, 0.01)
    assert slow.total_ratio == pytest.approx(2) and slow.correlation == pytest.approx(1)
    assert slow.mean_absolute_error == pytest.approx(0.028)


def test_what_cannot_be_measured_is_not_a_number():
    nothing = DurationError()
    for value in (nothing.mean_absolute_error, nothing.rmse, nothing.total_ratio, nothing.correlation):
        assert math.isnan(value)
    assert math.isnan(duration_error(np.array([4, 4]), np.array([3, 5]), 0.01).correlation)


def test_different_tokens_are_an_error():
    with pytest.raises(ValueError, match=r"expected as many tokens in both, got \(2,\) and \(3,\)"):
        duration_error(np.ones(2), np.ones(3), 0.01)
