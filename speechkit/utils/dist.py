"""Data-parallel ranks: what torchrun set up, and the collectives that the trainer needs. One process needs none."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

COLLECTIVE_TIMEOUT = timedelta(minutes=10)


def init_from_env(device: torch.device | str = "cuda") -> None:
    """Join the process group that ``torchrun`` describes in the environment; without one, do nothing.

    Args:
        device: Where the tensors to be summed are; NCCL, which is for GPUs only, is not used for those of a CPU.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not dist.is_initialized():
        backend = "nccl" if torch.device(device).type == "cuda" and torch.cuda.is_available() else "gloo"
        if backend == "nccl":
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        dist.init_process_group(backend, timeout=COLLECTIVE_TIMEOUT)


def rank() -> int:
    """Index of this process, 0 when it is alone."""
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    """Number of processes, 1 when this one is alone."""
    return dist.get_world_size() if dist.is_initialized() else 1


def is_main() -> bool:
    """Whether this process writes files and talks to the terminal."""
    return rank() == 0


def sum_over_ranks(value: float, device: torch.device | str = "cpu") -> float:
    """The sum of ``value`` over all ranks, exact in double precision."""
    return sums_over_ranks([value], device)[0]


def sums_over_ranks(values: Sequence[float], device: torch.device | str = "cpu") -> list[float]:
    """The sum of each value over all ranks, as one message; every rank gives equally many."""
    if world_size() == 1:
        return list(values)
    total = torch.tensor(values, dtype=torch.float64, device=device)
    dist.all_reduce(total)
    return total.tolist()


def gather(value: Any) -> list[Any]:
    """What each rank gave, in the order of ranks. Slow (it pickles): for rare events."""
    if world_size() == 1:
        return [value]
    values = [None] * world_size()
    dist.all_gather_object(values, value)
    return values


def sum_gradients(parameters: Iterable[Tensor]) -> None:
    """Add up the gradients of all ranks in place, as one flat message; a missing gradient counts as zero."""
    if world_size() == 1:
        return
    parameters = [p for p in parameters if p.requires_grad]
    for p in parameters:
        if p.grad is None:
            p.grad = torch.zeros_like(p)
    flat = torch.cat([p.grad.reshape(-1) for p in parameters])
    dist.all_reduce(flat)
    for p, part in zip(parameters, flat.split([p.numel() for p in parameters])):
        p.grad.copy_(part.view_as(p))


def barrier() -> None:
    """Wait for all ranks."""
    if world_size() > 1:
        dist.barrier()
