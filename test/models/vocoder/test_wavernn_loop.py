from __future__ import annotations

import torch
from torch.testing import assert_close

from speechkit.models.vocoder.base import VocoderInput
from speechkit.models.vocoder.wavernn import Wavernn
from speechkit.models.vocoder.wavernn_loop import WavernnLoop

GIVEN = VocoderInput(feat_dim=5, hop_length=6, sampling_rate=8000)


def test_conditions_are_projected_to_what_they_add_in_every_layer():
    config = Wavernn.Config(dim=6, hidden_dim=7, aux_dim=8, num_blocks=0)
    model = config.build(given=GIVEN).double()
    cond = torch.randn(1, 1, 13).double()
    added = WavernnLoop(model).project(cond)[0, 0]
    local, (one, two, three, four) = cond[0, 0, :5], cond[0, 0, 5:].chunk(4)
    x = model.input(torch.cat([torch.zeros(1), local, one]))
    with torch.no_grad():
        first = model.first.weight_ih_l0 @ x + model.first.bias_ih_l0
        zeros = torch.zeros(6)
        second = model.second.weight_ih_l0 @ torch.cat([zeros, two]) + model.second.bias_ih_l0
        third, fourth = model.third(torch.cat([zeros, three])), model.fourth(torch.cat([torch.zeros(7), four]))
        assert_close(added, torch.cat([x, first, second, third, fourth]))


def test_both_outputs_begin_with_silence():
    for output, heard in (("mu_law", [[1 / 511]]), ("coarse_fine", [[128 / 127.5 - 1, -1.0]])):
        model = Wavernn.Config(output=output, dim=6, hidden_dim=7, aux_dim=8, num_blocks=0).build(given=GIVEN)
        state = WavernnLoop(model).start(2)
        assert_close(torch.from_numpy(state.heard), torch.tensor(heard * 2))
        assert (state.first == 0).all() and (state.second == 0).all()
