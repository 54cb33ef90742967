"""Find when each word of a known transcript is said, with a trained model.

  speechkit align exp/ctc --set train --to alignments            a TextGrid per utterance
  speechkit align exp/ctc --set test --format ctm > test.ctm     one file for all
  speechkit align exp/ctc talk.wav --text "what they say" --format json
  speechkit align exp/ctc talks/*.wav --to alignments            their texts are in talks/*.txt

CTC networks mark a sound in a frame or two and leave the rest to the blank, so that words are found, but look short. So
they do with transducers: a token has the frame that emits it, which those of one frame share, and a word lasts from its
first token to its last. An objective without blanks (hmm, asg) gives every frame to a word or to silence.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HELP = "find when each word of a transcript is said"

SUFFIXES = {"textgrid": "TextGrid", "ctm": "ctm", "json": "json"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's arguments."""
    parser.add_argument("model", help="model directory")
    parser.add_argument("audio", nargs="*", help="recordings, each with its text in a .txt beside it unless --text is given")
    parser.add_argument("--set", action="append", default=[], help="split or manifest; repeat for several (default: data.test)")
    parser.add_argument("--text", metavar="WORDS", help="what is said in the one recording")
    parser.add_argument("--format", choices=list(SUFFIXES), default="textgrid")
    parser.add_argument("--tier", choices=["words", "tokens"], default="words", help="what a ctm has lines of (default: words)")
    parser.add_argument("--to", metavar="DIR", help="write one file per utterance here, not to the output")
    parser.add_argument("--objective", metavar="NAME", help="objective to align with (default: the first that can)")
    parser.add_argument("--device", default="cpu", choices=["auto", "cpu", "cuda"])


def run(args: argparse.Namespace) -> int:
    """Align; an utterance that cannot be aligned is named, and the others go on."""
    _check_arguments(args)
    from speechkit.report.numbers import plural
    from speechkit.tasks.align import Aligner
    from speechkit.tasks.recognizer import Recognizer
    from speechkit.utils import log

    aligner = Aligner(Recognizer.load(Path(args.model), device=args.device), args.objective)
    failed, taken = 0, {}
    for name, found, problems in _alignments(args, aligner):
        for problem in problems:
            log.info(f"speechkit align: error: {problem}")
        if args.format == "textgrid" and not args.to and len(found) > 1:
            raise ValueError(f"textgrid holds one utterance, got {len(found)} in {name}; write one file each with --to DIR")
        for speech in found:
            _put(speech, args, taken)
        failed += len(problems)
        if args.set or not args.audio:
            seconds = sum(speech.duration for speech in found)
            aligned = plural(len(found), "utterance")
            log.info(f"{name}: {aligned} aligned, {seconds:.0f} s of audio; {len(problems)} could not be")
    if args.to:
        print(f"{args.to}: {plural(len(taken), 'alignment')}")
    return 1 if failed else 0


def _check_arguments(args: argparse.Namespace) -> None:
    """Say what cannot work before seconds go into imports and the model."""
    if not Path(args.model).exists():
        raise ValueError(f"{args.model}: expected a model directory, found nothing; check the path")
    if args.audio and args.set:
        raise ValueError(f"--set: expected sets or recordings, got both; leave out {args.audio[0]} or --set")
    if args.text is not None and len(args.audio) != 1:
        raise ValueError(f"--text: expected one recording to go with it, got {len(args.audio)}; give each a .txt instead")
    if args.format == "textgrid" and not args.to and len(args.audio) > 1:
        raise ValueError(f"textgrid holds one recording, got {len(args.audio)}; write one file each with --to DIR")


def _alignments(args: argparse.Namespace, aligner: Any) -> Iterator[tuple[str, list[Any], list[str]]]:
    """For each set or recording its name, what was aligned, and what could not be."""
    if not args.audio:
        for name in args.set or aligner.recognizer.config.data.test:
            yield name, *aligner.align_set(name)
        return
    for name in args.audio:
        try:
            yield name, [aligner.align_recording(Path(name), _text(name, args.text))], []
        except (ValueError, OSError) as error:
            yield name, [], [str(error)]


def _text(audio: str, text: str | None) -> str:
    """The words of a recording: as given, or from the file beside it."""
    if text is not None:
        return text
    path = Path(audio).with_suffix(".txt")
    try:
        return " ".join(path.read_text(encoding="utf-8").split())
    except FileNotFoundError:
        raise ValueError(f"{audio}: expected its words in {path}, found no such file; write it, or give --text") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: expected UTF-8 text, got {error}; convert the file") from None


def _put(speech: Any, args: argparse.Namespace, taken: dict[Path, str]) -> None:
    from speechkit.report import alignment
    from speechkit.utils.files import atomic_write

    if args.format == "ctm":
        text = alignment.ctm(speech, args.tier)
    else:
        text = (alignment.textgrid if args.format == "textgrid" else alignment.json)(speech)
    if not args.to:
        sys.stdout.write(text)
        sys.stdout.flush()
        return
    target = Path(args.to) / f"{speech.id.replace('/', '-')}.{SUFFIXES[args.format]}"
    if target in taken:
        raise ValueError(f"{taken[target]} and {speech.id}: both would be {target}; align them into two folders")
    taken[target] = speech.id
    with atomic_write(target) as file:
        file.write(text)
