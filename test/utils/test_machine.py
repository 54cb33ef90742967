from __future__ import annotations

import re
import sys

import torch

import speechkit
from speechkit.utils import machine


def test_a_number_can_say_where_it_was_made(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/somewhere/speechkit", "decode", "exp/a b"])
    assert machine.command() == "speechkit decode 'exp/a b'"
    assert torch.__version__ in machine.describe() and machine.processor()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", machine.today())


def test_a_command_started_as_a_module_is_written_as_one_would_type_it(monkeypatch):
    monkeypatch.setattr(sys, "argv", [speechkit.__file__.replace("__init__", "__main__"), "train", "a.yaml"])
    assert machine.command() == "speechkit train a.yaml"
    monkeypatch.setattr(sys, "argv", ["other/__main__.py", "a.yaml"])
    assert machine.command() == "__main__.py a.yaml"


def test_the_peak_of_memory_grows_with_what_is_held():
    before = machine.peak_memory()
    held = torch.ones(2**28 // 4 + int(before * 2**30) // 4)
    assert machine.peak_memory() >= before + 0.2 and held.numel()
