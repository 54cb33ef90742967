"""Recognise recordings with a trained model.

  speechkit transcribe exp/ctc talk.wav
  speechkit transcribe exp/ctc *.flac --format srt --to subtitles/
  sox talk.mp3 -t wav - | speechkit transcribe exp/ctc -
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

HELP = "recognise recordings with a trained model"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's arguments."""
    parser.add_argument("model", help="model directory")
    parser.add_argument("audio", nargs="+", help="recordings of any format and sampling rate; - reads one from the input")
    parser.add_argument("--format", choices=["text", "json", "srt", "vtt"], default="text")
    parser.add_argument("--to", metavar="DIR", help="write one file per recording here, not to the output")
    parser.add_argument("--device", default="cpu", choices=["auto", "cpu", "cuda"])


def run(args: argparse.Namespace) -> int:
    """Transcribe each recording; one that cannot be read is named, and the others go on."""
    from speechkit.utils import log

    _check_arguments(args)
    problems = {name: problem for name in args.audio if (problem := _problem(name))}
    for problem in problems.values():
        log.info(f"speechkit transcribe: error: {problem}")
    names, failed = [name for name in args.audio if name not in problems], len(problems)
    if not names:
        return 1
    from speechkit.tasks.recognizer import Recognizer

    recognizer = Recognizer.load(Path(args.model), device=args.device)
    for name in names:
        try:
            transcript = recognizer.transcribe(sys.stdin.buffer.read() if name == "-" else Path(name))
        except (ValueError, OSError) as error:
            log.info(f"speechkit transcribe: error: {error}")
            failed += 1
            continue
        _put(name, transcript, args)
    return 1 if failed else 0


def _check_arguments(args: argparse.Namespace) -> None:
    """Say what cannot work before seconds go into imports and the model."""
    if args.to:
        _check_targets(args)
    elif args.format in ("srt", "vtt") and len(args.audio) > 1:
        raise ValueError(f"{args.format} holds one recording, got {len(args.audio)}; write one file each with --to DIR")
    if not Path(args.model).exists():
        raise ValueError(f"{args.model}: expected a model directory, found nothing; check the path")


def _problem(name: str) -> str | None:
    """Why ``name`` cannot be a recording, without reading it."""
    if name == "-" or Path(name).is_file():
        return None
    if Path(name).is_dir():
        return f"{name}: not a recording: it is a directory; give its files, as in {Path(name)}/*.wav"
    return f"{name}: missing file: no such file; check the path"


def _target(name: str, args: argparse.Namespace) -> Path:
    suffix = {"text": "txt"}.get(args.format, args.format)
    return Path(args.to) / f"{'stdin' if name == '-' else Path(name).stem}.{suffix}"


def _check_targets(args: argparse.Namespace) -> None:
    """Refuse recordings whose transcripts would overwrite each other."""
    taken: dict[Path, str] = {}
    for name in args.audio:
        other = taken.setdefault(_target(name, args), name)
        if other != name:
            raise ValueError(f"{other} and {name}: both would be {_target(name, args)}; transcribe them into two folders")


def _put(name: str, transcript: Any, args: argparse.Namespace) -> None:
    from speechkit.utils.files import atomic_write

    text = render(name, transcript, args.format)
    if args.to:
        with atomic_write(_target(name, args)) as file:
            file.write(text)
    else:
        prefix = f"{name}\t" if args.format == "text" and len(args.audio) > 1 else ""
        sys.stdout.write(prefix + text)
        sys.stdout.flush()


def render(name: str, transcript: Any, style: str) -> str:
    """A transcript as text, one line of JSON, SRT or VTT; ends with a line break."""
    from speechkit.report import subtitles

    if style == "text":
        return transcript.text + "\n"
    if style == "json":
        return json.dumps({"audio": name, **transcript.to_dict()}, ensure_ascii=False) + "\n"
    return (subtitles.srt if style == "srt" else subtitles.vtt)(transcript.words)
