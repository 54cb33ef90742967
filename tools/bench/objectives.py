"""What a training step costs with each objective on one encoder, in turn.

    cd egs/fsdd/asr && python ../../../tools/bench/objectives.py conf/connected.yaml

Each objective is a process of its own, with one thread unless told otherwise. They train in turn, never at the same time,
some steps each round on the same utterances, so that a slow minute of the machine hits them all. The figure is the median
of the rounds, as seconds per epoch (data included, validation not) and against CTC; memory is the most that the process
held, of which the second figure is what the training added to the imports.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from worker import Worker

LAYERS = Path(__file__).parents[2] / "egs/conf/asr/objectives"


def main() -> int:
    """Parse the command line; run as parent or as one of its workers."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("config", type=Path, help="of a recipe, whose folder is the working directory")
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    parser.add_argument("--objectives", nargs="+", default=sorted(path.stem for path in LAYERS.glob("*.yaml")))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20, help="of each round")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    args = parser.parse_args()
    return work(args) if args.worker else compare(args)


def compare(args: argparse.Namespace) -> int:
    """Let all train in turn and print the table."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ[name] = str(args.threads)
    facts = [str(args.config), *args.overrides, "--steps", str(args.steps), "--threads", str(args.threads)]
    workers = {name: Worker([sys.executable, __file__, *facts, "--worker", name]) for name in args.objectives}
    rounds = {name: [] for name in workers}
    for count in range(args.rounds + 1):
        for name, worker in workers.items():
            answer = worker.ask("go")
            rounds[name] += [answer] * (count > 0)  # the first one compiles and warms up
    print("| objective | s per epoch | / ctc | peak memory GiB | of training |\n| :-- | --: | --: | --: | --: |")
    seconds = {name: [each["seconds"] for each in found] for name, found in rounds.items()}
    for name, found in rounds.items():
        pairs = zip(seconds[name], seconds.get("ctc", seconds[name]))
        ratio = statistics.median(one / other for one, other in pairs)
        last = found[-1]
        epoch = statistics.median(seconds[name]) / args.steps * last["steps_per_epoch"]
        print(f"| {name} | {epoch:.1f} | {ratio:.2f} | {last['memory']:.2f} | {last['memory'] - last['before']:.2f} |")
    return 0


def work(args: argparse.Namespace) -> int:
    """Train as many steps as asked for, per line of the input; what the task says goes to the errors."""
    answers, sys.stdout = sys.stdout, sys.stderr
    import torch

    from speechkit.tasks.base import load_config
    from speechkit.train.stepper import Stepper
    from speechkit.train.trainer import prepare_torch
    from speechkit.utils import machine

    own = Path("conf/objectives", f"{args.worker}.yaml")
    layer = own if own.exists() else LAYERS / f"{args.worker}.yaml"
    config = load_config(args.config, [str(layer), *args.overrides, f"train.num_threads={args.threads}"])
    prepare_torch(config.train)
    before = machine.peak_memory()
    with tempfile.TemporaryDirectory() as folder:
        config.component.prepare(config, Path(folder), resuming=False)
        task = config.component.restore(config, Path(folder), torch.device("cpu"))
    task.begin()
    optimizers = {name: config.train.optimizer.build(network=network) for name, network in task.networks.items()}
    stepper = Stepper(task, optimizers, config.train.max_grad_norm, config.train.precision, torch.device("cpu"))
    batches = task.batches()
    stream, done = endless(batches), itertools.count()
    for _ in sys.stdin:
        started = time.perf_counter()
        for batch in itertools.islice(stream, args.steps):
            task.at_step(next(done))
            stepper.step([batch])
        facts = {"seconds": time.perf_counter() - started, "steps_per_epoch": len(batches)}
        facts |= {"memory": machine.peak_memory(), "before": before}
        print(json.dumps(facts), file=answers, flush=True)
    return 0


def endless(batches) -> Iterator:
    """The batches of all epochs."""
    for epoch in itertools.count():
        yield from batches.epoch(epoch, 0)


if __name__ == "__main__":
    sys.exit(main())
