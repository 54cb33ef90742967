"""Seconds and peak memory of the log-sum over all paths of a graph, and its gradient: our kernels, and k2 where there is one.

Every kernel and graph runs in a process of its own, so that its peak memory is its own; of two kernels on one graph the rounds
take turns. ``--k2-python`` is an interpreter that can import k2 and torch; its intersection is exact with a wide beam.

    python tools/bench/denominator.py --threads 2
    python tools/bench/denominator.py --graphs growth --kernels numba triton --device cuda
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
BATCH = 8
GRAPHS = {
    # name: (kind, states or n-grams, arcs per state, classes, frames)
    "dense-40": ("dense", 40, 40, 40, 300),
    "dense-200": ("dense", 200, 200, 200, 300),
    "sparse-6k": ("sparse", 2000, 3, 100, 300),
    "sparse-64k": ("sparse", 1600, 40, 200, 300),
    "phones-10k": ("phones", 10_000, 0, 50, 200),
    "phones-100k": ("phones", 100_000, 0, 50, 200),
    "phones-300k": ("phones", 300_000, 0, 50, 200),
    "phones-1M": ("phones", 1_000_000, 0, 70, 200),
    "phones-3M": ("phones", 3_000_000, 0, 100, 200),
}
SETS = {"usual": [*GRAPHS][:5] + ["phones-300k"], "growth": [name for name in GRAPHS if name.startswith("phones")]}
K2_BEAM = 1e4  # nats; nothing is cut


def main() -> int:
    """Measure, print a row per graph and kernel."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--graphs", nargs="+", default=["usual"], choices=[*GRAPHS, *SETS], help="graphs, or a set of them")
    parser.add_argument("--kernels", nargs="+", default=["numba", "torch", "dense"], help="of ours; dense where it can be")
    parser.add_argument("--k2-python", type=Path, help="an interpreter that has k2")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float64", choices=["float32", "float64"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        return work(args)
    names = [each for name in args.graphs for each in SETS.get(name, [name])]
    print(f"{BATCH} utterances, {args.dtype}, {args.device}, {args.threads} threads, medians of {args.rounds} rounds")
    for name in dict.fromkeys(names):
        for line in compare(args, name):
            print(line, flush=True)
    return 0


def compare(args: argparse.Namespace, name: str) -> list[str]:
    """One graph: all kernels in turn, round by round."""
    kernels = [kernel for kernel in args.kernels if kernel != "dense" or GRAPHS[name][0] == "dense"]
    workers = {kernel: start(args, sys.executable, f"{name} {kernel}") for kernel in kernels}
    if args.k2_python and GRAPHS[name][0] != "phones":
        workers["k2"] = start(args, str(args.k2_python), f"{name} k2")
    facts = {kernel: answer(worker) for kernel, worker in workers.items()}
    rounds: dict[str, list[dict]] = {kernel: [] for kernel in workers}
    for _ in range(args.rounds):
        for kernel, worker in workers.items():
            worker.stdin.write("step\n")
            worker.stdin.flush()
            rounds[kernel].append(answer(worker))
    lines = []
    for kernel, worker in workers.items():
        worker.stdin.close()
        worker.wait()
        seconds = statistics.median(each["seconds"] for each in rounds[kernel])
        last, fact = rounds[kernel][-1], facts[kernel]
        lines.append(
            f"{name:12} {kernel:7} {fact['arcs']:>9,} arcs {fact['states']:>9,} states  {seconds:8.4f} s  "
            f"peak {last['peak_mb']:6.0f} MB, {last['peak_mb'] - fact['before_mb']:6.0f} above the start  "
            f"score {last['score']:.6f}  |gradient| {last['gradient']:.7f}"
        )
    return lines


def start(args: argparse.Namespace, python: str, case: str) -> subprocess.Popen:
    """A worker for one case."""
    options = {"--worker": case, "--device": args.device, "--dtype": args.dtype, "--threads": str(args.threads)}
    command = [python, __file__, *(word for option in options.items() for word in option)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(args.threads), "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def answer(worker: subprocess.Popen) -> dict:
    """The next line of a worker."""
    line = worker.stdout.readline()
    if not line:
        raise SystemExit(f"a worker ended: {' '.join(worker.args)}")
    return json.loads(line)


# --- the workers ---------------------------------------------------------------------------------------------------


def work(args: argparse.Namespace) -> int:
    """Build the graph, then answer each line with a step."""
    import torch

    torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)
    answers, sys.stdout = sys.stdout, sys.stderr  # libraries may print what they like
    name, kernel = args.worker.split()
    kind, size, degree, classes, num_frames = GRAPHS[name]
    if kind == "phones":
        arrays = phones(size, classes)
    else:
        arrays = {"dense": dense, "sparse": sparse}[kind](size, degree, classes)
    generator = torch.Generator().manual_seed(0)
    dtype = getattr(torch, args.dtype)
    scores = torch.randn(BATCH, num_frames, classes, generator=generator, dtype=torch.float64).log_softmax(-1)
    scores = scores.to(args.device, dtype).requires_grad_()
    lens = torch.full((BATCH,), num_frames, device=args.device)
    total = k2_total(arrays, scores) if kernel == "k2" else our_total(arrays, kernel)
    if args.device != "cpu":
        torch.cuda.reset_peak_memory_stats()
    before = peak_mb(args.device)
    step(total, scores, lens)  # compiles
    facts = {"arcs": len(arrays["weights"]), "states": len(arrays["final"]), "before_mb": before}
    print(json.dumps(facts), file=answers, flush=True)
    for _ in sys.stdin:
        print(json.dumps({**step(total, scores, lens), "peak_mb": peak_mb(args.device)}), file=answers, flush=True)
    return 0


def step(total: Callable, scores, lens) -> dict:
    """Score and gradient."""
    import torch

    begin = time.perf_counter()
    values = total(scores, lens)
    (gradient,) = torch.autograd.grad(values.sum(), scores)
    norm = gradient.norm().item()  # waits for the device
    return {"seconds": time.perf_counter() - begin, "score": values[0].item(), "gradient": norm}


def peak_mb(device: str) -> float:
    """Peak memory so far: of the process, or of the GPU's tensors."""
    import torch

    if device != "cpu":
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def our_total(arrays: dict, kernel: str) -> Callable:
    """One of our kernels."""
    from speechkit.graphs.forward_backward import TotalScore
    from speechkit.graphs.graph import Graph

    return TotalScore(Graph(**arrays, outputs=arrays["labels"]), kernel)


def k2_total(arrays: dict, scores) -> Callable:
    """k2's exact intersection; labels are one more than classes, and a last arc of label -1 ends a path."""
    import k2
    import torch

    num_states, final = len(arrays["final"]), np.flatnonzero(arrays["final"] > -np.inf)
    assert (arrays["initial"][1:] == -np.inf).all() and (arrays["final"][final] == 0).all()
    ends = [final, np.full(len(final), num_states), np.full(len(final), -1), np.zeros(len(final))]
    names = ("sources", "targets", "labels", "weights")
    sources, targets, labels, weights = (np.concatenate([arrays[n], e]) for n, e in zip(names, ends))
    labels[: -len(final)] += 1
    order = np.argsort(sources, kind="stable")
    rows = np.stack([sources, targets, labels, weights.astype(np.float32).view(np.int32)], axis=1)[order]
    graph = k2.Fsa(torch.from_numpy(rows.astype(np.int32)))
    graphs = k2.create_fsa_vec([graph]).to(scores.device)
    copies = k2.index_fsa(graphs, torch.zeros(BATCH, dtype=torch.int32, device=scores.device))

    def total(scores, lens):
        segments = torch.tensor([[b, 0, scores.shape[1]] for b in range(BATCH)], dtype=torch.int32)
        padded = torch.cat([scores.new_full((*scores.shape[:2], 1), -1e30), scores], dim=2).float()
        lattice = k2.intersect_dense(copies, k2.DenseFsaVec(padded, segments), K2_BEAM)
        return lattice.get_tot_scores(use_double_scores=True, log_semiring=True)

    return total


# --- graphs --------------------------------------------------------------------------------------------------------


def dense(size: int, degree: int, classes: int) -> dict:
    """A bigram between all symbols, each with a self loop beside, and a start."""
    random = np.random.default_rng(0)
    log_probs = np.log(random.dirichlet(np.ones(size), size + 1))
    sources, targets = (grid.ravel() for grid in np.meshgrid(np.arange(size + 1), np.arange(size), indexing="ij"))
    loops = np.arange(size)
    return {
        "sources": np.concatenate([sources, loops + 1]),
        "targets": np.concatenate([targets, loops]) + 1,
        "labels": np.concatenate([targets, loops]),
        "weights": np.concatenate([log_probs.ravel(), np.full(size, np.log(0.5))]),
        **ends(size + 1),
    }


def sparse(size: int, degree: int, classes: int) -> dict:
    """Arcs to any state with any label."""
    random = np.random.default_rng(0)
    return {
        "sources": np.repeat(np.arange(size), degree),
        "targets": random.integers(0, size, size * degree),
        "labels": random.integers(0, classes, size * degree),
        "weights": np.full(size * degree, -np.log(degree)),
        **ends(size),
    }


def ends(size: int) -> dict:
    """Paths begin in state 0 and end anywhere."""
    return {"initial": np.where(np.arange(size) == 0, 0.0, -np.inf), "final": np.zeros(size)}


def phones(num_arcs: int, classes: int) -> dict:
    """A 4-gram of phones over the topology of CTC with about so many arcs, with backoff."""
    from speechkit.graphs.denominator import denominator_graph
    from speechkit.graphs.label_graph import TOPOLOGIES
    from speechkit.graphs.ngram_estimation import estimate
    from speechkit.text.vocabulary import Vocabulary

    low, high = 1, num_arcs
    sentences = phone_text(num_arcs // 20, classes)
    while True:  # bisect the amount of text
        middle = (low + high) // 2
        model = estimate(sentences[:middle], Vocabulary(classes), 4, "witten_bell", min_counts=[1, 1, 1, 1])
        graph = denominator_graph(model, TOPOLOGIES["ctc"])
        if abs(graph.num_arcs - num_arcs) < 0.03 * num_arcs or high - low < 2:
            break
        low, high = (middle, high) if graph.num_arcs < num_arcs else (low, middle)
        high = min(high, len(sentences))
    return {name: getattr(graph, name) for name in ("sources", "targets", "labels", "weights", "initial", "final")}


def phone_text(size: int, classes: int) -> list[list[int]]:
    """Sentences of 40 phones, in which two phones say much about the next one."""
    random = np.random.default_rng(0)
    follow = random.dirichlet(np.full(classes - 2, 0.08), (classes, classes)).cumsum(-1)
    phone = np.zeros((2, size), dtype=np.int64)
    sentences = []
    for draw in random.random((40, size)):
        ranks = (follow[phone[0], phone[1]] < draw[:, None]).sum(1).clip(max=classes - 3)
        phone = np.stack([phone[1], ranks + 1])
        sentences.append(ranks + 1)
    return np.stack(sentences, axis=1).tolist()


if __name__ == "__main__":
    sys.exit(main())
