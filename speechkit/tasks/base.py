"""What all tasks share: the registry, the experiment's config file, and the model directory's checksums."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from speechkit import config as configs
from speechkit.config import Component, ComponentConfig, ConfigError
from speechkit.train.trainer import TrainerConfig
from speechkit.utils.files import atomic_write, sha256


class Task(Component, kind="task"):
    """Joins data, model, objectives and search; :class:`speechkit.train.task.Task` is the trainer's view of it."""

    class Config(ComponentConfig):
        """An experiment. In YAML the key ``task`` says which kind it is."""

        seed: int = 1
        """Of initial weights, shuffling, augmentation and dropout."""
        train: TrainerConfig = TrainerConfig()
        """How long, how fast and how safely to train."""


def load_config(path: Path | str, overrides: Sequence[str] = ()) -> Task.Config:
    """Read an experiment's YAML, apply overrides, and build the config of the task that its ``task`` key names.

    Raises:
        ConfigError: Naming the file and the dotted key, with a remedy.
    """
    import speechkit.tasks.asr  # noqa: F401 - registers the task and all that it can be made of

    raw = configs.merge(configs.read_yaml(Path(path)), configs.parse_overrides(overrides))
    name = raw.pop("task", None)
    if name not in Task.registry:
        raise ConfigError(f"{path}: task: expected one of {', '.join(sorted(Task.registry))}, got {name!r}")
    return configs.validate(Task.registry[name].Config, {"name": name, **raw}, source=str(path))


def save_config(config: Task.Config, path: Path) -> None:
    """Write the resolved config, defaults included; :func:`load_config` reads back an equal one."""
    with atomic_write(path) as file:
        file.write("task" + configs.dump(config).removeprefix("name"))  # `name` is the first field of a component


TRAINING_DATA = "training_data.json"
MODEL_FILES = ("config.yaml", "averaged.safetensors", "tokenizer", "objectives")


def write_checksums(model_dir: Path) -> None:
    """Record what the files of a finished model are, so that loading can tell if one was altered."""
    sums = {str(path.relative_to(model_dir)): sha256(path) for path in _model_files(model_dir)}
    with atomic_write(model_dir / "checksums.json") as file:
        json.dump(sums, file, indent=1)


def check_model_dir(model_dir: Path) -> None:
    """Compare a model directory with its checksums.

    Raises:
        ValueError: It is no model directory, or a file is missing or was altered.
    """
    if not model_dir.is_dir():
        raise ValueError(f"{model_dir}: expected a model directory, found {'a file' if model_dir.exists() else 'nothing'}")
    path = model_dir / "checksums.json"
    if not path.exists():
        raise ValueError(f"{model_dir}: no checksums.json, so no finished model; run `speechkit average {model_dir}` first")
    for name, expected in read_json(path).items():
        file = model_dir / name
        if not file.exists():
            raise ValueError(f"{file}: missing from the model; copy the whole directory again")
        if sha256(file) != expected:
            raise ValueError(f"{file}: altered since the model was made; restore it, or run `speechkit average` again")


def _model_files(model_dir: Path) -> list[Path]:
    named = [model_dir / name for name in MODEL_FILES]
    return [p for each in named for p in (sorted(each.rglob("*")) if each.is_dir() else [each]) if p.is_file()]


def read_json(path: Path) -> Any:
    """A file of an experiment or model directory; one that is missing or damaged is named."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{path}: missing from the experiment; restore it, or train again") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: not valid JSON ({error}); restore it, or run `speechkit average` again") from None
