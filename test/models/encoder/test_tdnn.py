from __future__ import annotations

import torch

from speechkit.models.encoder.tdnn import Tdnn


def test_an_output_frame_sees_the_sum_of_dilations_to_each_side_and_nothing_else():
    torch.manual_seed(0)
    config = Tdnn.Config(dim=8, dilations=(1, 3), subsampling="stack", subsampling_factor=1, dropout=0.0)
    encoder = config.build(in_dim=5).eval()
    feats, lens = torch.randn(1, 23, 5), torch.tensor([23])
    before = encoder(feats, lens)[0]
    feats[0, 11] += 1.0
    changed = (encoder(feats, lens)[0] - before).abs().sum(-1)[0] > 1e-6
    assert changed.nonzero().flatten().tolist() == [11 + d for d in (-4, -3, -2, -1, 0, 1, 2, 3, 4)]


def test_in_a_constant_input_no_frame_can_tell_how_far_the_ends_are():
    torch.manual_seed(0)
    config = Tdnn.Config(dim=8, dilations=(1, 2), subsampling="stack", subsampling_factor=1, dropout=0.0)
    encoder = config.build(in_dim=5).eval()
    feats = torch.randn(1, 1, 5).expand(2, 17, 5)
    out, _ = encoder(feats, torch.tensor([17, 11]))
    torch.testing.assert_close(out[0], out[0, 8].expand(17, 8))
    torch.testing.assert_close(out[1, :11], out[0, 8].expand(11, 8))
