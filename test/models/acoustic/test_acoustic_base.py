from __future__ import annotations

import pytest
import torch

from speechkit.models.acoustic.base import AcousticFacts, AcousticModel, Controls
from speechkit.text.vocabulary import Vocabulary


def test_a_model_says_what_it_lacks():
    model = AcousticModel(AcousticModel.Config(), AcousticFacts(Vocabulary(7), feat_dim=5, frame_shift=0.01))
    with pytest.raises(NotImplementedError):
        model.synthesize(torch.ones(1, 2, dtype=torch.int64), torch.tensor([2]), Controls())
