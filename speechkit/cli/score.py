"""Score what was decoded: word and character error rates, with 95 % intervals. Of a language model: perplexities.
Of a voice: what a recogniser understands of it, and how far it is from recordings of the same words.

  speechkit score exp/ctc
  speechkit score exp/lm
  speechkit score exp/voice --recognizer exp/ctc
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

HELP = "error rates of decoded sets and of voices; perplexities of a language model"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's arguments."""
    parser.add_argument("exp", help="experiment folder")
    parser.add_argument("--recognizer", metavar="DIR", help="of a voice: model directory of the recogniser that listens")
    parser.add_argument("--set", action="append", metavar="NAME", help="of a voice: set to score; repeat for several (all)")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], help="of a voice: where the recogniser runs (cpu)")


def run(args: argparse.Namespace) -> None:
    """Score and print the table."""
    from rich.console import Console

    from speechkit.tasks import VOICES
    from speechkit.tasks.base import load_config

    exp_dir = Path(args.exp)
    path = exp_dir / "config.yaml"
    task = load_config(path).name if path.exists() else "asr"
    task = "tts" if task in VOICES else task
    scorers = {"asr": _error_rates, "lm": _perplexities, "tts": _voice}
    if task not in scorers:
        known = ", ".join(scorers)
        raise ValueError(f"{path}: task: expected one of {known}, got {task}; score a voice that speaks with it")
    if task != "tts":
        _refuse_options(args, path, task)
    Console().print(scorers[task](exp_dir, args))


def _refuse_options(args: argparse.Namespace, path: Path, task: str) -> None:
    for option in ("recognizer", "set", "device"):
        if getattr(args, option) is not None:
            raise ValueError(f"--{option}: expected the experiment of a voice to go with it, got {path} of task {task}")


def _error_rates(exp_dir: Path, args: argparse.Namespace) -> Any:
    from speechkit.report.table import results_table
    from speechkit.tasks.evaluate import score_sets

    score_sets(exp_dir)
    return results_table(exp_dir)


def _voice(exp_dir: Path, args: argparse.Namespace) -> Any:
    from speechkit.report.voice_table import voice_table
    from speechkit.tasks.tts_scores import score_voice

    recognizer = None if args.recognizer is None else Path(args.recognizer)
    chosen = score_voice(exp_dir, recognizer, args.set or (), args.device or "cpu")
    return voice_table(exp_dir, [spoken.name for spoken in chosen])


def _perplexities(exp_dir: Path, args: argparse.Namespace) -> Any:
    from rich.table import Table

    from speechkit.tasks.lm import score_texts

    table = Table("text", box=None, pad_edge=False)
    for head in ("sentences", "tokens", "words", "perplexity per token", "per word"):
        table.add_column(head, justify="right")
    for name, found in score_texts(exp_dir).items():
        counts = [str(found[key]) for key in ("sentences", "tokens", "words")]
        table.add_row(name, *counts, *(f"{found[key]:.2f}" for key in ("per_token", "per_word")))
    return table
