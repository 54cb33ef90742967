from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = """
import torch
from speechkit.graphs import ctc_torch, ctc_triton
device = "cuda" if torch.cuda.is_available() else "cpu"
generator = torch.Generator().manual_seed(1)
emissions = torch.randn(4, 13, 6, generator=generator, dtype=torch.float64)
emissions[0, 3, 0] = -torch.inf
repeats = torch.rand(4, 6, generator=generator) < 0.3
facts = [x.to(device) for x in (emissions, repeats, torch.tensor([13, 1, 8, 0]), torch.tensor([5, 1, 3, 2]))]
for both in (True, False):
    found = [torch.stack(ctc.scan(*facts, both)[: 1 + both]).exp() for ctc in (ctc_triton, ctc_torch)]
    torch.testing.assert_close(*found, rtol=1e-10, atol=0)
"""


@pytest.mark.optional
def test_triton_gives_the_numbers_of_torch_on_a_gpu_or_else_in_its_interpreter():
    pytest.importorskip("triton")
    import torch

    environment = {**os.environ} if torch.cuda.is_available() else {**os.environ, "TRITON_INTERPRET": "1"}
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
