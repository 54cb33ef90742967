from __future__ import annotations

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from toy import ToyBatches, ToyTask

from speechkit.config import validate
from speechkit.data.loader import BatchLoader
from speechkit.train import checkpoint
from speechkit.train.logger import Logger
from speechkit.train.stepper import StepReport
from speechkit.train.trainer import Trainer, pick_device
from speechkit.train.trainer_config import TrainerConfig
from speechkit.utils import dist

CPU = torch.device("cpu")


def run(exp_dir, task=None, stop_at=None, **changes):
    task = task or ToyTask()
    config = validate(TrainerConfig, {"max_epochs": 3, "optimizer": {"lr": 0.1}, **changes})
    trainer = Trainer(task, config, exp_dir, CPU, seed=3)
    if stop_at is not None:
        step = trainer._train_step

        def stopping(group, waited):
            step(group, waited)
            if trainer.step == stop_at:
                os.kill(os.getpid(), signal.SIGTERM)

        trainer._train_step = stopping
    exp_dir.mkdir(exist_ok=True)
    return trainer, trainer.run()


def rows(exp_dir, event):
    lines = (exp_dir / "train.jsonl").read_text().splitlines()
    return [row for row in map(json.loads, lines) if row["event"] == event]


def same(a, b):
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b


@pytest.mark.parametrize("stop_at", [1, 5, 7, 9, 15])  # inside an epoch, at its end, at the very end (9: of accumulate)
@pytest.mark.parametrize("changes", [{}, {"ema_decay": 0.9, "optimizer": {"name": "scaled_adam"}}, {"accumulate": 2}])
def test_a_stopped_and_resumed_run_equals_the_straight_one_bit_for_bit(tmp_path, stop_at, changes):
    stop_at = min(stop_at, 9) if changes.get("accumulate") else stop_at
    straight, _ = run(tmp_path / "straight", **changes)
    _, ended = run(tmp_path / "stopped", stop_at=stop_at, **changes)
    assert not ended
    resumed, ended = run(tmp_path / "stopped", **changes)
    assert ended and len(rows(tmp_path / "stopped", "end")) == 1
    assert same(straight.state_dict(), resumed.state_dict())
    for event in ("step", "valid"):
        losses = [[row["loss"] for row in rows(tmp_path / name, event)] for name in ("straight", "stopped")]
        assert losses[0] == losses[1] and losses[0]
    assert same(*map(weights_of, (tmp_path / "straight", tmp_path / "stopped")))


def weights_of(exp_dir):
    return {step: checkpoint.load_weights(path) for step, path in checkpoint.steps(exp_dir / "weights" / "model", ".safetensors")}


def test_it_learns(tmp_path):
    task = ToyTask()
    task.networks["model"] = torch.nn.Linear(4, 1)
    _, ended = run(tmp_path, task=task, max_epochs=20)
    losses = [row["loss"] for row in rows(tmp_path, "valid")]
    assert ended and losses[-1] < 0.05 * losses[0]


def test_the_task_hears_before_each_step_how_many_were_made_also_after_resuming(tmp_path):
    task = ToyTask()
    run(tmp_path, task, stop_at=2)
    assert task.heard == [0, 1]
    task = ToyTask()
    run(tmp_path, task, max_epochs=1)
    assert task.heard == [2, 3, 4]


def test_without_a_terminal_there_is_a_line_at_the_beginning_one_per_validation_and_one_at_the_end(tmp_path, capsys):
    run(tmp_path)
    lines = capsys.readouterr().err.splitlines()
    valids = [line.split(": valid")[0] for line in lines if ": valid" in line]
    assert valids == ["epoch 1 step 5", "epoch 2 step 10", "epoch 3 step 15"]
    assert lines[0].startswith("epoch 1 step 1/15 loss ") and "eta" not in lines[0]
    assert lines[-1] == "ended at step 15, epoch 3"


def test_a_run_that_has_ended_does_nothing_when_started_again(tmp_path):
    first, _ = run(tmp_path)
    again, ended = run(tmp_path)
    assert ended and again.step == first.step and len(rows(tmp_path, "step")) == first.step


def test_a_damaged_newest_checkpoint_is_named_and_the_one_before_is_used(tmp_path, capsys):
    run(tmp_path, max_epochs=3)
    newest = checkpoint.steps(tmp_path / "checkpoints", ".pt")[-1][1]
    newest.write_bytes(newest.read_bytes()[:100])
    resumed, _ = run(tmp_path, max_epochs=3)
    assert str(newest) in capsys.readouterr().err
    assert resumed.step == 15 and len(rows(tmp_path, "step")) == 20  # the third epoch was done again


def test_if_all_checkpoints_are_damaged_training_does_not_silently_start_over(tmp_path):
    run(tmp_path)
    for _, path in checkpoint.steps(tmp_path / "checkpoints", ".pt"):
        path.write_bytes(b"half")
    with pytest.raises(ValueError, match=r"all checkpoints are damaged: step-15.pt, step-10.pt; .*to start over"):
        run(tmp_path)


def test_at_least_two_checkpoints_are_kept(tmp_path):
    run(tmp_path)
    assert [step for step, _ in checkpoint.steps(tmp_path / "checkpoints", ".pt")] == [10, 15]
    with pytest.raises(ValueError, match="keep: expected at least 2, got 1"):
        validate(TrainerConfig, {"keep": 1})


def test_a_step_that_is_not_finite_changes_nothing(tmp_path):
    task = ToyTask(ToyBatches(count=1, poison=0))
    before = {name: tensor.clone() for name, tensor in task.networks["model"].state_dict().items()}
    trainer, ended = run(tmp_path, task=task, max_epochs=1, ema_decay=0.9)
    assert ended and [row["step"] for row in rows(tmp_path, "skip")] == [1]
    assert same(before, dict(task.networks["model"].state_dict())) and same(before, trainer.emas["model"].average)


def test_after_a_step_that_is_not_finite_training_goes_on_without_it(tmp_path):
    task = ToyTask(ToyBatches(poison=3))
    trainer, ended = run(tmp_path, task=task, max_epochs=1, ema_decay=0.9)
    state = task.networks["model"].state_dict()
    assert ended and state["1.num_batches_tracked"] == 4  # of 5 batches
    assert all(tensor.isfinite().all() for tensor in [*state.values(), *trainer.emas["model"].average.values()])


def test_too_many_such_steps_end_the_run_with_an_error_and_a_checkpoint(tmp_path):
    with pytest.raises(ValueError, match=r"2 steps in a row .*cut-0-1.*lower train.optimizer.lr"):
        run(tmp_path, task=ToyTask(ToyBatches(count=1, poison=0)), max_bad_steps=2)
    assert checkpoint.steps(tmp_path / "checkpoints", ".pt")


def test_averaging_by_a_metric_keeps_the_best(tmp_path):
    run(tmp_path, max_epochs=6, average=2, average_by="loss")
    valid = {row["step"]: row["loss"] for row in rows(tmp_path, "valid")}
    kept = {step for step, _ in checkpoint.steps(tmp_path / "weights" / "model", ".safetensors")}
    assert kept == set(sorted(valid, key=valid.get)[:2])


def test_a_misspelled_metric_fails_before_the_first_step_where_the_task_names_its_metrics(tmp_path):
    task = ToyTask()
    task.metrics = ("loss",)
    with pytest.raises(ValueError, match="train.average_by: expected last or one of loss, got 'los'"):
        run(tmp_path, task=task, average_by="los")
    assert not (tmp_path / "train.jsonl").exists()


def test_a_misspelled_metric_loses_neither_checkpoint_nor_weights(tmp_path):
    with pytest.raises(ValueError, match="train.average_by: expected last or one of loss, got 'los'"):
        run(tmp_path, average_by="los", checkpoint_every=2)
    assert [step for step, _ in checkpoint.steps(tmp_path / "checkpoints", ".pt")] == list(weights_of(tmp_path)) == [5]


def test_max_steps_ends_inside_an_epoch_and_still_validates(tmp_path):
    trainer, ended = run(tmp_path, max_steps=7)
    assert ended and trainer.step == 7 and rows(tmp_path, "valid")[-1]["step"] == 7


def test_a_run_stopped_at_its_last_step_by_max_steps_is_completed_by_the_next(tmp_path):
    assert not run(tmp_path, max_steps=7, stop_at=7)[1] and [row["step"] for row in rows(tmp_path, "valid")] == [5]
    trainer, ended = run(tmp_path, max_steps=7)
    assert ended and trainer.step == 7 and [row["step"] for row in rows(tmp_path, "valid")] == [5, 7]
    assert list(weights_of(tmp_path)) == [5, 7]


def test_a_signal_during_the_last_validation_comes_too_late(tmp_path):
    task = ToyTask()
    task.validate = lambda: os.kill(os.getpid(), signal.SIGTERM) or {"loss": 1.0}
    _, ended = run(tmp_path, task=task, max_epochs=1)
    assert ended and rows(tmp_path, "end") and list(weights_of(tmp_path)) == [5]


class Rows(torch.utils.data.Dataset):
    def __getitem__(self, place):
        epoch, index = place
        return next(itertools.islice(ToyBatches().epoch(epoch, 0), index, None))


class Places(torch.utils.data.Sampler):
    def __len__(self):
        return 5

    def load_state_dict(self, state):
        self.state = state

    def __iter__(self):
        return ((self.state["epoch"], i) for i in range(self.state["batch"], 5))


@pytest.mark.parametrize("stop_at", [3, 5, 15])
def test_resuming_is_as_exact_with_reading_processes(tmp_path, stop_at):
    straight, _ = run(tmp_path / "straight")
    loader = BatchLoader(Places(), Rows(), num_workers=2)
    _, ended = run(tmp_path / "stopped", ToyTask(loader), stop_at=stop_at)
    assert not ended
    resumed, ended = run(tmp_path / "stopped", ToyTask(loader))
    del loader.loader  # ends its processes now; left to the garbage collector, they disturb those of the next test
    assert ended and same(straight.state_dict(), resumed.state_dict())
    assert same(*map(weights_of, (tmp_path / "straight", tmp_path / "stopped")))


def test_a_second_ctrl_c_does_not_wait(tmp_path):
    trainer, _ = run(tmp_path)
    trainer.stop_signal = signal.SIGINT
    with pytest.raises(KeyboardInterrupt):
        trainer._on_signal(signal.SIGINT, None)


def test_no_gpu_is_an_error_only_if_asked_for(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert pick_device("auto") == CPU
    with pytest.raises(ValueError, match="train.device=cpu"):
        pick_device("cuda")


@pytest.mark.parametrize(("device", "backend"), [("cpu", "gloo"), ("cuda", "nccl")])
def test_ranks_talk_over_what_they_train_on(monkeypatch, device, backend):
    chosen = []
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "set_device", lambda index: None)
    monkeypatch.setattr(torch.distributed, "init_process_group", lambda backend, **options: chosen.append(backend))
    dist.init_from_env(torch.device(device))
    assert chosen == [backend]


def test_an_overflow_in_half_precision_is_no_skipped_step_of_the_report(tmp_path):
    trainer, _ = run(tmp_path, max_epochs=1)
    trainer.stepper.scaler = torch.amp.GradScaler("cpu", enabled=True, init_scale=4.0)
    trainer.logger = Logger(tmp_path, 5)
    for loss in (1.0, float("nan")):
        trainer._check_finite(StepReport(losses={"square": loss}, skipped="the gradient norm of model is inf", bad_ids=["a"]))
    trainer.logger.close()
    [overflow], [skip] = rows(tmp_path, "overflow"), rows(tmp_path, "skip")
    assert overflow["scale"] == 4.0 and "cuts" not in overflow and skip["cuts"] == ["a"]


FLUSHED = """
import torch
from speechkit.train.trainer import prepare_torch
from speechkit.train.trainer_config import TrainerConfig
prepare_torch(TrainerConfig(num_threads=2))
tiny = torch.full((1_000_000,), 1e-30) * 1e-10  # enough for a pool of threads
print(torch.get_num_threads(), tiny.count_nonzero().item())
"""


def test_all_threads_flush_denormals_when_they_are_prepared_first():
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", FLUSHED], env=env, capture_output=True, text=True)
    assert done.stdout.split() == ["2", "0"], done.stderr


SCRIPT = """
import json, os, signal, sys, torch
from pathlib import Path
from speechkit.config import validate
from speechkit.train.trainer import Trainer
from speechkit.train.trainer_config import TrainerConfig
from speechkit.utils import dist
sys.path.insert(0, sys.argv[1])
from toy import ToyBatches, ToyTask
options = json.loads(sys.argv[3])
dist.init_from_env()
torch.set_num_threads(1)
data = ToyBatches(count=4, rank=dist.rank(), world=dist.world_size(), poison=options.get("poison"))
task = ToyTask(data, dropout=options.get("dropout", 0.0))
task.networks["model"][1] = torch.nn.Identity()
if options.get("note") == dist.rank():
    notes = [{"cuts": ["short"], "reason": "too short"}]
    task.take_notes = lambda: [notes.pop()] if notes else []
accumulate = 2 // dist.world_size()
config = validate(TrainerConfig, {"max_epochs": 2, "accumulate": accumulate, "optimizer": {"lr": 0.1}, "validate_every": 0})
exp = Path(sys.argv[2]); exp.mkdir(exist_ok=True)
trainer = Trainer(task, config, exp, torch.device("cpu"))
step = trainer._train_step
def stopping(group, waited):
    if trainer.step + 1 == options.get("stop_at") and dist.rank() == 1:
        os.kill(os.getpid(), signal.SIGTERM)
    step(group, waited)
trainer._train_step = stopping
print("ended" if trainer.run() else "stopped")
"""


def run_ranks(exp_dir, world=2, **options):
    """Train in ``world`` processes; returns what each said at its end."""
    command = [sys.executable, "-c", SCRIPT, str(Path(__file__).parent), str(exp_dir), json.dumps(options)]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    env["WORLD_SIZE"] = str(world)
    pipes = {"stdout": subprocess.PIPE, "text": True}
    ranks = [subprocess.Popen(command, env={**env, "RANK": str(rank)}, **pipes) for rank in range(world)]
    try:
        said = [rank.communicate(timeout=60)[0].strip() for rank in ranks]
    finally:
        for rank in ranks:
            rank.kill()  # one that waits for the others for ever
    assert [rank.returncode for rank in ranks] == [0] * world
    return said


def newest(exp_dir):
    return checkpoint.load(checkpoint.steps(exp_dir / "checkpoints", ".pt")[-1][1])


def test_two_ranks_equal_one(tmp_path):
    run_ranks(tmp_path / "one", world=1)
    run_ranks(tmp_path / "two")
    a, b = (newest(tmp_path / name)["networks"]["model"] for name in ("one", "two"))
    for name in a:
        torch.testing.assert_close(a[name], b[name], rtol=1e-5, atol=1e-6)
    one, two = (rows(tmp_path / name, "step") for name in ("one", "two"))
    for a, b in zip(one, two, strict=True):
        assert a["loss"] == pytest.approx(b["loss"]) and a["losses"] == pytest.approx(b["losses"])
        assert [a[key] for key in SUMS] == [b[key] for key in SUMS]


SUMS = ("utterances", "audio_seconds", "padding")


def test_what_is_wrong_on_another_rank_is_logged_by_its_own_name(tmp_path):
    on_rank_1 = torch.randperm(4, generator=torch.Generator().manual_seed(0))[1].item()
    run_ranks(tmp_path, poison=on_rank_1, note=1)
    assert {tuple(row["cuts"]) for row in rows(tmp_path, "skip")} == {(f"cut-{on_rank_1}-1",)}
    assert [row["cuts"] for row in rows(tmp_path, "note")] == [["short"]]


def test_a_signal_to_one_rank_stops_all_and_resuming_is_exact_on_each(tmp_path):
    run_ranks(tmp_path / "straight", dropout=0.5)
    assert run_ranks(tmp_path / "stopped", dropout=0.5, stop_at=3) == ["stopped", "stopped"]
    assert newest(tmp_path / "stopped")["step"] == 3 and rows(tmp_path / "stopped", "stop")[0]["signal"] == "SIGTERM"
    assert run_ranks(tmp_path / "stopped", dropout=0.5) == ["ended", "ended"]
    assert same(*(newest(tmp_path / name) for name in ("straight", "stopped")))
