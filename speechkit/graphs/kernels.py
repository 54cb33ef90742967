"""Which of several implementations of the same sums computes them."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Literal

import torch

Kernel = Literal["auto", "numba", "torch", "triton"]
KERNELS = ("numba", "torch", "triton")


def pick_kernel(device: torch.device, kernel: Kernel = "auto") -> str:
    """Which of the ``KERNELS`` is meant for tensors on a device: numba in main memory, on CUDA Triton if it is installed, else
    torch.

    Raises:
        ValueError: There is no such kernel, or it does not run on this device.
    """
    if kernel not in ("auto", *KERNELS):
        raise ValueError(f"kernel: expected auto, {', '.join(KERNELS)}, got {kernel!r}")
    if kernel == "auto":
        return {"cpu": "numba", "cuda": "triton" if find_spec("triton") else "torch"}.get(device.type, "torch")
    if kernel == "numba" and device.type != "cpu":
        raise ValueError(f"kernel: expected auto, torch or triton for tensors on {device}, got numba, which is for the CPU")
    return kernel
