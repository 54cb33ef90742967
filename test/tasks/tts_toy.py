"""Voices so small that they train in moments, and configs of them on the corpus of tones: for tests of synthesis' tasks."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import tiny
import torch
from torch import Tensor, nn

from speechkit.config import ComponentConfig
from speechkit.models.acoustic.base import (
    AcousticFacts,
    AcousticModel,
    Compared,
    Controls,
    Learned,
    Segments,
    Speech,
    Spoken,
)
from speechkit.models.acoustic.condition import TOLD
from speechkit.tasks import training
from speechkit.tasks.base import load_config
from speechkit.tasks.evaluate import average
from speechkit.train import checkpoint
from speechkit.train.trainer import Trainer
from speechkit.utils.lens import padding_mask

FEATURIZER = "{sampling_rate: 8000, n_fft: 128, win_length: 128, hop_length: 48, num_mel_bins: 11, high_freq: 0}"

TTS = f"""
task: tts
seed: 3
tokenizer: word
featurizer: {FEATURIZER}
model: toy_voice
objectives: {{mel: l1}}
data: {{root: DATA, cache_audio: true, sampler: {{batch_duration: 9}}}}
train: {{max_epochs: 3, optimizer: {{lr: 0.02}}, validate_every: 3, average: 2}}
"""

VOCODER = f"""
task: vocoder
seed: 3
featurizer: {FEATURIZER}
vocoder: {{name: hifigan, dim: 16, kernel_sizes: [3], dilations: [[1]]}}
discriminator: {{name: multi_period, periods: [2, 3], dim: 32}}
segment_frames: 10
batch_size: 7
valid_spoken: 3
data: {{root: DATA, cache_audio: true}}
train: {{max_epochs: 2, optimizer: {{lr: 0.002}}, validate_every: 2, average: 2}}
"""

WAVE = ["model=toy_wave", "discriminator={name: multi_period, periods: [2, 3], dim: 32}"]


def write_corpus(folder: Path, conf: str = TTS) -> Path:
    """Manifests of train and dev in ``folder/data``, and ``folder/conf.yaml``. Returns the config's path."""
    for split, count, seed in (("train", 12, 1), ("dev", 5, 2)):
        tiny.write_split(folder / "data", split, count, seed)
    path = folder / "conf.yaml"
    path.write_text(conf.replace("DATA", str(folder / "data")))
    return path


def state(exp_dir: Path) -> dict:
    """The newest checkpoint."""
    return checkpoint.load(checkpoint.steps(exp_dir / "checkpoints", ".pt")[-1][1])


def stop_after(monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    """Ctrl-C after so many steps."""
    step = Trainer._train_step

    def stopping(self, group, waited):
        step(self, group, waited)
        if self.step == steps:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Trainer, "_train_step", stopping)


class ToyVoice(AcousticModel, name="toy_voice"):
    """Spreads tokens evenly over the frames; each frame looks at its token and at its speaker."""

    gives = frozenset({"mel", "length"})
    controls = frozenset({"speakers"})

    def __init__(self, config: ComponentConfig, facts: AcousticFacts) -> None:
        super().__init__(config, facts)
        self.tokens, self.speakers = nn.Embedding(facts.vocabulary.size, 7), nn.Embedding(facts.num_speakers, 7)
        self.out = nn.Linear(7, facts.feat_dim)

    def hidden(self, tokens: Tensor, token_lens: Tensor, feat_lens: Tensor, speakers: Tensor) -> Tensor:
        """(B, T, 7)."""
        frames = torch.arange(int(feat_lens.max()), device=tokens.device)
        place = (frames * token_lens.unsqueeze(1) // feat_lens.unsqueeze(1)).clamp(max=tokens.shape[1] - 1)
        return self.tokens(tokens.gather(1, place)) + self.speakers(speakers).unsqueeze(1)

    def forward(self, speech: Speech) -> Learned:
        predicted = self.out(self.hidden(speech.tokens, speech.token_lens, speech.feat_lens, speech.speakers))
        return Learned(
            {"mel": Compared(predicted, speech.feats, speech.feat_lens)}, {"length": predicted.square().sum((1, 2))}
        )

    def synthesize(self, tokens: Tensor, token_lens: Tensor, controls: Controls) -> Spoken:
        lens = 5 * token_lens
        feats = self.out(self.hidden(tokens, token_lens, lens, controls.speakers))
        durations = 5 * (~padding_mask(token_lens, tokens.shape[1])).long()
        return Spoken(feats.masked_fill(padding_mask(lens).unsqueeze(2), 0.0), lens, durations)


class ToyWave(ToyVoice, name="toy_wave"):
    """Goes on to 9 frames of the waveform."""

    gives = frozenset({"mel", "segments"})
    needs = frozenset({"wav", "energy"})

    class Config(ComponentConfig):
        random_starts: bool = False
        """Whether pieces lie anywhere."""

    def __init__(self, config: Config, facts: AcousticFacts) -> None:
        super().__init__(config, facts)
        self.wave = nn.Linear(facts.feat_dim + 1, facts.hop_length)

    def forward(self, speech: Speech) -> Learned:
        learned = super().forward(speech)
        starts = (
            torch.randint(20, (len(speech.tokens),)) if self.config.random_starts else torch.full((len(speech.tokens),), 2)
        )
        rows, frames = torch.arange(len(starts)).unsqueeze(1), starts.unsqueeze(1) + torch.arange(9)
        heard = torch.cat([learned.compared["mel"].predicted, speech.energy.unsqueeze(2)], 2)
        wav = self.wave(heard[rows, frames.clamp(max=heard.shape[1] - 1)]).flatten(1).tanh()
        return Learned(learned.compared, segments=Segments(wav, starts, 9))


class ToyNeedy(ToyVoice, name="toy_needy"):
    """Needs everything that data can have."""

    gives = frozenset({"mel", "pitch"})
    needs = frozenset({"durations", "pitch"})

    def forward(self, speech: Speech) -> Learned:
        learned = super().forward(speech)
        assert torch.equal(speech.durations.sum(1), speech.feat_lens)
        assert speech.pitch.shape == speech.feats.shape[:2]
        pitch = Compared(learned.compared["mel"].predicted[..., 0], speech.pitch, speech.feat_lens)
        return Learned({**learned.compared, "pitch": pitch})


class ToyNoisy(ToyVoice, name="toy_noisy"):
    """Obeys speed and temperature, and tells its pitch; says nothing finite, or does not end, on request."""

    class Config(ComponentConfig):
        broken: bool = False
        """Whether it says NaN."""
        endless: bool = False
        """Whether it has to be stopped."""

    controls = frozenset({"speakers", "speed", "temperature", "pitch_shift"})

    def synthesize(self, tokens: Tensor, token_lens: Tensor, controls: Controls) -> Spoken:
        frames = round(6 / controls.speed)
        durations = torch.full_like(tokens, frames)
        feats = self.out(self.hidden(tokens, token_lens, frames * token_lens, controls.speakers))
        feats = feats + controls.temperature * torch.randn(feats.shape, generator=controls.generator)
        pitch = torch.full(feats.shape[:2], 100.0 * 2 ** (controls.pitch_shift / 12))
        finished = torch.full_like(token_lens, not self.config.endless, dtype=torch.bool)
        feats = feats * float("nan") if self.config.broken else feats
        return Spoken(feats, frames * token_lens, durations, pitch=pitch, finished=finished)


class ToyTold(ToyVoice, name="toy_told"):
    """Is told who speaks, and how, by conditions: adds what they say to each frame."""

    class Config(AcousticModel.Config):
        """Conditions."""

    controls = TOLD

    def __init__(self, config: Config, facts: AcousticFacts) -> None:
        super().__init__(config, facts)
        self.add_conditions(7)

    def hidden(self, tokens: Tensor, token_lens: Tensor, feat_lens: Tensor, speakers: Tensor) -> Tensor:
        return super().hidden(tokens, token_lens, feat_lens, speakers) + self.told

    def forward(self, speech: Speech) -> Learned:
        self.told = self.condition(speech, speech.token_lens)
        return super().forward(speech)

    def synthesize(self, tokens: Tensor, token_lens: Tensor, controls: Controls) -> Spoken:
        self.told = self.condition(controls, token_lens)
        return super().synthesize(tokens, token_lens, controls)


def finish(folder: Path, conf: str = TTS, overrides: tuple[str, ...] = ()) -> Path:
    """A model directory in ``folder/exp``, trained for a moment."""
    exp = folder / "exp"
    assert training.train(load_config(write_corpus(folder, conf), ["train.max_steps=2", *overrides]), exp)
    average(exp)
    return exp
