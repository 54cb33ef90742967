"""Decode test sets with the averaged model.

  speechkit decode exp/ctc
  speechkit decode exp/ctc --set dev search.name=ctc_prefix_beam search.beam_size=16
"""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "decode test sets with a trained model"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's arguments."""
    parser.add_argument("exp", help="experiment folder")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="changes to search.* and data.*")
    parser.add_argument("--set", action="append", default=[], help="split or manifest; repeat for several (default: data.test)")
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])


def run(args: argparse.Namespace) -> None:
    """Decode and say how fast it was."""
    import json

    from speechkit.tasks.evaluate import decode

    for folder in decode(Path(args.exp), args.set, args.overrides, args.device):
        facts = json.loads((folder / "decode.json").read_text(encoding="utf-8"))
        print(f"{folder}: {facts['audio_seconds']:.0f} s of audio in {facts['seconds']:.1f} s, rtf {facts['rtf']:.4f}")
