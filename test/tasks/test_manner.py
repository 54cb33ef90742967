from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from speechkit.tasks.manner import Heard, Manner


def test_the_usual_manner_asks_for_nothing_and_all_else_is_asked_for():
    assert Manner().asks == {} == Manner(speaker="a", seed=3).asks
    heard = Heard("a.wav", torch.zeros(1, 3, 2), torch.tensor([3]))
    assert Manner(speed=2.0, temperature=0.0, reference=heard).asks == {"speed": 2.0, "temperature": 0.0, "reference": heard}
    assert Manner(reference=Path("a.wav"), style=np.array([0.25, 0.75])).asks == {
        "reference": Path("a.wav"),
        "style": (0.25, 0.75),
    }
    assert str(heard) == "a.wav"


@pytest.mark.parametrize(
    ("style", "got"),
    [([0.5, 0.4], "0.5, 0.4"), ([1.5, -0.5], "1.5, -0.5"), ([], "none"), ([float("nan"), 1.0], "nan, 1"), ([2], "2")],
)
def test_weights_of_styles_are_shares(style, got):
    with pytest.raises(ValueError, match=f"style: expected weights of 0 or more that add up to 1, got {got}$"):
        Manner(style=style)


def test_weights_may_be_rounded():
    assert Manner(style=[0.3333, 0.3333, 0.3333]).style == (0.3333,) * 3
