"""Search test sets through a decoding graph and keep the lattices: decode/<set>/lattices/<cut>.npz.

  speechkit lattices exp/ctc search=wfst search.graph=graph search.lattice_beam=8

`speechkit.decode.lattice.Lattice.read` reads them, with the scores of network and graph side by side.
"""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "write the lattices of test sets"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's arguments."""
    parser.add_argument("exp", help="experiment folder")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="changes to search.* and data.*")
    parser.add_argument("--set", action="append", default=[], help="split or manifest; repeat for several (default: data.test)")
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])


def run(args: argparse.Namespace) -> None:
    """Write them and say where."""
    from speechkit.tasks.lattices import write_lattices

    for folder, count in write_lattices(Path(args.exp), args.set, args.overrides, args.device).items():
        print(f"{folder}: {count} lattices")
