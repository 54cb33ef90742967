"""Fit the tokenizer of a config on its training transcripts. `train` does it, too, when it finds none.

  speechkit tokenizer conf/ctc.yaml tokenizer.vocab_size=500
"""

from __future__ import annotations

import argparse

HELP = "fit the tokenizer on the training transcripts"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's arguments."""
    parser.add_argument("config", help="experiment config (.yaml)")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="changes to the config, or .yaml files of them")


def run(args: argparse.Namespace) -> None:
    """Fit, or find the one already fitted."""
    from speechkit.tasks.asr import get_tokenizer
    from speechkit.tasks.base import load_config

    config = load_config(args.config, args.overrides)
    if config.name not in ("asr", "tts"):
        raise ValueError(f"{args.config}: task: expected asr or tts, whose transcripts become tokens, got {config.name}")
    tokenizer = get_tokenizer(config)
    print(f"{tokenizer.vocab_size} tokens")
