from __future__ import annotations

import pytest
import torch

from speechkit.models.encoder.lstm import Lstm


def test_the_backward_direction_starts_at_each_last_frame():
    torch.manual_seed(0)
    config = Lstm.Config(dim=6, num_layers=1, subsampling="stack", subsampling_factor=1, dropout=0.0)
    encoder = config.build(in_dim=5)
    feats = torch.randn(2, 7, 5)
    out, _ = encoder(feats, torch.tensor([7, 4]))
    x = encoder.subsampling(feats)[1:, :4]
    expected, _ = encoder.lstm(x)
    torch.testing.assert_close(out[1, :4], expected[0])


def test_out_dim_counts_directions_and_projection():
    assert Lstm.Config(dim=6).build(in_dim=80).out_dim == 12
    assert Lstm.Config(dim=6, bidirectional=False).build(in_dim=80).out_dim == 6
    assert Lstm.Config(dim=6, projection_dim=4).build(in_dim=80).out_dim == 8


def test_a_projection_wider_than_the_cells_is_refused():
    with pytest.raises(ValueError, match="projection_dim: expected less than dim 6, got 6"):
        Lstm.Config(dim=6, projection_dim=6).build(in_dim=80)
