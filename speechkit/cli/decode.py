"""Decode test sets with the averaged model.

  speechkit decode exp/ctc
  speechkit decode exp/ctc --set dev search.name=ctc_prefix_beam search.beam_size=16
  speechkit decode exp/ctc --tune search.scorers.lm.scale=0,0.2,0.4 --tune search.length_bonus=0,0.5

Each utterance is a line of JSON in decode/<set>/hyps.jsonl: id, ref, hyp, duration; audio (path, start, duration and,
of a file with several channels, the one that was heard, from 0); words (word, start, end, confidence); nbest (text,
score, and scores: the parts of the score by name, before they are weighted). Times are in seconds, scores in nats.
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
    parser.add_argument(
        "--tune",
        action="append",
        default=[],
        metavar="KEY=V,V,...",
        help="first try these values of a search option, all combinations of several, and take the ones with the fewest errors",
    )
    parser.add_argument(
        "--tune-on", action="append", default=[], metavar="SET", help="split or manifest to try them on (default: data.valid)"
    )
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])


def run(args: argparse.Namespace) -> None:
    """Decode and say how fast it was."""
    import json

    from speechkit.tasks.evaluate import decode

    if args.tune_on and not args.tune:
        raise ValueError("--tune-on: expected --tune KEY=V,V,... with it, got none; say what to try")
    overrides = [*args.overrides, *(_tuned(args) if args.tune else ())]
    for folder in decode(Path(args.exp), args.set, overrides, args.device):
        facts = json.loads((folder / "decode.json").read_text(encoding="utf-8"))
        print(f"{folder}: {facts['audio_seconds']:.0f} s of audio in {facts['seconds']:.1f} s, rtf {facts['rtf']:.4f}")


def _tuned(args: argparse.Namespace) -> tuple[str, ...]:
    """Try the values, say what each combination gave, and return the best as overrides."""
    from speechkit.tasks.tuning import parse_grid, tune

    trials = tune(Path(args.exp), parse_grid(args.tune), args.tune_on, args.overrides, args.device)
    for trial in reversed(trials):
        print(f"WER {100 * trial.wer:6.2f} %  [{trial.errors} errors]  {' '.join(trial.overrides)}")
    return trials[0].overrides
