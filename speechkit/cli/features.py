"""Store the features of all splits of a config, for data.features=precomputed.

  speechkit features conf/ctc.yaml data.features=precomputed
"""

from __future__ import annotations

import argparse

HELP = "store features, for data.features=precomputed"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's arguments."""
    parser.add_argument("config", help="experiment config (.yaml)")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="changes to the config, or .yaml files of them")


def run(args: argparse.Namespace) -> None:
    """Compute what is not stored yet."""
    from speechkit.tasks.base import load_config
    from speechkit.tasks.stored_features import store_features

    config = load_config(args.config, args.overrides, task="asr")
    if config.data.features != "precomputed":
        print("data.features is on_the_fly: there is nothing to store")
        return
    for path in store_features(config):
        print(path)
