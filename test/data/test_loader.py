from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import tiny
import torch

from speechkit.data.dataset import AsrDataset
from speechkit.data.loader import BatchLoader
from speechkit.data.sampler import BucketSampler, SamplerConfig


def make(folder, num_workers=0):
    cuts = tiny.write_split(folder, "train", 11, seed=1)
    sampler = BucketSampler(cuts, SamplerConfig(batch_duration=4.0), shuffle=True, seed=3)
    return BatchLoader(sampler, AsrDataset(lambda text: [1], tiny.RATE), num_workers)


def test_an_epoch_can_be_asked_for_again_and_from_any_batch_on(tmp_path):
    loader = make(tmp_path)
    ids = [batch.ids for batch in loader.epoch(2)]
    assert len(ids) == len(loader) > 2
    assert [batch.ids for batch in loader.epoch(2, 1)] == ids[1:]
    assert [batch.ids for batch in loader.epoch(3)] != ids
    assert sorted(i for batch in ids for i in batch) == sorted(f"train-{i}" for i in range(11))


def test_reading_processes_change_nothing(tmp_path):
    alone, helped = make(tmp_path), make(tmp_path, num_workers=2)
    for a, b in zip(alone.epoch(1), helped.epoch(1), strict=True):
        assert a.ids == b.ids and torch.equal(a.inputs, b.inputs)
    assert [b.ids for b in helped.epoch(1, 1)] == [b.ids for b in alone.epoch(1, 1)]


def test_starting_to_read_draws_no_random_number_of_the_training(tmp_path):
    loader = make(tmp_path)
    torch.manual_seed(5)
    state = torch.get_rng_state()
    next(loader.epoch(0))
    assert torch.equal(state, torch.get_rng_state())


SIGNALLED = """
import signal, sys
from pathlib import Path
sys.path[:0] = sys.argv[1:3]
from test_loader import make
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda number, frame: print("told", flush=True))
loader = make(Path(sys.argv[3]), num_workers=2)
next(loader.epoch(0))
print("ready", flush=True)
sys.stdin.read()  # until the signal was sent
print(sum(len(batch) for epoch in (1, 2) for batch in loader.epoch(epoch)), flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_process_group_is_for_the_main_process_alone(tmp_path, number):
    here = Path(__file__).parent
    command = [sys.executable, "-c", SIGNALLED, str(here), str(here.parent), str(tmp_path)]
    env = {**os.environ, "PYTHONPATH": str(here.parents[1])}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(command, env=env, start_new_session=True, text=True, **pipes)
    assert process.stdout.readline() == "ready\n"
    os.killpg(process.pid, number)
    said, errors = process.communicate(timeout=30)
    assert (process.returncode, said.split()) == (0, ["told", "22"]), errors  # told once; then two epochs of 11
