"""Find how long each token lasts in the recordings that a voice learns from, with a trained model.

  speechkit durations exp/transformer_tts conf/voice.yaml conf/models/fastspeech.yaml --to exp/durations.jsonl
  speechkit durations ../asr/exp/phones conf/voice.yaml token_durations=exp/durations.jsonl

The model is a voice with attention or with an aligner of its own; or a recogniser, whose tokens are those of the voice, or
its sounds without pauses. The config is that of the voice to be trained: its splits, its tokens, its frames. Utterances that
cannot be aligned are named and left out, and training leaves them out, too.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

HELP = "find how long each token lasts, for voices that have to be told"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's arguments."""
    parser.add_argument("model", help="model directory of a recogniser, or of a voice that aligns by itself")
    parser.add_argument("config", help="config of the voice to be trained (.yaml)")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="changes to the config, or .yaml files of them")
    parser.add_argument("--to", metavar="FILE", help="where to write them (default: token_durations of the config)")
    parser.add_argument("--device", default="cpu", choices=["auto", "cpu", "cuda"])


def run(args: argparse.Namespace) -> None:
    """Align all, write what was found, and count."""
    from speechkit.data.token_durations import write_token_durations
    from speechkit.report.numbers import plural
    from speechkit.tasks.base import load_config
    from speechkit.tasks.durations import find_durations

    config = load_config(args.config, args.overrides, task="tts")
    target = args.to or config.token_durations
    if target is None:
        raise ValueError("--to: expected a file, got none, and token_durations of the config is null; give one of them")
    found, failed = _sorted_out(find_durations(Path(args.model), config, args.device))
    if not found:
        raise ValueError(f"none of {plural(failed, 'utterance')} could be aligned; see above, and take another model")
    write_token_durations(sorted(found), Path(target))
    print(f"{target}: {plural(len(found), 'utterance')} aligned; {failed} could not be and are left out")


def _sorted_out(results: Any) -> tuple[list[tuple[str, Any]], int]:
    """What was found, and how many were not, each of which is named."""
    from speechkit.utils import log

    found, failed = [], 0
    for cut_id, frames in results:
        if isinstance(frames, str):
            log.info(f"speechkit durations: error: cut {cut_id}: {frames}")
            failed += 1
        else:
            found.append((cut_id, frames))
    return found, failed
