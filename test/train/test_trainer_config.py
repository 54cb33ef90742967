from __future__ import annotations

import pytest

from speechkit.config import validate
from speechkit.train.trainer_config import TrainerConfig


def test_averaging_by_a_metric_needs_validation():
    with pytest.raises(ValueError, match="average_by: expected last.*got 'wer'; set train.validate_every"):
        validate(TrainerConfig, {"average_by": "wer", "validate_every": 0})


@pytest.mark.parametrize(("key", "least"), [("keep", 2), ("accumulate", 1), ("checkpoint_every", 1)])
def test_values_that_would_lose_work_or_loop_for_ever_are_refused(key, least):
    with pytest.raises(ValueError, match=f"{key}: expected at least {least}, got {least - 1}"):
        validate(TrainerConfig, {key: least - 1})
    assert getattr(validate(TrainerConfig, {key: least}), key) == least
