"""Score what was decoded: word and character error rates, with 95 % intervals.

  speechkit score exp/ctc
"""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "word and character error rates of decoded sets"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's arguments."""
    parser.add_argument("exp", help="experiment folder")


def run(args: argparse.Namespace) -> None:
    """Score every decoded set and print the table."""
    from rich.console import Console

    from speechkit.report.table import results_table
    from speechkit.tasks.evaluate import score_sets

    score_sets(Path(args.exp))
    Console().print(results_table(Path(args.exp)))
