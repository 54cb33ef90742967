import math

import numpy as np
import pytest

from speechkit.metrics.dtw import dtw
from speechkit.metrics.pitch_error import PitchError, pitch_error

REF = np.array([0, 0, 100, 110, 120, 130, 0, 150.0])
HYP = np.array([0, 90, 100, 134, 240, 0, 0, 122.0])


def test_every_error_is_counted_once():
    # Gross are 134 for 110 and 240 for 120, but not 122 for 150.
    found = pitch_error(REF, HYP)
    assert (found.num_frames, found.num_voiced, found.gross, found.voicing) == (8, 4, 2, 2)
    logs = [0, math.log(134 / 110), math.log(2), math.log(122 / 150)]
    assert found.log_f0_rmse == pytest.approx(math.sqrt(sum(each**2 for each in logs) / 4))
    assert found.gross_pitch_error == 0.5 and found.voicing_decision_error == 0.25 and found.f0_frame_error == 0.5


def test_a_transposed_voice_is_off_by_the_interval():
    found = pitch_error(REF, REF * 2 ** (3 / 12))
    assert found.log_f0_rmse == pytest.approx(math.log(2) / 4)
    assert found.gross_pitch_error == 0 and found.voicing_decision_error == 0  # 18.9 % is no gross error
    assert pitch_error(REF, REF * 2 ** (4 / 12)).gross_pitch_error == 1


def test_equal_curves_have_no_error():
    assert pitch_error(REF, REF) == PitchError(num_frames=8, num_voiced=5)


def test_a_path_aligns_different_tempi():
    cepstra = np.random.default_rng(0).normal(size=(8, 3))
    times = np.arange(8).repeat([1, 2, 1, 3, 1, 1, 2, 1])
    found = pitch_error(REF, REF[times], dtw(cepstra, cepstra[times]))
    assert found.log_f0_rmse == 0 and found.voicing_decision_error == 0 and found.num_frames == 12


def test_utterances_add_up():
    both = pitch_error(np.concatenate([REF, HYP]), np.concatenate([HYP, 1.05 * REF]))
    total = sum([pitch_error(REF, HYP), pitch_error(HYP, 1.05 * REF)], PitchError())
    assert total.squares == pytest.approx(both.squares)
    assert (total.num_frames, total.num_voiced, total.gross, total.voicing) == (16, 8, both.gross, both.voicing)


def test_what_cannot_be_measured_is_not_a_number():
    unvoiced = pitch_error(np.zeros(3), np.ones(3))
    assert math.isnan(unvoiced.log_f0_rmse) and math.isnan(unvoiced.gross_pitch_error)
    assert unvoiced.voicing_decision_error == 1
    assert math.isnan(PitchError().voicing_decision_error) and math.isnan(PitchError().f0_frame_error)
    with pytest.raises(ValueError, match=r"expected as many frames in both, got \(8,\) and \(7,\)"):
        pitch_error(REF, HYP[:7])
