"""The options of training, whatever the task."""

from __future__ import annotations

from typing import Any, Literal

from speechkit.config import Choice, Config
from speechkit.train.optimizer import AdamW, OptimizerKind
from speechkit.train.schedule import Schedule, WarmupCosine


class TrainerConfig(Config):
    """How long, how fast and how safely to train."""

    max_epochs: int = 30
    """Passes over the training data."""
    max_steps: int | None = None
    """Optimizer steps after which to stop earlier; null for none."""
    accumulate: int = 1
    """Micro-batches per optimizer step; their gradients add up as if they were one batch."""
    max_grad_norm: float = 5.0
    """Gradients longer than this (L2) are scaled down to it; 0 turns clipping off."""
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    """Type of forward passes (autocast); weights stay in float32."""
    optimizer: Choice[OptimizerKind] = AdamW.Config()
    """How gradients become updates."""
    schedule: Choice[Schedule] = WarmupCosine.Config()
    """How the learning rate moves below its peak."""
    ema_decay: float | None = None
    """Decay of a moving average of the weights that is then validated and saved; null for none."""
    validate_every: int = 1
    """Epochs between validations; the last epoch is always validated. 0: never."""
    checkpoint_every: int = 1
    """Epochs between checkpoints; the end of training and Ctrl-C always write one."""
    checkpoint_steps: int | None = None
    """Steps between further checkpoints inside an epoch; null for none."""
    keep: int = 2
    """Newest checkpoints to keep; at least two, in case the disk damages one."""
    average: int = 5
    """Number of epoch-end weights that are kept to be averaged into the final model."""
    average_by: str = "last"
    """Which ones: `last`, or the name of a validation metric (`wer`, `loss`) for the best."""
    max_bad_steps: int = 10
    """Stop with an error after this many steps in a row without a finite gradient."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to train; `auto` takes a GPU if there is one."""
    num_threads: int | None = None
    """CPU threads of torch; null leaves torch's own choice."""

    def model_post_init(self, context: Any) -> None:
        """Refuse values that would lose work or loop for ever."""
        for key, least in (("keep", 2), ("accumulate", 1), ("max_epochs", 1), ("average", 1), ("checkpoint_every", 1)):
            if getattr(self, key) < least:
                raise ValueError(f"{key}: expected at least {least}, got {getattr(self, key)}")
        if self.average_by != "last" and not self.validate_every:
            raise ValueError(
                f"average_by: expected last, for without validation nothing is measured, got {self.average_by!r}; "
                "set train.validate_every=1 or train.average_by=last"
            )
