"""The training loop: epochs of steps, validation, checkpoints, resume. It sees a :class:`~speechkit.train.task.Task`."""

from __future__ import annotations

import contextlib
import itertools
import math
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import torch

from speechkit.train import checkpoint
from speechkit.train.ema import Ema
from speechkit.train.logger import Logger
from speechkit.train.stepper import Stepper, StepReport
from speechkit.train.task import Batch, Task
from speechkit.train.trainer_config import TrainerConfig
from speechkit.utils import dist, log, machine

SIGNALS = (signal.SIGINT, signal.SIGTERM)  # training stops after the step, with its state saved
SPEED_UNITS = {"audio_seconds": "x real time"}  # of amounts per second; others are called by their name


def prepare_torch(config: TrainerConfig) -> None:
    """Set up CPU arithmetic; to be called before the first operation, at the very beginning of a program.

    Occupancies near 1e-40 make some losses four times slower on CPU unless they are flushed to zero. The flag belongs
    to a thread and is inherited by those it starts: threads that are in torch's pool already keep their denormals (so
    a part of each big tensor would differ), and setting their number again does not replace them.
    """
    if config.num_threads:
        torch.set_num_threads(config.num_threads)
    torch.set_flush_denormal(True)


def pick_device(name: str) -> torch.device:
    """``auto``, ``cpu`` or ``cuda`` as a device.

    Raises:
        ValueError: A GPU was asked for and there is none.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("device: expected a GPU (cuda), got none that torch can use; set train.device=cpu or auto")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


class Trainer:
    """Trains a task in an experiment folder, and goes on from the newest checkpoint in it.

    Args:
        task: What to train, its networks already on ``device``.
        config: How to train.
        exp_dir: Gets ``train.jsonl``, ``tensorboard/``, ``checkpoints/`` and ``weights/``.
        device: From :func:`pick_device`.
        seed: Of all random numbers that the steps draw.
    """

    def __init__(self, task: Task, config: TrainerConfig, exp_dir: Path, device: torch.device, seed: int = 0) -> None:
        self.task, self.config, self.exp_dir, self.device = task, config, exp_dir, device
        self._check_average_by(getattr(task, "metrics", None))
        prepare_torch(config)
        torch.manual_seed(seed + dist.rank())
        self.batches = task.batches()
        self.optimizers = {name: config.optimizer.build(network=net) for name, net in task.networks.items()}
        self.emas = {name: Ema(net, config.ema_decay) for name, net in task.networks.items()} if config.ema_decay else {}
        self.stepper = Stepper(task, self.optimizers, config.max_grad_norm, config.precision, device, self._after_update)
        self.steps_per_epoch = max(1, -(-len(self.batches) // config.accumulate))
        self.total_steps = min(config.max_steps or 10**12, self.steps_per_epoch * config.max_epochs)
        self.schedule = config.schedule.build(total_steps=self.total_steps)
        self.step, self.epoch, self.position, self.bad_steps = 0, 0, 0, 0  # position: batches of this epoch used
        self.last_metrics: dict[str, float] = {}
        self.stop_signal: int | None = None  # what this process was told
        self.stopping: int | None = None  # what all ranks know that one of them was told

    # --- the loop -------------------------------------------------------------------------------------------------

    def run(self) -> bool:
        """Train to the end, or until Ctrl-C or SIGTERM.

        Returns:
            Whether training reached its end; False after a signal (the state is saved, running again goes on).

        Raises:
            ValueError: Too many steps in a row without a finite gradient.
        """
        resumed = self.resume()
        self.logger = Logger(self.exp_dir, self.total_steps, self.step, enabled=dist.is_main())
        parameters = sum(p.numel() for network in self.task.networks.values() for p in network.parameters())
        facts = {"total_steps": self.total_steps, "parameters": parameters}
        facts |= {"machine": machine.describe(), "command": machine.command()}
        self.logger.event("resume" if resumed else "start", self.step, self.epoch, **facts)
        if resumed:
            self.logger.say(f"going on from step {self.step}, epoch {self.epoch + 1}")
        previous = [(s, signal.signal(s, self._on_signal)) for s in SIGNALS]
        try:
            while not self._finished() and not self._stops():
                self._run_epoch()
            return self._end()
        finally:
            for number, handler in previous:
                signal.signal(number, handler)
            self.logger.close()

    def _on_signal(self, number: int, frame: Any) -> None:
        if self.stop_signal is not None:
            raise KeyboardInterrupt  # the second Ctrl-C does not wait
        self.stop_signal = number
        self.logger.say("stopping after this step; the state will be saved (Ctrl-C again to stop without saving)")

    def _stops(self) -> bool:
        """Whether a rank was told to stop; several ranks have to leave at the same step, so they look at what all know."""
        if dist.world_size() == 1:
            self.stopping = self.stop_signal
        return self.stopping is not None

    def _finished(self) -> bool:
        """After the last step and what follows an epoch; a position means that the epoch is still to be finished."""
        return self.epoch >= self.config.max_epochs or (self.step >= self.total_steps and self.position == 0)

    def _end(self) -> bool:
        memory = round(machine.peak_memory(), 3)
        if self._finished():
            self.logger.event("end", self.step, self.epoch, peak_memory=memory)
            self.logger.say(f"ended at step {self.step}, epoch {self.epoch}")
            return True
        self.save_checkpoint()
        self.logger.event("stop", self.step, self.epoch, signal=signal.Signals(self.stopping).name, peak_memory=memory)
        self.logger.say(f"saved at step {self.step}; run the same command to go on")
        return False

    def _run_epoch(self) -> None:
        for network in self.task.networks.values():
            network.train()
        for group, seconds in self._groups():
            self._train_step(group, seconds)
            if self._stops():
                return
            if self.config.checkpoint_steps and self.step % self.config.checkpoint_steps == 0:
                self.save_checkpoint()
        self._finish_epoch()

    def _groups(self) -> Iterator[tuple[list[Batch], float]]:
        """The micro-batches of each step left in this epoch or training, and the seconds spent waiting for them."""
        batches = self.batches.epoch(self.epoch, self.position)
        while self.step < self.total_steps:
            started = time.perf_counter()
            group = [batch.to(self.device) for batch in itertools.islice(batches, self.config.accumulate)]
            if not group:
                return
            yield group, time.perf_counter() - started

    def _finish_epoch(self) -> None:
        last = self.step >= self.total_steps or self.epoch + 1 >= self.config.max_epochs
        every = self.config.validate_every
        epoch, self.epoch, self.position = self.epoch, self.epoch + 1, 0
        validated = bool(every) and (last or self.epoch % every == 0)
        if validated:
            self._validate(epoch)
        if validated or self.config.average_by == "last":
            self._save_weights()
        if validated:
            self._check_average_by(self.last_metrics, self.save_checkpoint)
        if last or self.epoch % self.config.checkpoint_every == 0:
            self.save_checkpoint()

    def _train_step(self, group: list[Batch], waited: float) -> None:
        started = time.perf_counter()
        rates = self._set_learning_rates()
        self.task.at_step(self.step)
        report = self.stepper.step(group)
        self.step += 1
        self.position += len(group)
        stats = self._share(report, group)
        seconds = time.perf_counter() - started + waited
        self._check_finite(report)
        self.logger.event(
            "step", self.step, self.epoch, loss=report.loss, losses=report.losses,
            grad_norm=max(report.grad_norms.values(), default=0.0), lr=rates, **stats, seconds=seconds, waited=waited,
        )  # fmt: skip
        speeds = [f"{stats[key] / seconds:.0f}{SPEED_UNITS.get(key, f' {key}/s')}" for key in group[0].amounts]
        self.logger.show_step(self.step, self.epoch, " ".join([f"loss {report.loss:.3f}", *speeds]))

    def _share(self, report: StepReport, group: list[Batch]) -> dict[str, float]:
        """Add up over ranks what the log says of a step, in one message that also says who was told to stop."""
        notes, padding = self.task.take_notes(), [batch.padding for batch in group]
        told = [self.stop_signal == number for number in SIGNALS]
        amounts = {key: sum(batch.amounts[key] for batch in group) for key in group[0].amounts}
        sizes = sum(len(batch) for batch in group), sum(padding) / len(padding)
        mine = [*told, len(notes), *amounts.values(), *sizes, report.loss, *report.losses.values()]
        sums = dist.sums_over_ranks(mine, self.device)
        self.stopping = next((number for number, count in zip(SIGNALS, sums) if count), None)
        num_notes, *rest = sums[len(SIGNALS) :]
        amounts = {key: round(rest.pop(0), 3) for key in amounts}
        utterances, padding, report.loss, *losses = rest
        report.losses = dict(zip(report.losses, losses))
        for note in itertools.chain(*dist.gather(notes)) if num_notes else ():
            self.logger.event("note", self.step, self.epoch, **note)
        padding = round(padding / dist.world_size(), 4)
        return {"utterances": int(utterances), **amounts, "padding": padding}

    def _set_learning_rates(self) -> float:
        epoch = self.epoch + self.position / max(1, len(self.batches))
        factor = self.schedule.factor(self.step + 1, epoch)
        for optimizer in self.optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = self.config.optimizer.lr * factor
        return self.config.optimizer.lr * factor

    def _after_update(self, name: str) -> None:
        if name in self.emas:
            self.emas[name].update(self.task.networks[name])

    def _check_finite(self, report: StepReport) -> None:
        if not report.skipped:
            self.bad_steps = 0
            return
        self.bad_steps += 1
        scaler = self.stepper.scaler
        if scaler.is_enabled() and not any(math.isnan(loss) for loss in report.losses.values()):
            # An expected event of half precision, in which no utterance is to blame: the scale was too large.
            self.logger.event("overflow", self.step, self.epoch, reason=report.skipped, scale=scaler.get_scale())
        else:
            self.logger.event("skip", self.step, self.epoch, reason=report.skipped, cuts=report.bad_ids)
            self.logger.say(f"step {self.step} skipped: {report.skipped}; utterances: {', '.join(report.bad_ids[:8])}")
        if self.bad_steps >= self.config.max_bad_steps:
            self.save_checkpoint()
            raise ValueError(
                f"{self.bad_steps} steps in a row had no finite gradient; last utterances: "
                f"{', '.join(report.bad_ids[:8])}; lower train.optimizer.lr, or look at these recordings"
            )

    def _validate(self, epoch: int) -> None:
        started = time.perf_counter()
        with self._averaged():
            for network in self.task.networks.values():
                network.eval()
            with torch.inference_mode(), self.stepper.autocast():
                self.last_metrics = self.task.validate()
        seconds = time.perf_counter() - started
        self.logger.event("valid", self.step, epoch, **self.last_metrics, seconds=seconds)
        shown = " ".join(f"{key} {value:.4g}" for key, value in self.last_metrics.items())
        self.logger.say(f"epoch {epoch + 1} step {self.step}: valid {shown}")

    def _check_average_by(self, metrics: Iterable[str] | None, rescue: Callable[[], None] = lambda: None) -> None:
        """Refuse to go on without the metric that chooses the weights; ``rescue`` saves what there is."""
        if metrics is not None and self.config.average_by not in ("last", *metrics):
            rescue()
            names = ", ".join(sorted(metrics))
            raise ValueError(f"train.average_by: expected last or one of {names}, got {self.config.average_by!r}")

    def _averaged(self) -> contextlib.ExitStack:
        """Inside the block, networks have their moving averages, if there are any."""
        stack = contextlib.ExitStack()
        for name, ema in self.emas.items():
            stack.enter_context(ema.applied(self.task.networks[name]))
        return stack

    # --- state ----------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next step depends on; all ranks have to call it, each draws its own random numbers."""
        rng = {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state() if self.device.type == "cuda" else None}
        return {
            "step": self.step, "epoch": self.epoch, "position": self.position, "bad_steps": self.bad_steps,
            "networks": {name: network.state_dict() for name, network in self.task.networks.items()},
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
            "emas": {name: ema.state_dict() for name, ema in self.emas.items()},
            "scaler": self.stepper.scaler.state_dict(), "metrics": self.last_metrics,
            "rng": dist.gather(rng), "world_size": dist.world_size(),
        }  # fmt: skip

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on exactly where :meth:`state_dict` was taken."""
        if state["world_size"] != dist.world_size():
            raise ValueError(
                f"this run was started on {state['world_size']} processes, got {dist.world_size()}: "
                "resume on as many, or start a new experiment"
            )
        for name, network in self.task.networks.items():
            network.load_state_dict(state["networks"][name])
            self.optimizers[name].load_state_dict(state["optimizers"][name])
        for name, ema in self.emas.items():
            ema.load_state_dict(state["emas"][name])
        self.stepper.scaler.load_state_dict(state["scaler"])
        self.step, self.epoch, self.position = state["step"], state["epoch"], state["position"]
        self.bad_steps, self.last_metrics = state["bad_steps"], state["metrics"]
        rng = state["rng"][dist.rank()]
        torch.set_rng_state(rng["cpu"])
        if rng["cuda"] is not None:
            torch.cuda.set_rng_state(rng["cuda"])

    def save_checkpoint(self) -> None:
        """Write ``checkpoints/step-N.pt`` (the main rank), then delete the oldest ones."""
        state = self.state_dict()
        if dist.is_main():
            folder = self.exp_dir / "checkpoints"
            checkpoint.save(state, folder / f"step-{self.step}.pt")
            checkpoint.keep_newest(folder, ".pt", self.config.keep)
        dist.barrier()

    def resume(self) -> bool:
        """Load the newest whole checkpoint, if there is one; a damaged one is named and the one before it is taken.

        Raises:
            ValueError: All are damaged.
        """
        folder = self.exp_dir / "checkpoints"
        paths = [path for _, path in reversed(checkpoint.steps(folder, ".pt"))]
        for path in paths:
            try:
                state = checkpoint.load(path)
            except ValueError as error:
                log.warn(str(error))
                continue
            self.load_state_dict(state)
            return True
        if paths:
            names = ", ".join(path.name for path in paths)
            raise ValueError(
                f"{folder}: all checkpoints are damaged: {names}; restore one from a copy, or delete the folder to start over"
            )
        return False

    def _save_weights(self) -> None:
        """Keep the weights that the final model may be averaged from: the last ones, or the best by a metric."""
        if not dist.is_main():
            return
        for name in self.task.networks:
            weights = self.emas[name].average if name in self.emas else self.task.networks[name].state_dict()
            folder = self.exp_dir / "weights" / name
            meta = {"step": self.step, "epoch": self.epoch, "metrics": self.last_metrics}
            checkpoint.save_weights(weights, folder / f"step-{self.step}.safetensors", meta)
            if self.config.average_by == "last":
                checkpoint.keep_newest(folder, ".safetensors", self.config.average)
            else:
                self._keep_best(folder)

    def _keep_best(self, folder: Path) -> None:
        paths = [path for _, path in checkpoint.steps(folder, ".safetensors")]
        key = self.config.average_by
        if key not in self.last_metrics:
            return  # an error follows, and the weights are kept
        metric = {path: checkpoint.read_metadata(path)["metrics"][key] for path in paths}
        for path in sorted(paths, key=metric.__getitem__)[self.config.average :]:
            path.unlink()
