"""The lattice on GPUs, here in Triton's interpreter; test_graphs_transducer.py runs it on a GPU where there is one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
INTERPRET = """
import torch
from speechkit.graphs.transducer import forward_backward

torch.manual_seed(0)
for dtype in (torch.float32, torch.float64):
    blank, label = torch.randn(5, 9, 6, dtype=dtype), torch.randn(5, 9, 5, dtype=dtype)
    blank[1, 4, 2] = label[1, 5, 1] = -torch.inf
    blank[3, 2, 0] = torch.nan
    lens = torch.tensor([9, 7, 3, 8, 0]), torch.tensor([5, 4, 5, 0, 0])
    for topology in ("regular", "monotonic"):
        ours = forward_backward(blank, label, *lens, topology, "triton")
        for one, other in zip(ours, forward_backward(blank, label, *lens, topology, "torch")):
            torch.testing.assert_close(one[[0, 1, 2, 4]], other[[0, 1, 2, 4]])
        assert ours.log_likelihood[3].isnan() and ours.log_likelihood[4] == 0
        assert ours.log_likelihood[2].isfinite() == (topology == "regular")
"""
COMPILE = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from speechkit.graphs.transducer_triton import _utterance

pointers = {"blank": "*fp32", "label": "*fp32", "frame_lens": "*i64", "token_lens": "*i64", "alpha": "*fp64", "beta": "*fp64",
            "total": "*fp32", "blank_occupancy": "*fp32", "label_occupancy": "*fp32"}
numbers = {"max_frames": "i32", "width": "i32", "rows": "i32", "STAYS": "constexpr", "LANES": "constexpr"}
source = ASTSource(_utterance, pointers | numbers, constexprs={"STAYS": 1, "LANES": 64})
assert "cubin" in triton.compile(source, target=GPUTarget("cuda", 80, 32), options={"num_warps": 2}).asm
"""


def run(program: str, **environment: str) -> None:
    """Run a program with a Triton of its own, which reads its environment when it is imported."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]), **environment}
    result = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


@pytest.mark.optional
def test_in_the_interpreter_the_numbers_are_those_of_torch():
    pytest.importorskip("triton")
    run(INTERPRET, TRITON_INTERPRET="1")


@pytest.mark.optional
def test_it_compiles_for_a_gpu_that_need_not_be_there():
    pytest.importorskip("triton")
    run(COMPILE)
