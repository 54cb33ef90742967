"""From a config to a trained experiment folder: everything that happens around the trainer's loop."""

from __future__ import annotations

import json
from pathlib import Path

import filelock
import torch

from speechkit import config as configs
from speechkit.tasks.base import TRAINING_DATA, Task, load_config, save_config
from speechkit.tasks.initial_weights import read_initial, start_from
from speechkit.train import checkpoint
from speechkit.train.trainer import Trainer, pick_device, prepare_torch
from speechkit.utils import dist, log
from speechkit.utils.files import atomic_write
from speechkit.utils.model_dir import read_json


def train(config: Task.Config, exp_dir: Path) -> bool:
    """Train in ``exp_dir``, or go on from its newest checkpoint.

    Returns:
        Whether training reached its end; False after Ctrl-C or SIGTERM, with the state saved.

    Raises:
        ValueError: The folder holds checkpoints of another config (the differing keys are listed), or training cannot
            go on.
    """
    config.component.check(config)
    prepare_torch(config.train)
    device = pick_device(config.train.device)
    dist.init_from_env(device)
    held = lock(exp_dir) if dist.is_main() else None
    try:
        return _train(config, exp_dir, device)
    finally:
        if held is not None:
            held.release()


def _train(config: Task.Config, exp_dir: Path, device: torch.device) -> bool:
    check_same_config(config, exp_dir)
    resuming = bool(checkpoint.steps(exp_dir / "checkpoints", ".pt"))
    if config.init is not None and not resuming:
        read_initial(config.init)  # before minutes of preparation
    if dist.is_main():
        check_same_data(config, exp_dir, resuming)
        save_config(config, exp_dir / "config.yaml")
        config.component.prepare(config, exp_dir, resuming)
    dist.barrier()
    task = config.component.restore(config, exp_dir, device)
    if not resuming:
        task.begin()
        if config.init is not None:
            start_from(task.networks["model"], config.init)
    if dist.is_main():
        size = sum(p.numel() for network in task.networks.values() for p in network.parameters())
        tokens = f" {task.tokenizer.vocab_size} tokens," if task.tokenizer else ""
        log.info(f"{exp_dir}: {size / 1e6:.2f} M parameters,{tokens} on {device}")
    return Trainer(task, config.train, exp_dir, device, config.seed).run()


# Keys that training does not look at, those that change how it runs and not what it computes, and its length.
MAY_CHANGE = ("search.", "search:", "data.test:", "data.num_workers:", "data.cache_audio:", "train.num_threads:")
MAY_CHANGE += ("init:", "init.", "vocoder: ", "train.device:", "train.keep:", "train.checkpoint_every:")
MAY_CHANGE += ("train.checkpoint_steps:", "train.max_epochs:", "train.max_steps:", "train.average:", "train.average_by:")


def check_same_config(config: Task.Config, exp_dir: Path) -> None:
    """Refuse to go on with checkpoints that another config made."""
    path = exp_dir / "config.yaml"
    if not path.exists() or not checkpoint.steps(exp_dir / "checkpoints", ".pt"):
        return
    differing = [line for line in configs.differences(load_config(path), config) if not line.startswith(MAY_CHANGE)]
    if differing:
        raise ValueError(
            f"{exp_dir}: its checkpoints were made with another config; take another --exp, or undo:\n  "
            + "\n  ".join(differing)
        )


def check_same_data(config: Task.Config, exp_dir: Path, resuming: bool) -> None:
    """Refuse to go on with other training data: the place in an epoch and the ids of tokens mean something for it alone."""
    facts = config.component.training_data(config)
    path = exp_dir / TRAINING_DATA
    if resuming and path.exists() and read_json(path)["fingerprints"] != facts["fingerprints"]:
        raise ValueError(
            f"{exp_dir}: its checkpoints were made with other utterances of {', '.join(facts['fingerprints'])} than there are "
            "now; prepare those again, or take another --exp"
        )
    with atomic_write(path) as file:
        json.dump(facts, file, indent=1)


def lock(exp_dir: Path) -> filelock.FileLock:
    """Hold an experiment's folder, until released or until this process ends, however it ends.

    Raises:
        ValueError: Another process holds it, or it cannot be a folder.
    """
    if exp_dir.exists() and not exp_dir.is_dir():
        raise ValueError(f"--exp {exp_dir}: expected a folder, or nothing yet, got a file; choose another name")
    exp_dir.mkdir(parents=True, exist_ok=True)
    held = filelock.FileLock(exp_dir / ".lock")
    try:
        held.acquire(timeout=0)
    except filelock.Timeout:
        raise ValueError(f"{exp_dir}: another process is training here; wait for it, or take another --exp") from None
    return held
