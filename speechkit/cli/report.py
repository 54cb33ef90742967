"""Write one HTML page about an experiment: curves, results, the worst utterances with their audio.
With several experiments, print a table that compares them, as Markdown.

  speechkit report exp/ctc
  speechkit report exp/ctc exp/transducer exp/attention
"""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "write an HTML page about an experiment, or compare several"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's arguments."""
    parser.add_argument("exp", nargs="+", help="experiment folder; several are compared")


def run(args: argparse.Namespace) -> None:
    """Write the page and say where it is, or print the comparison."""
    from speechkit.report.comparison import comparison
    from speechkit.report.page import write_report

    if len(args.exp) > 1:
        print(comparison([Path(exp) for exp in args.exp]), end="")
    else:
        print(f"report: {write_report(Path(args.exp[0])).resolve()}")
