"""Score what was decoded: word and character error rates, with 95 % intervals. Of a language model: perplexities.

  speechkit score exp/ctc
  speechkit score exp/lm
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

HELP = "error rates of decoded sets; perplexities of a language model"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's arguments."""
    parser.add_argument("exp", help="experiment folder")


def run(args: argparse.Namespace) -> None:
    """Score and print the table."""
    from rich.console import Console

    from speechkit.tasks.base import load_config

    exp_dir = Path(args.exp)
    path = exp_dir / "config.yaml"
    task = load_config(path).name if path.exists() else "asr"
    Console().print({"asr": _error_rates, "lm": _perplexities}[task](exp_dir))


def _error_rates(exp_dir: Path) -> Any:
    from speechkit.report.table import results_table
    from speechkit.tasks.evaluate import score_sets

    score_sets(exp_dir)
    return results_table(exp_dir)


def _perplexities(exp_dir: Path) -> Any:
    from rich.table import Table

    from speechkit.tasks.lm import score_texts

    table = Table("text", box=None, pad_edge=False)
    for head in ("sentences", "tokens", "words", "perplexity per token", "per word"):
        table.add_column(head, justify="right")
    for name, found in score_texts(exp_dir).items():
        counts = [str(found[key]) for key in ("sentences", "tokens", "words")]
        table.add_row(name, *counts, *(f"{found[key]:.2f}" for key in ("per_token", "per_word")))
    return table
