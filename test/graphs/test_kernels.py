from __future__ import annotations

import pytest
import torch

from speechkit.graphs.kernels import pick_kernel


def test_a_kernel_is_chosen_by_device_and_one_that_is_none_is_refused():
    assert pick_kernel(torch.device("cpu")) == "numba" and pick_kernel(torch.device("cuda")) in ("torch", "triton")
    assert pick_kernel(torch.device("mps")) == "torch"
    with pytest.raises(ValueError, match="kernel: expected auto, numba, torch, triton, got 'tritium'"):
        pick_kernel(torch.device("cpu"), "tritium")
    with pytest.raises(ValueError, match="expected auto, torch or triton for tensors on cuda, got numba"):
        pick_kernel(torch.device("cuda"), "numba")
