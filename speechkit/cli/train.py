"""Train. Running the same command again goes on from the last checkpoint; Ctrl-C saves first.

  speechkit train conf/ctc.yaml --exp exp/ctc
  speechkit train conf/lm.yaml --exp exp/lm        a language model on the same tokens
  speechkit train conf/ctc.yaml --exp exp/small encoder.dim=128 train.max_epochs=10
"""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "train a model, or go on training it"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's arguments."""
    parser.add_argument("config", help="experiment config (.yaml)")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="changes to the config, or .yaml files of them")
    parser.add_argument(
        "--fail-if-stopped",
        action="store_true",
        help="exit with 130, not 0, when a signal ended training early: for scripts that would go on",
    )
    parser.add_argument("--exp", required=True, help="experiment folder; it is made, or gone on with")


def run(args: argparse.Namespace) -> int:
    """Train until done, or until a signal, after which everything is saved."""
    from speechkit.tasks.base import load_config
    from speechkit.tasks.training import train

    ended = train(load_config(args.config, args.overrides), Path(args.exp))
    return 130 if args.fail_if_stopped and not ended else 0
