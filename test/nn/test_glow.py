from __future__ import annotations

import torch
from flow_cases import stirred

from speechkit.nn.glow import Glow
from speechkit.utils.lens import padding_mask


def glow(dim: int = 6, **options) -> Glow:
    return stirred(Glow(dim, num_blocks=2, hidden_dim=5, num_layers=2, kernel_size=3, **options)).double()


def test_it_can_be_undone_but_for_the_frames_that_fill_no_group():
    flow, lens = glow(cond_dim=3), torch.tensor([7, 4])
    x, cond = torch.randn(2, 7, 6, dtype=torch.float64), torch.randn(2, 1, 3, dtype=torch.float64)
    z, z_lens, _ = flow(x, lens, cond)
    assert z.shape == (2, 6, 6) and z_lens.tolist() == [6, 4]
    back, back_lens = flow.inverse(z, z_lens, cond)
    assert torch.equal(back_lens, z_lens)
    kept = ~padding_mask(z_lens, 6)
    torch.testing.assert_close(back[kept], x[:, :6][kept])
    assert (back[~kept] == 0).all() and (z[kept] - x[:, :6][kept]).abs().max() > 0.1


def test_its_log_determinant_is_that_of_the_jacobian():
    flow, x, lens = glow(dim=2, squeeze=3, group_size=2), torch.randn(1, 6, 2, dtype=torch.float64), torch.tensor([6])
    jacobian = torch.autograd.functional.jacobian(lambda one: flow(one.view(1, 6, 2), lens)[0].flatten(), x.flatten())
    torch.testing.assert_close(flow(x, lens)[2][0], torch.linalg.slogdet(jacobian).logabsdet)


def test_padding_is_neither_seen_nor_counted():
    flow, x = glow(), torch.randn(2, 7, 6, dtype=torch.float64)
    z, _, log_det = flow(x, torch.tensor([7, 4]))
    alone, _, log_det_alone = flow(x[1:, :4], torch.tensor([4]))
    torch.testing.assert_close(z[1, :4], alone[0])
    torch.testing.assert_close(log_det[1:], log_det_alone)
