"""From a config to a trained experiment folder: everything that happens around the trainer's loop."""

from __future__ import annotations

import hashlib
from pathlib import Path

from speechkit import config as configs
from speechkit.data.cuts import checked_cuts, transcript
from speechkit.tasks.asr import AsrTask, get_tokenizer
from speechkit.tasks.base import Task, load_config, save_config
from speechkit.tasks.manifests import split_paths
from speechkit.text.tokenizer import Tokenizer
from speechkit.train import checkpoint
from speechkit.train.trainer import Trainer, pick_device
from speechkit.utils import dist, log
from speechkit.utils.files import atomic_write


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
    resuming = bool(checkpoint.steps(exp_dir / "checkpoints", ".pt"))
    if dist.is_main():
        check_same_data(config, exp_dir, resuming)
        save_config(config, exp_dir / "config.yaml")
        if not resuming:  # a tokenizer fitted again may give its ids to other tokens
            get_tokenizer(config).save(exp_dir / "tokenizer")
    dist.barrier()
    task = AsrTask(config, Tokenizer.load(exp_dir / "tokenizer"), device)
    if not resuming:
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


def check_same_data(config: AsrTask.Config, exp_dir: Path, resuming: bool) -> None:
    """Read the manifests once, so that a fault in their last line is found now, and refuse to go on with other ones.

    The place in an epoch and the ids of tokens mean something only for the utterances that training began with.
    ``training_data.txt`` keeps a fingerprint of their ids, durations and transcripts; the recordings may have moved.
    """
    sums = {name: _fingerprint(path) for name, path in zip(config.data.train, split_paths(config.data.train, config))}
    for path in split_paths([name for name in config.data.valid if name not in sums], config):
        _fingerprint(path)
    path, text = exp_dir / "training_data.txt", "".join(f"{value}  {name}\n" for name, value in sums.items())
    if resuming and path.exists() and path.read_text(encoding="utf-8") != text:
        raise ValueError(
            f"{exp_dir}: its checkpoints were made with other utterances of {', '.join(sums)} than the manifests now hold; "
            "prepare those again, or take another --exp"
        )
    with atomic_write(path) as file:
        file.write(text)


def _fingerprint(manifest: Path) -> str:
    digest = hashlib.sha256()
    for cut in checked_cuts(manifest):
        digest.update(f"{cut.id}\t{cut.duration}\t{transcript(cut)}\n".encode())
    return digest.hexdigest()
