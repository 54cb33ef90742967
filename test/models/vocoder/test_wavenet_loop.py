from __future__ import annotations

import numpy as np
import torch

from speechkit.models.vocoder.wavenet_loop import WavenetLoop
from speechkit.nn.mu_law import mu_law_decode
from speechkit.nn.sample_output import MuLawOutput
from speechkit.nn.wavenet import WaveNetStack


def test_the_loop_remembers_no_more_than_the_receptive_field():
    stack = WaveNetStack(5, (1, 2, 4), 3, cond_dim=2, skip_dim=4, causal=True, weight_norm=False)
    loop = WavenetLoop(MuLawOutput(4), torch.nn.Embedding(16, 5), stack, torch.nn.Linear(4, 4), torch.nn.Linear(4, 16))
    state = loop.start(2)
    assert state.rings.shape == ((2 * 1 + 1) + (2 * 2 + 1) + (2 * 4 + 1), 2, 5)
    assert state.last.tolist() == [8, 8]  # the code of silence


def test_one_layer_and_one_sample_equal_the_network():
    stack = WaveNetStack(5, (2,), 2, cond_dim=2, skip_dim=4, causal=True, weight_norm=False)
    table, hidden, out = torch.nn.Embedding(16, 5), torch.nn.Linear(4, 6), torch.nn.Linear(6, 16)
    for module in (stack, table, hidden, out):
        module.double()
    loop, cond = WavenetLoop(MuLawOutput(4), table, stack, hidden, out), torch.randn(1, 1, 2).double()
    skips = stack(table(torch.tensor([[8]])), cond=cond)
    probs = out(hidden(skips.relu()).relu())[0, 0].softmax(-1).detach()
    projected = loop.project(cond).detach().numpy()
    said = []
    for uniform in (probs.cumsum(0) - probs / 2).tolist():  # the middle of the share of each code
        wav = np.zeros((1, 1))
        loop.run(loop.start(1), 0, projected, np.full((1, 1, 2), uniform), np.array([1]), wav)
        said.append(wav[0, 0])
    np.testing.assert_allclose(said, mu_law_decode(torch.arange(16), 15).numpy())
