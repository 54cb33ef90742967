"""Distillation: a voice learns to speak by itself from voices that were told the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from speechkit.config import inline
from speechkit.data.speakers import SpeakerTable
from speechkit.data.tts_batch import TtsBatch
from speechkit.models.acoustic.attention_model import AttentionModel
from speechkit.models.acoustic.base import AcousticModel, Compared, Learned, Speech
from speechkit.models.tts import TtsModel
from speechkit.tasks.base import load_config
from speechkit.tasks.tts import SPEAKERS, TtsTask
from speechkit.tasks.voice import WEIGHTS, load_voice
from speechkit.text.tokenizer import Tokenizer
from speechkit.utils.files import sha256
from speechkit.utils.model_dir import check_model_dir, read_json

SHARED = ("featurizer", "cmvn", "normalizer", "tokenizer")
"""Keys at which teachers and student have to be configured alike."""


class DistillTask(TtsTask, name="distill"):
    """A student that hears what it has just said, as in synthesis, is to have the hidden states of teachers that hear the
    recording (Liu et al., 2019, Teacher-student training for robust Tacotron-based TTS, arXiv:1911.02839)::

        L = L_speech + w_enc |h_S - h_T|^2 + w_dec |d_S - d_T|^2

    with h the encodings of the text, and d the decoder's hidden states of all steps; both decoders read the student's h. The
    objectives say which distances and weights: ``encoder_states`` and ``decoder_states`` are judged as ``mel`` is.

    The student begins as the first teacher. Further ones, such as a voice that was trained with scheduled sampling
    (``model.own_frames``), give ``encoder_states_2``, ``decoder_states_2`` ... Teachers are not trained, and not saved.

    Differs from the paper: teacher and student drop the same units of the prenets in a step, so that their states differ by
    what they heard only. Gradients also go back through the frames that the student hears.
    """

    class Config(TtsTask.Config):
        """Distillation."""

        teachers: tuple[str, ...] = Field(min_length=1)
        """Model directories of voices with attention, relative to where training is started; the student begins as the
        first of them."""

        def model_post_init(self, context: Any) -> None:
            """Only what speaks by attention hears itself."""
            if not issubclass(self.model.component, AttentionModel):
                kinds = ", ".join(sorted(k for k, v in AcousticModel.registry.items() if issubclass(v, AttentionModel)))
                raise ValueError(f"model: expected one that hears what it has said, {kinds}, got {self.model.name}")
            super().model_post_init(context)

        def given(self, model: type[AcousticModel] | AcousticModel) -> frozenset[str]:
            """What the model gives, and the states."""
            states = (name for number in range(len(self.teachers)) for name in state_names(number))
            return model.gives.union(states)

    def __init__(self, config: Config, tokenizer: Tokenizer, speakers: SpeakerTable, device: torch.device) -> None:
        super().__init__(config, tokenizer, speakers, device)
        self.teachers = [load_teacher(Path(each), self.model).to(device) for each in config.teachers]

    @classmethod
    def check(cls, config: Config) -> None:
        """Compare the config with those of the teachers, and the teachers' tokens and speakers with each other."""
        for each in config.teachers:
            check_teacher(config, Path(each))
        first, *others = config.teachers
        for each in others:
            if _tables(Path(each)) != _tables(Path(first)):
                raise ValueError(
                    f"teachers: expected tokens and speakers to be those of {first}, got others in {each}; leave one out"
                )

    @classmethod
    def training_data(cls, config: Config) -> dict[str, Any]:
        """Facts of the manifests and of the teachers; see :meth:`Task.training_data`."""
        facts = super().training_data(config)
        facts["fingerprints"] |= {each: sha256(Path(each) / WEIGHTS) for each in config.teachers}
        return facts

    @classmethod
    def prepare(cls, config: Config, exp_dir: Path, resuming: bool) -> None:
        """Copy tokens and speakers of the teachers."""
        if resuming:
            return
        teacher = Path(config.teachers[0])
        Tokenizer.load(teacher / "tokenizer").save(exp_dir / "tokenizer")
        SpeakerTable.load(teacher / SPEAKERS).save(exp_dir / SPEAKERS)

    def begin(self) -> None:
        """Let the student be the first teacher, down to the statistics of its features."""
        self.model.load_state_dict(self.teachers[0].state_dict())

    def learn(self, batch: TtsBatch) -> Learned:
        """What the student says by itself, and its states beside those of its teachers."""
        speech = self.model.normalized(self.speech(batch))
        return distill(self.model.acoustic, [each.acoustic for each in self.teachers], speech)


def distill(student: AttentionModel, teachers: Sequence[AttentionModel], speech: Speech) -> Learned:
    """Let the student say recordings by itself, and compare its states with those of teachers who hear the recordings."""
    seed = int(torch.randint(1 << 31, ()))  # each of them drops the same
    memory = student.encode(speech.tokens, speech.token_lens, speech)
    said = student.follow(speech, memory, own=1.0, generator=torch.Generator().manual_seed(seed))
    learned = student.compare(said, speech)
    compared = dict(learned.compared)
    for number, teacher in enumerate(teachers):
        target, states = teach(teacher, speech, memory, seed)
        encoder, decoder = state_names(number)
        compared[encoder] = Compared(memory, target, speech.token_lens)
        compared[decoder] = Compared(said.states, states, learned.alignment.step_lens)
    return replace(learned, compared=compared)


@torch.no_grad()
def teach(teacher: AttentionModel, speech: Speech, memory: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """A teacher's own encodings (B, U, M), and the states (B, S, D) of its decoder over ``memory``, told the truth."""
    target = teacher.encode(speech.tokens, speech.token_lens, speech)
    told = teacher.follow(speech, memory.detach(), generator=torch.Generator().manual_seed(seed))
    return target, told.states


def state_names(number: int) -> tuple[str, str]:
    """What is compared with teacher ``number``, from 0 on."""
    suffix = f"_{number + 1}" if number else ""
    return f"encoder_states{suffix}", f"decoder_states{suffix}"


def check_teacher(config: DistillTask.Config, model_dir: Path) -> None:
    """Refuse a teacher who reads other tokens or hears other features than the student.

    Raises:
        ValueError: Naming the key.
    """
    check_model_dir(model_dir)
    teacher = load_config(model_dir / "config.yaml", task="tts")
    for key in SHARED:
        expected, got = getattr(teacher, key), getattr(config, key)
        if expected != got:
            raise ValueError(
                f"{key}: expected {inline(expected)}, as the teacher in {model_dir} has it, got {inline(got)}; change it"
            )


def _tables(model_dir: Path) -> dict[str, str]:
    """Checksums of what tells tokens and speakers apart."""
    sums = read_json(model_dir / "checksums.json")
    return {name: sum for name, sum in sums.items() if name not in ("config.yaml", WEIGHTS)}


def load_teacher(model_dir: Path, student: TtsModel) -> TtsModel:
    """A trained voice that is not to be trained any more.

    Raises:
        ValueError: It cannot be read, or its network is another than the student's.
    """
    voice = load_voice(model_dir)
    teacher, name = voice.model, voice.config.model.name
    sizes, expected = ({k: tuple(v.shape) for k, v in each.state_dict().items()} for each in (teacher, student))
    if name != student.acoustic.config.name or sizes != expected:
        differing = [key for key in {**expected, **sizes} if sizes.get(key) != expected.get(key)]
        raise ValueError(
            f"teachers: expected networks like the student's, {student.acoustic.config.name}, got {name} in "
            f"{model_dir}, which differs in {', '.join(differing[:3])}; take the model of the teacher's config.yaml"
        )
    return teacher.eval().requires_grad_(False)
