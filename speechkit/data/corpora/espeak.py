"""Speech from espeak-ng: the library in the wheel ``espeakng-loader``, driven by a child process.

espeak-ng carries state from one sentence to the next (phases, random numbers) which no call resets, so the same
sentence sounds a little different the second time. A child process that speaks one list of sentences and ends makes the
list repeatable to the bit. The child is this file run as a script; it needs the standard library only, so it starts at
once.
"""

from __future__ import annotations

import ctypes
import json
import os
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

SAMPLING_RATE = 22050  # Hz, of every voice that the wheel holds
_MAX_DATA_PATH = 120  # bytes; espeak-ng keeps the path, with file names behind it, in a buffer of 160

# From espeak-ng's speak_lib.h
_SYNCHRONOUS, _DONT_EXIT, _UTF8, _POS_CHARACTER = 2, 0x8000, 1, 1
_RATE, _PITCH, _RANGE = 1, 3, 4


@dataclass(frozen=True)
class Sentence:
    """What to say, and how.

    Args:
        text: Words.
        voice: Accent and variant of espeak-ng, as ``en-us+f2``.
        rate: Words per minute, 80 to 450.
        pitch: 0 to 99; 50 is the voice's own.
        pitch_range: 0 (monotone) to 99.
    """

    text: str
    voice: str
    rate: int = 175
    pitch: int = 50
    pitch_range: int = 50


def speak(sentences: Sequence[Sentence]) -> Iterator[bytes]:
    """Say ``sentences``, one after the other; the same list gives the same bytes.

    Yields:
        For each sentence its samples at :data:`SAMPLING_RATE`, 16 bit, machine order.

    Raises:
        ValueError: espeak-ng lacks a voice, or cannot start; the message says which.
    """
    import espeakng_loader

    with tempfile.TemporaryDirectory() as folder:
        requests, complaints = Path(folder, "sentences.json"), Path(folder, "stderr")
        requests.write_text(json.dumps([asdict(sentence) for sentence in sentences]), encoding="utf-8")
        data = _short_path(espeakng_loader.get_data_path(), Path(folder))
        command = [sys.executable, "-I", "-S", __file__, espeakng_loader.get_library_path(), data, str(requests)]
        with (
            open(complaints, "wb") as stderr,
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr) as child,
        ):
            try:
                yield from _read_blocks(child.stdout, len(sentences))
            finally:
                child.stdout.close()  # a child that still speaks, because nobody wanted the rest, ends by this
        if child.returncode != 0:
            raise ValueError(f"espeak-ng: {complaints.read_text(errors='replace').strip() or child.returncode}")


def _short_path(path: str, folder: Path) -> str:
    """``path``, or a link to it in ``folder`` when it is too long for espeak-ng."""
    if len(os.fsencode(path)) <= _MAX_DATA_PATH:
        return path
    link = folder / "data"
    link.symlink_to(path, target_is_directory=True)
    return str(link)


def _read_blocks(stream: BinaryIO, count: int) -> Iterator[bytes]:
    for _ in range(count):
        header = stream.read(8)
        if len(header) < 8:
            return  # the child has failed, which its exit status says too
        yield stream.read(struct.unpack("=q", header)[0])


# --- the child ------------------------------------------------------------------------------------------------------


def _serve(library_path: str, data_path: str, requests: str) -> None:
    library = ctypes.CDLL(library_path)
    rate = library.espeak_Initialize(_SYNCHRONOUS, 0, os.fsencode(data_path), _DONT_EXIT)
    if rate != SAMPLING_RATE:
        sys.exit(f"expected {SAMPLING_RATE} Hz from the voices in {data_path}, got {rate}; reinstall espeakng-loader")
    library.espeak_ng_SetRandSeed(ctypes.c_long(1))  # breathy voices; espeak-ng itself seeds by the clock
    samples = bytearray()
    callback_type = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)

    def collect(wav: int | None, num_samples: int, events: int) -> int:
        if wav and num_samples > 0:
            samples.extend(ctypes.string_at(wav, 2 * num_samples))
        return 0

    callback = callback_type(collect)  # held by a name: espeak-ng does not keep it alive
    library.espeak_SetSynthCallback(callback)
    for request in json.loads(Path(requests).read_text(encoding="utf-8")):
        samples.clear()
        _say(library, Sentence(**request))
        sys.stdout.buffer.write(struct.pack("=q", len(samples)) + samples)
    sys.stdout.buffer.flush()


def _say(library: ctypes.CDLL, sentence: Sentence) -> None:
    if library.espeak_SetVoiceByName(sentence.voice.encode()) != 0:
        sys.exit(f"no voice {sentence.voice!r}; voices are an accent such as en-us and a variant such as f2: en-us+f2")
    for parameter, value in ((_RATE, sentence.rate), (_PITCH, sentence.pitch), (_RANGE, sentence.pitch_range)):
        library.espeak_SetParameter(parameter, value, 0)
    text = sentence.text.encode() + b"\0"
    size = ctypes.c_size_t(len(text))
    if library.espeak_Synth(text, size, 0, _POS_CHARACTER, 0, _UTF8, None, None) != 0:
        sys.exit(f"cannot say {sentence.text!r}")
    library.espeak_Synchronize()


if __name__ == "__main__":
    _serve(*sys.argv[1:])
