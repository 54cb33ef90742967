"""Optimizers that YAML can choose: AdamW, Adam, and ScaledAdam, whose step follows the size of each parameter."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from speechkit.config import Component, ComponentConfig


class OptimizerKind(Component, kind="optimizer"):
    """Registry of optimizers; ``config.build(network=...)`` returns a ``torch.optim.Optimizer``."""

    class Config(ComponentConfig):
        lr: float = 1e-3
        """Peak learning rate; the schedule multiplies it by a factor between 0 and 1."""
        betas: tuple[float, float] = (0.9, 0.98)
        """Decay rates of the running means of the gradient and of its square."""
        eps: float = 1e-8
        """Added to the denominator."""

    def __new__(cls, config: Config, network: nn.Module) -> torch.optim.Optimizer:  # type: ignore[misc]
        return cls.make(config, network)

    @classmethod
    def make(cls, config: Config, network: nn.Module) -> torch.optim.Optimizer:
        """Build the optimizer over the trainable parameters of ``network``."""
        raise TypeError(f"{cls.__name__} must define make()")


def decay_groups(network: nn.Module, weight_decay: float) -> list[dict]:
    """Matrices and kernels decay; biases and norms (one axis or none) do not."""
    decayed = [p for p in network.parameters() if p.requires_grad and p.ndim > 1]
    kept = [p for p in network.parameters() if p.requires_grad and p.ndim <= 1]
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": kept, "weight_decay": 0.0}]


class AdamW(OptimizerKind, name="adamw"):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019), in torch's fused form."""

    class Config(OptimizerKind.Config):
        weight_decay: float = 1e-2
        """Decoupled decay per step, times the learning rate; biases and norms are exempt."""

    @classmethod
    def make(cls, config: Config, network: nn.Module) -> torch.optim.Optimizer:
        groups = decay_groups(network, config.weight_decay)
        return torch.optim.AdamW(groups, lr=config.lr, betas=config.betas, eps=config.eps, fused=True)


class Adam(OptimizerKind, name="adam"):
    """Adam (Kingma and Ba 2015), in torch's fused form; with the Noam schedule, the classic Transformer recipe."""

    @classmethod
    def make(cls, config: OptimizerKind.Config, network: nn.Module) -> torch.optim.Optimizer:
        parameters = [p for p in network.parameters() if p.requires_grad]
        return torch.optim.Adam(parameters, lr=config.lr, betas=config.betas, eps=config.eps, fused=True)


class ScaledAdamChoice(OptimizerKind, name="scaled_adam"):
    """Adam with steps relative to the size of each parameter; made for the Eden schedule and learning rates around 0.045."""

    class Config(OptimizerKind.Config):
        lr: float = 0.045
        """Peak learning rate, relative to the root mean square of each parameter tensor."""
        scale_lr: float = 0.1
        """Learning rate of each tensor's scale, as a fraction of ``lr``."""
        min_rms: float = 1e-5
        """Tensors smaller than this (root mean square) are stepped as if they had this size."""
        max_rms: float = 3.0
        """The scale stops growing here."""

    @classmethod
    def make(cls, config: Config, network: nn.Module) -> torch.optim.Optimizer:
        parameters = [p for p in network.parameters() if p.requires_grad]
        return ScaledAdam(
            parameters, config.lr, config.betas, config.eps, config.scale_lr, (config.min_rms, config.max_rms)
        )


class ScaledAdam(torch.optim.Optimizer):
    """Adam whose step is proportional to the parameter's root mean square, plus an explicit update of that size.

    Yao et al. 2024 (Zipformer), section 3.5: with r the RMS of the tensor and g its gradient,

        delta  = -lr * r * adam(g)                     the direction, scaled by the size
        delta' = -lr * scale_lr * adam(g . theta) * theta   the size, learnt from the gradient of log scale

    Differs from the paper: no gradient clipping of its own (the trainer clips), and single numbers (scalars, which
    have no direction apart from their size) take an Adam step at a tenth of the learning rate.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float,
        betas: tuple[float, float] = (0.9, 0.98),
        eps: float = 1e-8,
        scale_lr: float = 0.1,
        rms_range: tuple[float, float] = (1e-5, 3.0),
    ) -> None:
        super().__init__(parameters, dict(lr=lr, betas=betas, eps=eps, scale_lr=scale_lr, rms_range=rms_range))

    @torch.no_grad()
    def step(self, closure=None):  # noqa: D102 - torch's interface
        loss = None if closure is None else closure()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self._update(p, self.state[p], group)
        return loss

    def _update(self, p: Tensor, state: dict, group: dict) -> None:
        if not state:
            state["step"] = torch.zeros((), dtype=torch.float32)
            state["mean"], state["square"] = torch.zeros_like(p), torch.zeros_like(p)
            state["scale_mean"], state["scale_square"] = torch.zeros_like(p.sum()), torch.zeros_like(p.sum())
        state["step"] += 1
        step = int(state["step"])
        direction = _adam(p.grad, state["mean"], state["square"], step, group)
        if p.numel() == 1:
            p.add_(direction, alpha=-0.1 * group["lr"])
            return
        low, high = group["rms_range"]
        rms = p.square().mean().sqrt()
        growth = _adam((p.grad * p).sum(), state["scale_mean"], state["scale_square"], step, group)
        growth = torch.where((rms >= high) & (growth < 0), torch.zeros_like(growth), growth)  # may only shrink
        p.mul_(1 - group["lr"] * group["scale_lr"] * growth)
        p.sub_(group["lr"] * rms.clamp(min=low) * direction)


def _adam(grad: Tensor, mean: Tensor, square: Tensor, step: int, group: dict) -> Tensor:
    """Adam's bias-corrected direction; updates the running ``mean`` and ``square`` in place."""
    beta1, beta2 = group["betas"]
    mean.lerp_(grad, 1 - beta1)
    square.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
    denominator = (square / (1 - beta2**step)).sqrt_().add_(group["eps"])
    return mean / (1 - beta1**step) / denominator
