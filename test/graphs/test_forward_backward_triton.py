from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = """
import sys
import torch
sys.path.insert(0, "test")
from graph_cases import TOY_TOTAL, random_graph, toy
from speechkit.graphs import forward_backward_triton
from speechkit.graphs.forward_backward import TotalScore
forward_backward_triton.LONGEST = 3  # so that nodes have several rows
device = "cuda" if torch.cuda.is_available() else "cpu"
graph, log_probs = toy()
assert abs(TotalScore(graph, "triton")(log_probs.to(device), torch.tensor([5], device=device)).item() - TOY_TOTAL) < 1e-12
for seed in range(3):
    graph = random_graph(seed, num_states=9, num_arcs=40)
    scores, lens = torch.randn(3, 6, 3, dtype=torch.float64), torch.tensor([6, 2, 4])
    found = []
    for kernel, where in (("triton", device), ("numba", "cpu")):
        here = scores.to(where).requires_grad_()
        total = TotalScore(graph, kernel)(here, lens.to(where))
        found.append((total.cpu(), torch.autograd.grad(total.sum(), here)[0].cpu()))
    torch.testing.assert_close(*found, rtol=1e-10, atol=1e-12)
"""


@pytest.mark.optional
def test_triton_gives_the_numbers_of_numba_on_a_gpu_or_else_in_its_interpreter():
    pytest.importorskip("triton")
    import torch

    environment = {**os.environ} if torch.cuda.is_available() else {**os.environ, "TRITON_INTERPRET": "1"}
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, env=environment, cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
