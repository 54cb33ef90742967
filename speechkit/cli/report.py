"""Write one HTML page about an experiment: curves, results, the worst utterances with their audio.

  speechkit report exp/ctc
"""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "write an HTML page about an experiment"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's arguments."""
    parser.add_argument("exp", help="experiment folder")


def run(args: argparse.Namespace) -> None:
    """Write the page and say where it is."""
    from speechkit.report.page import write_report

    print(f"report: {write_report(Path(args.exp)).resolve()}")
