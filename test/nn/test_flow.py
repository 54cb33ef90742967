from __future__ import annotations

import torch
from flow_cases import check_flow, check_log_det, check_padding, stirred

from speechkit.nn.flow import ElementwiseAffine, Flip, FlowSequence, Log, squeeze, unsqueeze
from speechkit.utils.lens import padding_mask


def test_the_elementwise_affine_flow_is_a_flow():
    check_flow(stirred(ElementwiseAffine(3)), torch.randn(2, 5, 3))


def test_the_logarithm_is_a_flow_of_positive_numbers():
    check_flow(Log(), torch.rand(2, 5, 3) + 0.1)


def test_the_flip_is_a_flow_that_turns_the_channels_round():
    check_flow(Flip(), torch.randn(2, 5, 3))
    y, _ = Flip()(torch.arange(6.0).view(1, 2, 3))
    assert y.tolist() == [[[2, 1, 0], [5, 4, 3]]]


def test_a_sequence_is_undone_from_its_end():
    flow = FlowSequence([Log(), stirred(ElementwiseAffine(3)), Flip(), stirred(ElementwiseAffine(3))])
    check_flow(flow, torch.rand(2, 5, 3) + 0.1)


def test_the_log_likelihood_of_an_affine_gaussian_is_the_closed_form():
    """x = (y - m) / e^s with y standard normal is normal with mean -m / e^s and deviation e^-s."""
    flow = stirred(ElementwiseAffine(3)).double()
    x = torch.randn(2, 5, 3).double()
    y, log_det = flow(x)
    ours = torch.distributions.Normal(0.0, 1.0).log_prob(y).sum((1, 2)) + log_det
    scale = (-flow.log_scale).exp()
    torch.testing.assert_close(ours, torch.distributions.Normal(-flow.shift * scale, scale).log_prob(x).sum((1, 2)))


def test_squeezing_puts_frames_side_by_side_and_drops_what_fills_no_group():
    x = torch.arange(14.0).view(1, 7, 2)
    squeezed, lens = squeeze(x, torch.tensor([7]), 3)
    assert squeezed.tolist() == [[[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11]]] and lens.tolist() == [2]
    back, lens = unsqueeze(squeezed, lens, 3)
    assert torch.equal(back, x[:, :6]) and lens.tolist() == [6]


def test_a_squeezed_padded_batch_holds_what_each_utterance_alone_holds():
    x, lens = torch.randn(2, 11, 3), torch.tensor([11, 5])
    squeezed, squeezed_lens = squeeze(x, lens, 2)
    alone, alone_lens = squeeze(x[1:, :5], lens[1:], 2)
    assert squeezed_lens.tolist() == [5, 2] and alone_lens.tolist() == [2]
    assert torch.equal(squeezed[1, :2], alone[0])
    assert padding_mask(squeezed_lens, squeezed.shape[1]).shape == squeezed.shape[:2]


def test_the_checks_see_a_wrong_log_determinant_and_a_leak():
    class Wrong(ElementwiseAffine):
        def forward(self, x, padding_mask=None, cond=None):
            y, log_det = super().forward(x, padding_mask, cond)
            return y + x.mean(1, keepdim=True), log_det

    for check in (check_log_det, check_padding):
        try:
            check(stirred(Wrong(3)), torch.randn(2, 5, 3))
        except AssertionError:
            continue
        raise RuntimeError(f"{check.__name__} saw nothing")
