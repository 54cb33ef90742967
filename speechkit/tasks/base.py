"""What all tasks share: the registry, the experiment's config file, and what training asks of a task before its loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import nn

from speechkit import config as configs
from speechkit.config import Component, ComponentConfig, ConfigError
from speechkit.tasks.initial_weights import InitConfig
from speechkit.text.tokenizer import Tokenizer
from speechkit.train.trainer_config import TrainerConfig
from speechkit.utils.files import atomic_write


class Task(Component, kind="task"):
    """Joins data, model, objectives and search; :class:`speechkit.train.task.Task` is the trainer's view of it."""

    class Config(ComponentConfig):
        """An experiment. In YAML the key ``task`` says which kind it is."""

        seed: int = 1
        """Of initial weights, shuffling, augmentation and dropout."""
        init: InitConfig | None = None
        """A trained model to start from; null: random weights."""
        train: TrainerConfig = TrainerConfig()
        """How long, how fast and how safely to train."""

    metrics: ClassVar[tuple[str, ...]] = ()
    """What :meth:`validate` measures."""
    networks: dict[str, nn.Module]
    tokenizer: Tokenizer | None = None
    """None for tasks without text."""

    @classmethod
    def check(cls, config: Any) -> None:
        """Refuse a config that can be read but not trained, before any data is; nothing unless a task says so.

        Files that may be made later, such as a decoding graph, need not be there.

        Raises:
            ValueError: Naming the key.
        """

    @classmethod
    def training_data(cls, config: Any) -> dict[str, Any]:
        """Read all data once, so that a fault in its last line is found before training.

        Returns:
            ``fingerprints`` of the training data by name, which have to be the same when training goes on; and facts that
            the finished model keeps with its weights.

        Raises:
            ValueError: Something in the data cannot be used.
        """
        raise NotImplementedError

    @classmethod
    def prepare(cls, config: Any, exp_dir: Path, resuming: bool) -> None:
        """Make what the task needs beside its networks (a fitted tokenizer ...), in ``exp_dir``; on the main rank alone.

        What networks depend on must not be made again when ``resuming``.
        """
        raise NotImplementedError

    @classmethod
    def restore(cls, config: Any, exp_dir: Path, device: torch.device) -> Task:
        """The task, from what :meth:`prepare` made; on every rank."""
        raise NotImplementedError

    def at_step(self, step: int) -> None:
        """Hear the number of optimizer steps made so far, before the next one; nothing unless a task says so."""

    def begin(self) -> None:
        """What is left to do before the very first step, on every rank; nothing unless a task says so."""


def load_config(
    path: Path | str, overrides: Sequence[str] = (), task: str | None = None, **parts: ComponentConfig
) -> Task.Config:
    """Read an experiment's YAML, apply overrides, and build the config of the task that its ``task`` key names.

    Args:
        path: The file.
        overrides: ``key.sub=value``, or names of YAML files.
        task: The only task that will do, or one derived from it; None where any will.
        parts: What takes the place of what the file says under these keys, so that the latter need not be right.

    Raises:
        ConfigError: Naming the file and the dotted key, with a remedy.
    """
    import speechkit.tasks.asr
    import speechkit.tasks.distill
    import speechkit.tasks.lm
    import speechkit.tasks.tts
    import speechkit.tasks.vocoder  # noqa: F401 - they register themselves and all that they can be made of

    def read(overrides: Sequence[str]) -> Task.Config:
        return _read_config(path, overrides, task, parts)

    configs.check_removals(read, path, overrides)
    return read(overrides)


def _read_config(
    path: Path | str, overrides: Sequence[str], task: str | None, parts: Mapping[str, ComponentConfig]
) -> Task.Config:
    raw = configs.merge(configs.read_yaml(Path(path)), configs.parse_overrides(overrides))
    raw |= {key: part.model_dump(mode="json") for key, part in parts.items()}
    name = raw.pop("task", None)
    if name not in Task.registry:
        raise ConfigError(f"{path}: task: expected one of {', '.join(sorted(Task.registry))}, got {name!r}")
    if task is not None and not issubclass(Task.registry[name], Task.registry[task]):
        raise ConfigError(f"{path}: task: expected {task}, got {name}; this is not for experiments of that kind")
    return configs.validate(Task.registry[name].Config, {"name": name, **raw}, source=str(path))


def save_config(config: Task.Config, path: Path) -> None:
    """Write the resolved config, defaults included; :func:`load_config` reads back an equal one."""
    with atomic_write(path) as file:
        file.write("task" + configs.dump(config).removeprefix("name"))  # `name` is the first field of a component


TRAINING_DATA = "training_data.json"
