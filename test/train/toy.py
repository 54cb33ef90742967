"""A tiny task for the trainer's tests: dropout regression, so that every step depends on the random state."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import nn


@dataclass(frozen=True)
class ToyBatch:
    ids: list[str]
    x: torch.Tensor
    y: torch.Tensor
    padding: float = 0.0

    @property
    def amounts(self):
        return {"audio_seconds": float(len(self.ids))}

    def __len__(self):
        return len(self.ids)

    def to(self, device):
        return replace(self, x=self.x.to(device), y=self.y.to(device))


class ToyBatches:
    """5 batches of 3 examples per epoch, another order in each."""

    def __init__(self, size=3, count=5, rank=0, world=1, poison=None):
        self.size, self.count, self.rank, self.world, self.poison = size, count, rank, world, poison

    def __len__(self):
        return self.count // self.world

    def epoch(self, epoch, start):
        order = torch.randperm(self.count, generator=torch.Generator().manual_seed(epoch)).tolist()
        for index in order[self.rank :: self.world][start : len(self)]:
            generator = torch.Generator().manual_seed(index)
            x = torch.randn(self.size, 4, generator=generator)
            y = x.sum(1, keepdim=True)
            if index == self.poison:
                x[1], y[1] = float("nan"), float("nan")  # the input, too: it reaches the running statistics
            yield ToyBatch([f"cut-{index}-{i}" for i in range(self.size)], x, y)


class ToyTask:
    def __init__(self, batches=None, dropout=0.5):
        torch.manual_seed(7)
        net = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(dropout), nn.Tanh(), nn.Linear(8, 1))
        self.networks, self.weights = {"model": net}, {"square": 2.0}
        self.data = batches or ToyBatches()
        self.heard = []

    def batches(self):
        return self.data

    def at_step(self, step):
        self.heard.append(step)

    def losses(self, batch):
        yield "model", {"square": (self.networks["model"](batch.x) - batch.y).square().sum(1)}

    def validate(self):
        batch = next(ToyBatches().epoch(0, 0))
        return {"loss": (self.networks["model"](batch.x) - batch.y).square().mean().item()}

    def take_notes(self):
        return []
