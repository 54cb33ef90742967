from __future__ import annotations

import numpy as np
import pytest

from speechkit.decode.ctc_alignment import align


def test_a_path_is_told_as_score_times_and_confidences():
    log_probs = np.log([[0.25, 0.40, 0.35], [0.40, 0.35, 0.25], [0.10, 0.50, 0.40]])
    score, times, confidences = align(log_probs, [2, 1])
    assert np.exp(score) == pytest.approx(0.07) and times == [(0, 1), (2, 3)] and confidences == pytest.approx([0.35, 0.5])
