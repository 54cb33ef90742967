"""A finished voice as its model directory has it: what speaks with it, and what learns from it, begins here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from speechkit.data.speakers import SpeakerTable
from speechkit.models.tts import TtsModel
from speechkit.tasks.base import load_config
from speechkit.tasks.tts import SPEAKERS, TtsTask, build_model
from speechkit.text.tokenizer import Tokenizer
from speechkit.utils.model_dir import check_model_dir, load_weights

WEIGHTS = "averaged.safetensors"


@dataclass(frozen=True)
class VoiceParts:
    """What belongs to a voice beside its vocoder.

    Args:
        config: The experiment's config.
        tokenizer: Fitted.
        speakers: Who can speak.
        model: With trained weights, on the CPU, as it was when it was trained.
    """

    config: TtsTask.Config
    tokenizer: Tokenizer
    speakers: SpeakerTable
    model: TtsModel


def load_voice(model_dir: Path, overrides: Sequence[str] = ()) -> VoiceParts:
    """Read a voice's model directory, after comparing it with its checksums.

    Args:
        model_dir: An experiment folder after ``speechkit average``, or a copy of its model files.
        overrides: Changes to its config, ``key=value``.

    Raises:
        ValueError: It is no voice, or a file is missing, altered or unreadable (the message names it).
    """
    check_model_dir(model_dir)
    config = load_config(model_dir / "config.yaml", overrides, task="tts")
    tokenizer, speakers = Tokenizer.load(model_dir / "tokenizer"), SpeakerTable.load(model_dir / SPEAKERS)
    model = build_model(config, tokenizer.vocabulary, len(speakers))
    model.load_state_dict(load_weights(model_dir / WEIGHTS))
    return VoiceParts(config, tokenizer, speakers, model)
