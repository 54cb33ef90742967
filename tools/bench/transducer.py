"""The transducer's loss, from projected encodings and predictions to all gradients, against every peer that imports.

    python tools/bench/transducer.py --peer-python /path/to/venv/with/fast_rnnt/bin/python

Cases:

* full: tanh joiner, linear layer to V logits, softmax, sum over all paths; forward and backward (``ragged``: utterances of
  60 to 100 % of the longest). Peers: fast_rnnt, k2, optimized_transducer, torchaudio, warp_rnnt (GPU), and plain torch,
  the anti-diagonal recursion on logits that are held whole.
* pruned: the loss of the simple joiner on given logits of encoder and predictor, smoothed, windows, and the joiner in these
  windows. Peers: fast_rnnt, k2.
* lattice: forward-backward alone, on given log-probabilities. Ours in each implementation, fast_rnnt, k2.
* frames: ours at growing T, which should cost seconds in proportion.

Each library lives in a process of its own, flushes denormal numbers and gets the same random problem. The parent lets them
compute in turn, never at the same time; the figure to read is the median of the ratios of neighbouring steps. Steps during
which other processes took the processors are repeated. Memory is the peak of a process in its first step of full size,
above what it had before; sums of losses and norms of gradients are printed, since only equal work is worth comparing.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import transducer_losses
from conformer_step import busy_seconds, is_quiet, own_seconds

ROOT = Path(__file__).resolve().parents[2]
LIBRARIES = {
    "full": ["ours", "torch", "fast_rnnt", "k2", "optimized_transducer", "torchaudio", "warp_rnnt"],
    "ragged": ["ours", "torch", "fast_rnnt", "k2", "optimized_transducer", "torchaudio", "warp_rnnt"],
    "pruned": ["ours", "fast_rnnt", "k2"],
    "lattice": ["ours", "ours_torch", "ours_triton", "fast_rnnt", "k2"],
}
OURS = ("ours", "ours_torch", "ours_triton", "torch")


def main() -> int:
    """Parse the command line; run as parent or as one of its workers."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--peer-python", default=sys.executable, help="interpreter that can import the peers")
    parser.add_argument("--cases", nargs="+", default=[*LIBRARIES, "frames"], choices=[*LIBRARIES, "frames"])
    parser.add_argument("--steps", type=int, default=7, help="measured steps of each library and case")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    for name, value in {"batch": 8, "frames": 300, "tokens": 40, "vocab": 500, "dim": 512, "prune-range": 5}.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--growth", type=int, nargs="+", default=[100, 300, 1000, 3000], help="T of the case frames")
    parser.add_argument("--json", type=Path, help="also write the result here")
    parser.add_argument("--worker", nargs=2, metavar=("LIBRARY", "CASE"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    return work(*args.worker, args) if args.worker else compare(args)


# --- the parent ----------------------------------------------------------------------------------------------------


class Worker:
    """A process that makes one step per request."""

    def __init__(self, library: str, case: str, args: argparse.Namespace) -> None:
        names = "threads", "device", "batch", "frames", "tokens", "vocab", "dim", "prune_range"
        options = [text for name in names for text in (f"--{name.replace('_', '-')}", str(getattr(args, name)))]
        python = sys.executable if library in OURS else args.peer_python
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": str(args.threads)}
        self.process = subprocess.Popen(
            [python, __file__, "--worker", library, case, *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
        )  # fmt: skip
        self.start = self.answer()

    def answer(self) -> dict:
        """Wait for a line; a worker that died says why."""
        line = self.process.stdout.readline()
        if not line:
            raise ChildProcessError((self.process.stderr.read().strip().splitlines() or ["died"])[-1])
        return json.loads(line)

    def step(self) -> dict:
        """Let it compute once."""
        self.process.stdin.write("step\n")
        self.process.stdin.flush()
        return self.answer()

    def stop(self) -> None:
        """Let it go."""
        self.process.stdin.close()
        self.process.wait()


@contextlib.contextmanager
def workers(case: str, libraries: list[str], args: argparse.Namespace) -> Iterator[dict[str, Worker]]:
    """A process for each library that can be used, after its first step."""
    running: dict[str, Worker] = {}
    try:
        for library in libraries:
            try:
                running[library] = Worker(library, case, args)
            except ChildProcessError as error:
                if library == "ours":
                    raise
                print(f"  {library}: left out: {error}")
        yield running
    finally:
        for worker in running.values():
            worker.stop()


def compare(args: argparse.Namespace) -> int:
    """Step all libraries in turn for every case and print the tables."""
    result = {"arguments": {name: str(value) for name, value in vars(args).items()}, "cases": {}}
    for case in args.cases:
        if case == "frames":
            result["cases"][case] = grow(args)
            continue
        print(f"{case}: B {args.batch}, T {args.frames}, U {args.tokens}, V {args.vocab}, J {args.dim}, {args.device}, "
              f"{args.threads} threads", flush=True)  # fmt: skip
        result["cases"][case] = row = run_case(case, LIBRARIES[case], args)
        print(describe(row), flush=True)
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0


def run_case(case: str, libraries: list[str], args: argparse.Namespace) -> dict:
    """Medians over paired steps."""
    with workers(case, libraries, args) as running:
        rows: list[dict] = []
        quiet: list[dict] = []
        while len(quiet) < args.steps and len(rows) < 3 * args.steps:
            rows.append({library: worker.step() for library, worker in running.items()})
            quiet = [row for row in rows if args.device != "cpu" or is_quiet(row, args.threads)]
        used = quiet or rows
        return {
            "libraries": {
                library: {
                    "seconds": statistics.median(row[library]["seconds"] for row in used),
                    "ratio": statistics.median(row[library]["seconds"] / row["ours"]["seconds"] for row in used),
                    "memory_mb": worker.start["memory_mb"],
                    "loss": worker.start["loss"],
                    "norm": worker.start["norm"],
                }
                for library, worker in running.items()
            },
            "pairs": len(used),
            "disturbed_pairs": len(rows) - len(quiet),
        }


def grow(args: argparse.Namespace) -> dict:
    """Our seconds at growing numbers of frames."""
    table = {}
    for case in ("full", "pruned"):
        table[case] = {}
        for frames in args.growth:
            row = run_case(case, ["ours"], argparse.Namespace(**{**vars(args), "frames": frames}))
            table[case][frames] = ours = row["libraries"]["ours"]
            print(
                f"{case}, T {frames:5}: {ours['seconds']:7.3f} s, {1e6 * ours['seconds'] / frames:6.0f} us per frame, "
                f"{ours['memory_mb']:6.0f} MB above the start" + ("" if row["pairs"] >= args.steps else "  (disturbed)"),
                flush=True,
            )
    return table


def describe(row: dict) -> str:
    """One case as text."""
    lines = [f"  {row['pairs']} pairs, {row['disturbed_pairs']} disturbed"]
    for library, each in row["libraries"].items():
        lines.append(
            f"  {library:21} {each['seconds']:8.4f} s  {each['ratio']:6.2f} of ours  {each['memory_mb']:7.0f} MB above the start"
            f"  loss {each['loss']:.3f}  gradient {each['norm']:.5g}"
        )
    return "\n".join(lines)


# --- the workers ---------------------------------------------------------------------------------------------------


def work(library: str, case: str, args: argparse.Namespace) -> int:
    """Say what the first step gave and took, then answer requests; one JSON line each."""
    import torch

    torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)
    answers, sys.stdout = sys.stdout, sys.stderr  # libraries may print what they like
    if library not in OURS and find_spec(library) is None:
        raise ModuleNotFoundError(f"not installed for {sys.executable}")
    lattice = {"ours_torch": "torch", "ours_triton": "triton"}.get(library, "auto")
    name = "ours" if library in OURS and library != "torch" else library
    loss_of = getattr(transducer_losses, f"{name}_{'full' if case == 'ragged' else case}")

    def step_on(problem: dict) -> Callable[[], tuple[float, float]]:
        inputs = [each for each in problem.values() if isinstance(each, torch.Tensor) and each.requires_grad]

        def step() -> tuple[float, float]:
            losses = loss_of(problem | {"kernel": lattice})
            grads = torch.autograd.grad(losses.sum(), inputs, allow_unused=True) if losses.requires_grad else ()
            norm = sum(grad.double().pow(2).sum().item() for grad in grads if grad is not None)
            return losses.sum().item(), norm**0.5

        return step

    warm = argparse.Namespace(**{**vars(args), "batch": 2, "frames": 9, "tokens": 3})
    step_on(make_problem(warm, case))()  # loads and compiles what the library needs
    step = step_on(make_problem(args, case))
    memory = Memory(args.device)
    loss, norm = step()
    print(json.dumps({"loss": loss, "norm": norm, "memory_mb": memory.peak() / 1e6}), file=answers, flush=True)
    for _ in sys.stdin:
        before, busy_before, start = own_seconds(), busy_seconds(), time.perf_counter()
        step()
        seconds, own, busy = time.perf_counter() - start, own_seconds() - before, busy_seconds() - busy_before
        answer = {"seconds": seconds, "foreign_cores": max(busy - own, 0) / seconds}
        print(json.dumps(answer), file=answers, flush=True)
    return 0


class Memory:
    """The peak of memory from now on: resident memory of the process, or what torch has allocated on a GPU."""

    def __init__(self, device: str) -> None:
        self.cuda = device == "cuda"
        if self.cuda:
            import torch

            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
        else:
            Path("/proc/self/clear_refs").write_text("5")  # Linux: the high-water mark becomes what is resident now
        self.start = self._peak()

    def peak(self) -> int:
        """Bytes above the start."""
        return self._peak() - self.start

    def _peak(self) -> int:
        if self.cuda:
            import torch

            return torch.cuda.max_memory_allocated()
        status = Path("/proc/self/status").read_text()
        return 1024 * int(status.split("VmHWM:")[1].split()[0])


def make_problem(args: argparse.Namespace, case: str) -> dict:
    """The same random problem in every process; everything that wants a gradient is a tensor that requires one."""
    import torch

    torch.manual_seed(0)
    batch, frames, tokens, vocab, dim = args.batch, args.frames, args.tokens, args.vocab, args.dim
    spread = torch.linspace(1.0, 0.6, batch) if case == "ragged" else torch.ones(batch)
    out = torch.nn.Linear(dim, vocab)
    problem = {
        "encoded": torch.randn(batch, frames, dim),
        "predicted": torch.randn(batch, tokens + 1, dim),
        "weight": out.weight.detach(),
        "bias": out.bias.detach(),
        "am": torch.randn(batch, frames, vocab),
        "lm": torch.randn(batch, tokens + 1, vocab),
    }
    if case == "lattice":
        log_probs = torch.randn(batch, frames, tokens + 1, 2) - 6
        problem = {"blank": log_probs[..., 0].contiguous(), "label": log_probs[:, :, :-1, 1].contiguous()}
    wanted = {"lattice": (), "pruned": tuple(problem)}.get(case, ("encoded", "predicted", "weight", "bias"))
    problem = {name: each.to(args.device) for name, each in problem.items() if case == "lattice" or name in wanted}
    for name in wanted:
        problem[name].requires_grad_()
    lens = {
        "tokens": torch.randint(1, vocab, (batch, tokens)),
        "frame_lens": (spread * frames).long(),
        "token_lens": (spread * tokens).long(),
    }
    return problem | {name: each.to(args.device) for name, each in lens.items()} | {"prune_range": args.prune_range}


if __name__ == "__main__":
    sys.exit(main())
