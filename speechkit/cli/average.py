"""Average the weights that training kept; this finishes the model directory.

  speechkit average exp/ctc
"""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "average the kept weights into the final model"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's arguments."""
    parser.add_argument("exp", help="experiment folder")


def run(args: argparse.Namespace) -> None:
    """Average and say of what."""
    from speechkit.tasks.evaluate import average

    paths = average(Path(args.exp))
    print(f"{args.exp}/averaged.safetensors: the mean of {', '.join(path.stem for path in paths)}")
