"""After training a voice: speak test sets with the averaged weights, as files for listening and for scoring."""

from __future__ import annotations

import json
import tempfile
import time
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import soundfile
import torch
from lhotse.cut import Cut
from torch import nn

from speechkit import config as configs
from speechkit.data.audio import load_audio
from speechkit.data.cuts import transcript
from speechkit.data.speakers import speaker
from speechkit.data.trim import trim
from speechkit.tasks.base import load_config
from speechkit.tasks.evaluate import check_sets, set_name, where_heard, write_json
from speechkit.tasks.manifests import open_splits
from speechkit.tasks.manner import Manner
from speechkit.tasks.synthesizer import Synthesizer
from speechkit.tasks.tts import TtsTask
from speechkit.tasks.utterance import Utterance
from speechkit.utils import log, machine

MAY_CHANGE = ("vocoder=", "data.", "train.num_threads=")


def speak(
    exp_dir: Path, sets: Sequence[str] = (), overrides: Sequence[str] = (), device: str = "auto", seed: int = 0
) -> list[Path]:
    """Speak test sets with the averaged model, each utterance alone and in the voice of its speaker.

    Args:
        exp_dir: The experiment.
        sets: Names of splits or paths of manifests; the config's ``data.test`` unless given.
        overrides: ``vocoder=...``, ``data.*=...`` and ``train.num_threads=...`` keys to change.
        device: ``cpu``, ``cuda`` or ``auto``.
        seed: Of random numbers; those of an utterance depend on it and on the utterance's id alone.

    Returns:
        The folders ``synthesis/<set>`` that were written.

    Raises:
        ValueError: An utterance cannot be spoken (it is named), or the model is not whole.
    """
    config = speaking_config(exp_dir, overrides)
    names = sets or config.data.test
    check_sets(names, config, "synthesis")
    if config.train.num_threads:
        torch.set_num_threads(config.train.num_threads)
    synthesizer = Synthesizer.load(exp_dir, device=device, vocoder=config.vocoder)
    chosen = [(name, sorted(open_splits([name], config), key=lambda cut: cut.id)) for name in names]
    for _, cuts in chosen:
        for cut in cuts:
            _tokens(cut, synthesizer)  # what cannot be spoken is said before hours of speaking
            synthesizer.speakers(cut)
    return [_speak_set(exp_dir / "synthesis" / set_name(name), cuts, synthesizer, seed) for name, cuts in chosen]


def speaking_config(exp_dir: Path, overrides: Sequence[str]) -> TtsTask.Config:
    """The experiment's config with another vocoder or other data.

    Raises:
        ConfigError: An override changes something that training has fixed.
    """
    for override in overrides:
        if not override.startswith(MAY_CHANGE):
            raise configs.ConfigError(
                f"{override}: synthesis can change vocoder, data.* and train.num_threads only; train again for the rest"
            )
    return load_config(exp_dir / "config.yaml", overrides, task="tts")


def _tokens(cut: Cut, synthesizer: Synthesizer) -> list[int]:
    try:
        tokens = synthesizer.tokenize(transcript(cut))
    except ValueError as error:
        raise ValueError(f"cut {cut.id}: {error}") from error
    if not tokens:
        raise ValueError(f"cut {cut.id}: expected a transcript to say, got {transcript(cut)!r} without tokens; leave it out")
    return tokens


def _speak_set(folder: Path, cuts: Sequence[Cut], synthesizer: Synthesizer, seed: int) -> Path:
    """Fill ``folder`` at another place; it appears when it is complete, and takes with it what was there before."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as scratch:
        partial = Path(scratch, folder.name)
        partial.mkdir()
        _say(cuts[0], synthesizer, seed)  # the first one waits for what is compiled and allocated once
        rows = [_speak_cut(partial, cut, synthesizer, seed) for cut in cuts]
        with open(partial / "utterances.jsonl", "w", encoding="utf-8") as file:
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row, _ in rows)
        write_json({"set": folder.name, **_facts(rows, synthesizer), "seed": seed}, partial / "synthesis.json")
        if folder.exists():
            folder.replace(Path(scratch, "before"))
        partial.replace(folder)
    return folder


def _say(cut: Cut, synthesizer: Synthesizer, seed: int) -> tuple[Utterance, float]:
    """The utterance, and the seconds that it took."""
    started = time.perf_counter()
    generator = synthesizer.generator(_seed(cut, seed))
    text = transcript(cut)
    said = synthesizer.say(synthesizer.tokenize(text), Manner(speaker=speaker(cut)), generator, text)
    return said, time.perf_counter() - started


def _seed(cut: Cut, seed: int) -> int:
    return zlib.crc32(f"{seed} {cut.id}".encode())


def _speak_cut(folder: Path, cut: Cut, synthesizer: Synthesizer, seed: int) -> tuple[dict[str, Any], int]:
    """Write the files of an utterance. Returns its line, and how many of its samples were clipped."""
    name = quote(cut.id, safe=" ")  # an id may hold what a file name must not
    said, seconds = _say(cut, synthesizer, seed)
    row = {
        "id": cut.id,
        "text": transcript(cut),
        "speaker": speaker(cut),
        "wav": _write_wav(folder, f"synthesised/{name}.wav", said.samples, said.sampling_rate),
        "natural": where_heard(cut),
        "vocoded": _vocode(folder, f"vocoded/{name}.wav", cut, synthesizer, seed),
        "duration": said.duration,
        "seconds": seconds,
        "finished": said.finished,
        "tokens": said.tokens,
        "token_frames": said.token_frames,
        "frame_shift": said.frame_shift,
        "pitch": None if said.pitch is None else [round(each, 1) for each in said.pitch.tolist()],
        "alignment": _write_alignment(folder, f"alignments/{name}.npy", said.alignment),
    }
    return row, said.num_clipped


def _write_wav(folder: Path, name: str, samples: np.ndarray, sampling_rate: int) -> str:
    (folder / name).parent.mkdir(exist_ok=True)
    soundfile.write(folder / name, samples, sampling_rate, subtype="PCM_16")
    return name


def _vocode(folder: Path, name: str, cut: Cut, synthesizer: Synthesizer, seed: int) -> str | None:
    if synthesizer.vocoder is None:
        return None
    wav = load_audio(cut, synthesizer.sampling_rate)
    if synthesizer.config.trim is not None:  # as training heard it
        wav = trim(wav, synthesizer.sampling_rate, synthesizer.config.trim)
    return _write_wav(folder, name, synthesizer.vocode(wav, _seed(cut, seed)), synthesizer.sampling_rate)


def _write_alignment(folder: Path, name: str, alignment: np.ndarray | None) -> str | None:
    if alignment is None:
        return None
    (folder / name).parent.mkdir(exist_ok=True)
    np.save(folder / name, alignment.astype(np.float16))
    return name


def _facts(rows: Sequence[tuple[dict[str, Any], int]], synthesizer: Synthesizer) -> dict[str, Any]:
    audio_seconds, seconds = (sum(row[key] for row, _ in rows) for key in ("duration", "seconds"))
    unfinished, clipped = sum(not row["finished"] for row, _ in rows), sum(number > 0 for _, number in rows)
    if unfinished or clipped:
        log.warn(f"of {len(rows)} utterances {unfinished} had to be stopped, and {clipped} have samples that were clipped")
    vocoder = synthesizer.vocoder
    return {
        "utterances": len(rows),
        "audio_seconds": audio_seconds,
        "seconds": seconds,
        "rtf": seconds / max(audio_seconds, 1e-9),
        "threads": torch.get_num_threads(),
        "device": synthesizer.device.type,
        "model": synthesizer.config.model.name,
        "parameters": _size(synthesizer.model),
        "vocoder": None if vocoder is None else synthesizer.config.vocoder,
        "vocoder_parameters": 0 if vocoder is None else _size(vocoder),
        "unfinished": unfinished,
        "clipped": clipped,
        "date": machine.today(),
        "machine": machine.describe(),
        "command": machine.command(),
    }


def _size(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())
