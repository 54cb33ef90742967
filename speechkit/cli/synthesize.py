"""Speak a text with a trained voice; or, without a text, the test sets of its experiment.

  speechkit synthesize exp/fastspeech2 "Hello there." -o hello.wav
  speechkit synthesize exp/fastspeech2 --file book.txt -o book.flac --speaker p225 --speed 1.1
  echo "Hello there." | speechkit synthesize exp/vits - -o - | aplay
  speechkit synthesize exp/styles "Hello there." -o hello.wav --reference happy.wav
  speechkit synthesize exp/fastspeech2 --set dev vocoder=exp/hifigan

A text is plain, or SSML: <speak> with <p>, <s>, <break>, <prosody rate pitch>, <sub> and <phoneme>. It is spoken
sentence by sentence, so that it may be of any length; to the output (-o -) each goes when it is ready, as wav of 16 bits.

Of a test set synthesis/<set>/ holds synthesised/<id>.wav; vocoded/<id>.wav, which the vocoder made of the recording's
own features; alignments/<id>.npy, steps times tokens, of models that attend; utterances.jsonl, a line of JSON for each:
id, text, speaker, wav, natural (path, start, duration, channel), vocoded, duration, seconds (that speaking it took),
finished, tokens, token_frames, frame_shift, pitch (Hz of each frame) and alignment; and synthesis.json, with the
real-time factor of speaking one utterance after another. Other vocoders, data and threads can be asked for by
vocoder=griffin_lim, vocoder=DIR, data.*=... and train.num_threads=N.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

HELP = "speak a text, or test sets, with a trained voice"
MANNER = {
    "speaker": "speaker",
    "speed": "speed",
    "pitch": "pitch_shift",
    "energy": "energy_scale",
    "temperature": "temperature",
    "duration_temperature": "duration_temperature",
    "reference": "reference",
    "style": "style",
}
_OVERRIDE = re.compile(r"[a-z_][\w.]*=\S*")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's arguments."""
    parser.add_argument("model", help="model directory of a voice")
    parser.add_argument(
        "overrides", nargs="*", metavar="TEXT or key=value", help="a text in quotes, - reads it from the input"
    )
    parser.add_argument("--file", metavar="FILE", help="read the text from a file, in UTF-8")
    parser.add_argument("-o", "--out", metavar="FILE", help="audio of any format that the name ends with; - is the output")
    parser.add_argument("--raw", action="store_true", help="with -o -: 16-bit samples without the header of a wav")
    parser.add_argument(
        "--set", action="append", default=[], help="split or manifest; repeat for several (default: data.test)"
    )
    parser.add_argument("--vocoder", help="griffin_lim, or a model directory (default: that of the config); as vocoder=...")
    parser.add_argument("--seed", type=int, default=0, help="of random numbers (default: 0)")
    parser.add_argument(
        "--device", default=None, choices=["auto", "cpu", "cuda"], help="default: cpu for a text, auto for sets"
    )
    manner = parser.add_argument_group("manner", "how to say a text")
    manner.add_argument("--speaker", help="name of a speaker of the training data (default: the first)")
    manner.add_argument("--speed", type=float, help="times as fast as usual")
    manner.add_argument("--pitch", type=float, help="semitones up or down; for models that predict pitch")
    manner.add_argument("--energy", type=float, help="factor of loudness; for models that predict energy")
    manner.add_argument(
        "--temperature", type=float, help="of what models draw that sample; 0 for the same melody every time"
    )
    manner.add_argument("--duration-temperature", type=float, help="likewise of durations")
    manner.add_argument(
        "--reference",
        metavar="FILE",
        help="recording to sound like; for models with a condition that hears it: reference, style_tokens",
    )
    manner.add_argument(
        "--style",
        metavar="W,W,...",
        help="weights of style tokens that add up to 1; for models with the condition style_tokens",
    )


def run(args: argparse.Namespace) -> None:
    """Speak the text if there is one, or the test sets."""
    words = [each for each in args.overrides if not _OVERRIDE.fullmatch(each)]
    overrides = [each for each in args.overrides if _OVERRIDE.fullmatch(each)]
    overrides += [] if args.vocoder is None else [f"vocoder={args.vocoder}"]
    if not Path(args.model).exists():
        raise ValueError(f"{args.model}: expected a model directory, found nothing; check the path")
    if words or args.file is not None:
        _check_text_arguments(args, words)
        _say(args, words[0] if words else None, _vocoder(overrides))
    else:
        _check_set_arguments(args)
        _speak_sets(args, overrides)


def _check_text_arguments(args: argparse.Namespace, words: list[str]) -> None:
    """Say what cannot work before seconds go into imports and the model."""
    if len(words) + (args.file is not None) > 1:
        raise ValueError(f"expected one text, got {len(words)} and {args.file or 'no'} file; put quotes around the text")
    if args.set:
        raise ValueError("--set: expected no text with it; sets have texts of their own")
    if args.out is None:
        raise ValueError("-o: expected the file to write, or - for the output, got none")
    if args.raw and args.out != "-":
        raise ValueError(f"--raw: expected -o - with it, got -o {args.out}; files have headers")
    if args.seed < 0:
        raise ValueError(f"--seed: expected 0 or more, got {args.seed}")
    if args.reference is not None and not Path(args.reference).is_file():
        raise ValueError(f"--reference {args.reference}: expected a recording, found none; check the path")
    args.style = None if args.style is None else _weights(args.style)


def _weights(text: str) -> tuple[float, ...]:
    try:
        return tuple(map(float, text.split(",")))
    except ValueError:
        raise ValueError(f"--style: expected numbers with commas between them, as 0.7,0.3,0, got {text!r}") from None


def _check_set_arguments(args: argparse.Namespace) -> None:
    for name in ("out", "raw", *MANNER):
        if getattr(args, name) not in (None, False):
            raise ValueError(
                f"--{name.replace('_', '-')}: expected a text with it, got none; test sets are spoken as they are"
            )


def _vocoder(overrides: list[str]) -> str | None:
    for each in overrides:
        if not each.startswith("vocoder="):
            raise ValueError(f"{each}: for a text only vocoder=... can be changed; put a text that looks so into a file")
    return overrides[-1].removeprefix("vocoder=") if overrides else None


def _speak_sets(args: argparse.Namespace, overrides: list[str]) -> None:
    import json

    from speechkit.tasks.speak import speak

    for folder in speak(Path(args.model), args.set, overrides, args.device or "auto", args.seed):
        facts = json.loads((folder / "synthesis.json").read_text(encoding="utf-8"))
        how = f"{facts['threads']} threads" if facts["device"] == "cpu" else facts["device"]
        print(
            f"{folder}: {facts['utterances']} utterances, {facts['audio_seconds']:.0f} s in {facts['seconds']:.1f} s, "
            f"rtf {facts['rtf']:.4f} ({how})"
        )


def _say(args: argparse.Namespace, text: str | None, vocoder: str | None) -> None:
    text = _read(text, args.file)
    manner = {field: value for name, field in MANNER.items() if (value := getattr(args, name)) is not None}
    if args.out != "-":
        _check_format(Path(args.out))
    from speechkit.tasks.synthesizer import Synthesizer

    synthesizer = Synthesizer.load(Path(args.model), device=args.device or "cpu", vocoder=vocoder)
    passages = synthesizer.stream(text, seed=args.seed, **manner)
    if args.out == "-":
        stream(passages, synthesizer.sampling_rate, args.raw)
    else:
        write(passages, synthesizer.sampling_rate, Path(args.out))


def _read(text: str | None, path: str | None) -> str:
    if "-" in (text, path):
        return sys.stdin.read()
    if path is None:
        return text
    try:
        return Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"--file {path}: expected text in UTF-8, got byte {error.start} that is not; convert it") from None


def _check_format(path: Path) -> None:
    import soundfile

    formats = sorted(name.lower() for name in soundfile.available_formats())
    if path.suffix[1:].lower() not in formats:
        raise ValueError(f"-o {path}: expected a name that ends with one of {', '.join(formats)}, got {path.name!r}")


def write(passages: Iterable[Any], sampling_rate: int, path: Path) -> None:
    """Write what is said into a file, passage by passage; the file is there when all is said."""
    import soundfile

    from speechkit.utils.files import atomic_path

    with atomic_path(path) as partial:
        try:
            with soundfile.SoundFile(partial, "w", sampling_rate, 1) as file:
                for each in passages:
                    file.write(each.samples)
        except soundfile.LibsndfileError as error:
            raise ValueError(f"-o {path}: {error.error_string} Try .wav") from None


def stream(passages: Iterable[Any], sampling_rate: int, raw: bool) -> None:
    """Send what is said to the output, each passage when it is ready."""
    import numpy as np

    out = sys.stdout.buffer
    if not raw:
        out.write(wav_header(sampling_rate))
    for each in passages:
        out.write((each.samples * 32767.0).round().astype(np.dtype("<i2")).tobytes())
        out.flush()


def wav_header(sampling_rate: int) -> bytes:
    """The header of a wav of 16-bit samples, of which nobody knows yet how many there will be."""
    import struct

    unknown = 0xFFFFFFFF  # what programs write that cannot go back, and take as "until the end"
    form = struct.pack("<HHIIHH", 1, 1, sampling_rate, 2 * sampling_rate, 2, 16)
    return (
        b"RIFF"
        + struct.pack("<I", unknown)
        + b"WAVEfmt "
        + struct.pack("<I", 16)
        + form
        + b"data"
        + struct.pack("<I", unknown)
    )
