"""From a config to a trained experiment folder: everything that happens around the trainer's loop."""

from __future__ import annotations

from pathlib import Path

from speechkit import config as configs
from speechkit.tasks.asr import AsrTask, get_tokenizer
from speechkit.tasks.base import Task, load_config, save_config
from speechkit.tasks.manifests import check_splits
from speechkit.text.tokenizer import Tokenizer
from speechkit.train import checkpoint
from speechkit.train.trainer import Trainer, pick_device
from speechkit.utils import dist, log


def train(config: AsrTask.Config, exp_dir: Path) -> bool:
    """Train in ``exp_dir``, or go on from its newest checkpoint.

    Returns:
        Whether training reached its end; False after Ctrl-C or SIGTERM, with the state saved.

    Raises:
        ValueError: The folder holds checkpoints of another config (the differing keys are listed), or training cannot
            go on.
    """
    dist.init_from_env()
    check_same_config(config, exp_dir)
    device = pick_device(config.train.device)
    if dist.is_main():
        check_splits([*config.data.train, *config.data.valid], config)
        save_config(config, exp_dir / "config.yaml")
        get_tokenizer(config).save(exp_dir / "tokenizer")
    dist.barrier()
    task = AsrTask(config, Tokenizer.load(exp_dir / "tokenizer"), device)
    if not checkpoint.steps(exp_dir / "checkpoints", ".pt"):
        task.fit_cmvn()
    if dist.is_main():
        size = sum(p.numel() for p in task.model.parameters())
        log.info(f"{exp_dir}: {size / 1e6:.2f} M parameters, {task.tokenizer.vocab_size} tokens, on {device}")
    return Trainer(task, config.train, exp_dir, device, config.seed).run()


USED_AFTERWARDS = ("search.", "search:", "data.test:")  # keys that training does not look at


def check_same_config(config: Task.Config, exp_dir: Path) -> None:
    """Refuse to go on with checkpoints that another config made."""
    path = exp_dir / "config.yaml"
    if not path.exists() or not checkpoint.steps(exp_dir / "checkpoints", ".pt"):
        return
    differing = [line for line in configs.differences(load_config(path), config) if not line.startswith(USED_AFTERWARDS)]
    if differing:
        raise ValueError(
            f"{exp_dir}: its checkpoints were made with another config; take another --exp, or undo:\n  "
            + "\n  ".join(differing)
        )
