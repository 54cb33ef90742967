from __future__ import annotations

import torch
from torch import Tensor, nn

from speechkit.models.encoder.layers import LayeredEncoder


class _Recorder(nn.Module):
    def __init__(self, calls: list) -> None:
        super().__init__()
        self.calls = calls

    def forward(self, x: Tensor, *beside: Tensor | None) -> Tensor:
        self.calls.append(beside)
        return x


class _Recording(LayeredEncoder):
    calls: list

    def make_layer(self, config):
        self.__dict__.setdefault("calls", [])
        return _Recorder(self.calls)


def config(**options) -> LayeredEncoder.Config:
    options = {"dim": 6, "num_heads": 3, "subsampling": "stack", "subsampling_factor": 1, "num_layers": 3, **options}
    return LayeredEncoder.Config(**options)


def test_masks_and_positions_are_made_once_for_all_layers():
    encoder = _Recording(config(), in_dim=5)
    encoder(torch.randn(2, 7, 5), torch.tensor([7, 4]))
    assert len(encoder.calls) == 3
    first = encoder.calls[0]
    assert all(a is b for call in encoder.calls for a, b in zip(call, first, strict=True))
    positions, visible, padding = first
    assert positions.shape == (13, 6) and visible.shape == (2, 1, 1, 7) and padding.shape == (2, 7)


def test_layer_drop_skips_layers_at_its_rate():
    torch.manual_seed(0)
    encoder = _Recording(config(num_layers=50, layer_drop=0.3), in_dim=5)
    for _ in range(20):
        encoder(torch.randn(1, 3, 5), torch.tensor([3]))
    assert abs(len(encoder.calls) / 1000 - 0.7) < 0.06
    encoder.calls.clear()
    encoder.eval()(torch.randn(1, 3, 5), torch.tensor([3]))
    assert len(encoder.calls) == 50
