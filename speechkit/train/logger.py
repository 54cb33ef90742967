"""Where training says what it does: ``train.jsonl``, TensorBoard, and a live line or plain lines on the terminal."""

from __future__ import annotations

import json
import math
import sys
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

PLAIN_EVERY = 10.0  # seconds between plain progress lines
EPOCH_EVERY = 1.0  # seconds, at least, between one and that of a new epoch


class Logger:
    """Writes events of a run; only the main rank has one that does anything.

    Args:
        exp_dir: The experiment's folder.
        total_steps: Steps of the whole run, for the estimate of the time left.
        first_step: Where this process starts.
        enabled: False on the other ranks.
    """

    def __init__(self, exp_dir: Path, total_steps: int, first_step: int = 0, enabled: bool = True) -> None:
        self.enabled, self.total, self.first = enabled, total_steps, first_step
        self.timed_from, self.started = first_step, time.monotonic()
        self.plain_epoch, self.last_plain = -1, -math.inf
        if not enabled:
            return
        from torch.utils.tensorboard import SummaryWriter  # slow to import

        drop_half_line(exp_dir / "train.jsonl")
        self.file = open(exp_dir / "train.jsonl", "a", encoding="utf-8", buffering=1)
        purge_step = first_step + 1 if first_step else None  # the checkpoint's own step is not done again
        self.board = SummaryWriter(str(exp_dir / "tensorboard"), purge_step=purge_step)
        self.console = Console(stderr=True)
        self.progress = self._progress() if self.console.is_terminal else None

    def _progress(self) -> Progress:
        columns = (
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[status]}"),
            TimeElapsedColumn(),
            TextColumn("eta"),
            TimeRemainingColumn(),
        )
        progress = Progress(*columns, console=self.console)
        self.bar = progress.add_task("", total=self.total, completed=self.first, epoch=0, status="")
        progress.start()
        return progress

    def event(self, event: str, step: int, epoch: int, **values: Any) -> None:
        """Append one row to ``train.jsonl``; numbers of steps and validations go to TensorBoard, too."""
        if not self.enabled:
            return
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        row = {"event": event, "step": step, "epoch": epoch, "time": now, **values}
        self.file.write(json.dumps(finite_or_text(row), ensure_ascii=False) + "\n")
        if event in ("step", "valid"):
            for key, value in flatten(values):
                self.board.add_scalar(f"{'train' if event == 'step' else 'valid'}/{key}", value, step)

    def show_step(self, step: int, epoch: int, status: str) -> None:
        """Move the bar; without a terminal, print a plain line now and then, and of each epoch that is not very short."""
        if not self.enabled:
            return
        now = time.monotonic()
        if step == self.first + 1:  # in which kernels are compiled: it says little of those that follow
            self.timed_from, self.started = step, now
        if self.progress:
            self.progress.update(self.bar, completed=step, total=max(self.total, step), epoch=epoch + 1, status=status)
        elif now - self.last_plain > (PLAIN_EVERY if epoch == self.plain_epoch else EPOCH_EVERY):
            self.plain_epoch, self.last_plain = epoch, now
            self.say(f"epoch {epoch + 1} step {step}/{self.total} {status}{self._eta(step, now)}")

    def _eta(self, step: int, now: float) -> str:
        if step <= self.timed_from:
            return ""
        seconds = int((now - self.started) / (step - self.timed_from) * max(0, self.total - step))
        return f" eta {seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"

    def say(self, message: str) -> None:
        """Print a line that stays, above the bar."""
        if not self.enabled:
            return
        if self.progress:
            self.progress.console.print(message, markup=False, highlight=False)
        else:
            print(message, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Flush everything."""
        if self.enabled:
            if self.progress:
                self.progress.stop()
            self.board.close()
            self.file.close()


def flatten(values: dict[str, Any]) -> list[tuple[str, float]]:
    """``{"losses": {"ctc": 1.0}}`` -> ``[("losses/ctc", 1.0)]``; what is no number is left out."""
    pairs = []
    for key, value in values.items():
        if isinstance(value, dict):
            pairs += [(f"{key}/{sub}", number) for sub, number in flatten(value)]
        elif isinstance(value, (int, float)):
            pairs.append((key, value))
    return pairs


def finite_or_text(value: Any) -> Any:
    """JSON has no NaN or infinity: write them as text."""
    if isinstance(value, dict):
        return {key: finite_or_text(item) for key, item in value.items()}
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def drop_half_line(path: Path) -> None:
    """Cut off a last line that a crash left without its end, so that every line of the log is whole."""
    if path.exists() and (content := path.read_bytes()) and not content.endswith(b"\n"):
        with open(path, "rb+") as file:
            file.truncate(content.rfind(b"\n") + 1)
