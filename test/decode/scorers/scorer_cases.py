"""How the contract tests build each scorer: name -> function (tmp_path, vocabulary) -> (scorer, decoders)."""

from __future__ import annotations

CASES = {}
