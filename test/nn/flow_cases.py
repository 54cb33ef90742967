"""What must hold for every flow: it can be undone, its log-determinant is that of its Jacobian, and padding is not seen."""

from __future__ import annotations

import torch
from torch import Tensor

from speechkit.nn.flow import Flow
from speechkit.utils.lens import padding_mask


def stirred(flow: Flow) -> Flow:
    """The flow in evaluation, with parameters that are not those it begins with: couplings begin as the identity."""
    with torch.no_grad():
        for name, parameter in flow.named_parameters():
            if "original" not in name and parameter.ndim < 3:
                parameter.add_(0.3 * torch.randn_like(parameter))
    return flow.eval()


def check_inverse(flow: Flow, x: Tensor, cond: Tensor | None = None) -> None:
    """Inverse after forward is the identity: to 1e-5 in float32, to 1e-10 in float64."""
    for dtype, tolerance in ((torch.float32, 1e-5), (torch.float64, 1e-10)):
        flow.to(dtype)
        given = None if cond is None else cond.to(dtype)
        y, _ = flow(x.to(dtype), cond=given)
        assert y.dtype == dtype and y.shape == x.shape
        assert (y - x.to(dtype)).abs().max() > 1e-2, "the flow does nothing"
        assert (flow.inverse(y, cond=given) - x.to(dtype)).abs().max() <= tolerance


def check_log_det(flow: Flow, x: Tensor, cond: Tensor | None = None) -> None:
    """The log-determinant of each utterance is that of the Jacobian that autograd finds."""
    flow.double()
    x = x.double()
    _, log_det = flow(x, cond=None if cond is None else cond.double())
    assert log_det.shape == (len(x),)
    for b in range(len(x)):
        given = None if cond is None else cond[b : b + 1].double()
        jacobian = torch.autograd.functional.jacobian(lambda one, g=given: flow(one[None], cond=g)[0][0], x[b])
        size = x[b].numel()
        torch.testing.assert_close(log_det[b], torch.linalg.slogdet(jacobian.reshape(size, size)).logabsdet)


def check_padding(flow: Flow, x: Tensor, cond: Tensor | None = None) -> None:
    """An utterance alone equals itself in a batch with anything at padding, forwards and backwards."""
    flow.double()
    x, cond = x.double(), None if cond is None else cond.double()
    short = x.shape[1] - 2
    mask = padding_mask(torch.tensor([x.shape[1]] * (len(x) - 1) + [short]))
    garbage = x.clone()
    garbage[-1, short:] = 7.0
    alone_cond = None if cond is None else cond[-1:, :short]
    for direction in (lambda z, m, c: flow(z, m, c)[0], flow.inverse):
        out, alone = direction(garbage, mask, cond), direction(x[-1:, :short], None, alone_cond)
        torch.testing.assert_close(out[-1, :short], alone[0])
        assert (out[-1, short:] == 0).all()
    torch.testing.assert_close(flow(garbage, mask, cond)[1][-1:], flow(x[-1:, :short], None, alone_cond)[1])


def check_flow(flow: Flow, x: Tensor, cond: Tensor | None = None) -> None:
    """All of it."""
    check_inverse(flow, x, cond)
    check_log_det(flow, x, cond)
    check_padding(flow, x, cond)
