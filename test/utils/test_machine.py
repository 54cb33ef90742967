from __future__ import annotations

import re
import sys

import torch

from speechkit.utils import machine


def test_a_number_can_say_where_it_was_made(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/somewhere/speechkit", "decode", "exp/a b"])
    assert machine.command() == "speechkit decode 'exp/a b'"
    assert torch.__version__ in machine.describe() and machine.processor()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", machine.today())
