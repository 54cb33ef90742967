"""Write one HTML page about an experiment: curves, results, the worst utterances with their audio; of voices, players
that let one hear them beside the recordings. With several experiments, print a table that compares them, as Markdown, or
write one page about all.

  speechkit report exp/ctc
  speechkit report exp/ctc exp/transducer exp/attention
  speechkit report exp/tacotron2 exp/fastspeech2 exp/vits --to voices.html
"""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "write an HTML page about an experiment, or compare several"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's arguments."""
    parser.add_argument("exp", nargs="+", help="experiment folder; several are compared")
    parser.add_argument("--to", metavar="FILE.html", help="where the page goes (report.html in the experiment)")


def run(args: argparse.Namespace) -> None:
    """Write the page and say where it is, or print the comparison."""
    from speechkit.report.comparison import comparison
    from speechkit.report.page import write_report

    folders = [Path(exp) for exp in args.exp]
    if len(folders) > 1 and args.to is None:
        print(comparison(folders), end="")
    else:
        print(f"report: {write_report(*folders, to=Path(args.to) if args.to else None).resolve()}")
