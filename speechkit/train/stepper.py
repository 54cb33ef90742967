"""One optimizer step from one or more micro-batches: the same code for one network and for a generator with its critic."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from speechkit.train.task import Batch, Losses, Task
from speechkit.utils import dist

PRECISIONS = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass
class StepReport:
    """What one step did."""

    loss: float = 0.0
    """Weighted sum of all losses, per utterance of the whole step: this rank's share, the ranks' sum is the mean."""
    losses: dict[str, float] = field(default_factory=dict)
    """Each objective's part of it, unweighted, and what else the task wants to be logged of it."""
    grad_norms: dict[str, float] = field(default_factory=dict)
    """Per network, before clipping."""
    skipped: str = ""
    """Why a network was not updated; empty if all were."""
    bad_ids: list[str] = field(default_factory=list)
    """The utterances to look at when the step was skipped, of all ranks."""


class Stepper:
    """Runs :meth:`Task.losses` over the micro-batches of one step and updates each network that it names.

    The weighted sum of losses is divided once, by the utterance count of the whole step over all micro-batches and
    ranks, so that accumulation and data parallelism give the gradient of the one big batch.

    Args:
        task: What to train.
        optimizers: One per network.
        max_norm: Gradients longer than this (L2 norm over a network) are scaled down to it; 0 turns clipping off.
        precision: ``float32``, or the autocast type ``bfloat16`` or ``float16`` (with loss scaling).
        device: Where the networks are.
        after_update: Called with the network's name after each of its updates.
    """

    def __init__(
        self,
        task: Task,
        optimizers: dict[str, torch.optim.Optimizer],
        max_norm: float,
        precision: str,
        device: torch.device,
        after_update: Callable[[str], None] = lambda name: None,
    ) -> None:
        self.task, self.optimizers, self.max_norm = task, optimizers, max_norm
        self.device, self.after_update = device, after_update
        self.autocast_dtype = PRECISIONS[precision]
        self.scaler = torch.amp.GradScaler(device.type, enabled=precision == "float16")

    def autocast(self) -> contextlib.AbstractContextManager:
        """The precision of forward passes."""
        if self.autocast_dtype is None:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, self.autocast_dtype)

    def step(self, batches: Sequence[Batch]) -> StepReport:
        """Update once from ``batches``, whose gradients add up as if they were one batch."""
        count = dist.sum_over_ranks(sum(len(batch) for batch in batches), self.device)
        running = [self.task.losses(batch) for batch in batches]
        before = {name: buffer.clone() for name, buffer in self._buffers().items()}
        report = StepReport()
        while name := self._accumulate(running, batches, count, report):
            self._update(name, before, report)
        if report.skipped:
            report.bad_ids = _suspects(report.bad_ids, [i for batch in batches for i in batch.ids])
        return report

    def _buffers(self) -> dict[tuple[str, str], Tensor]:
        """What forward passes change: running statistics. Buffers that are not saved are tables, and large."""
        found = {}
        for name, network in self.task.networks.items():
            saved = network.state_dict().keys()
            found |= {(name, key): buffer for key, buffer in network.named_buffers() if key in saved}
        return found

    def _accumulate(self, running: Sequence[Any], batches: Sequence[Batch], count: float, report: StepReport) -> str | None:
        """Let each micro-batch's generator take its next turn; returns the network that the turn is for."""
        name = None
        for turns, batch in zip(running, batches):
            with self.autocast():
                turn = next(turns, None)
            if turn is None:
                continue
            name, losses = turn
            self._backward(losses, batch, count, report)
        return name

    def _backward(self, losses: Losses, batch: Batch, count: float, report: StepReport) -> None:
        weights = self.task.weights
        total = sum(weights[key] * values.sum() for key, values in losses.items() if key in weights) / count
        self.scaler.scale(total).backward()
        report.loss += total.item()
        for key, values in losses.items():
            values = values.detach()
            report.losses[key] = report.losses.get(key, 0.0) + values.sum().item() / count
            bad = ~values.isfinite()
            if bad.any():
                report.bad_ids += [batch.ids[i] for i in bad.nonzero().flatten().tolist()]

    def _update(self, name: str, before: dict[tuple[str, str], Tensor], report: StepReport) -> None:
        """Clip and step one network, unless its gradient is not finite: then nothing changes, on any rank."""
        network, optimizer = self.task.networks[name], self.optimizers[name]
        dist.sum_gradients(network.parameters())
        self.scaler.unscale_(optimizer)
        norm = nn.utils.clip_grad_norm_(network.parameters(), self.max_norm or float("inf")).item()
        report.grad_norms[name] = norm
        finite = norm < float("inf")  # false for NaN too
        if finite or self.scaler.is_enabled():  # the scaler itself skips an overflow, and lowers its scale
            self.scaler.step(optimizer)
            self.scaler.update()
        if finite:
            self.after_update(name)
        else:
            for key, buffer in self._buffers().items():  # one NaN would stay in a running mean for good
                buffer.data.copy_(before[key])  # .data: the graph of a network whose turn comes later may hold it
            report.skipped = f"the gradient norm of {name} is {norm}"
        for each in self.task.networks.values():  # a generator's loss leaves gradients in its critic, too
            each.zero_grad(set_to_none=True)


def _suspects(bad_ids: list[str], all_ids: list[str]) -> list[str]:
    """Over all ranks: the utterances without a finite loss; if the loss is innocent, all of the step."""
    bad, everyone = (list(dict.fromkeys(itertools.chain(*ids))) for ids in zip(*dist.gather((bad_ids, all_ids))))
    return bad or everyone
