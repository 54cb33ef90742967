"""What acoustic models have in common that find each next frame's token by attention."""

from __future__ import annotations

import math
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from speechkit.models.acoustic.base import (
    AcousticModel,
    Alignment,
    Compared,
    Controls,
    Learned,
    Speech,
    Spoken,
)
from speechkit.models.acoustic.condition import TOLD
from speechkit.models.acoustic.speaking import Decoded, compare_stop, frames_heard, say_along, speak
from speechkit.nn.attention_durations import attention_durations
from speechkit.utils.lens import padding_mask


class AttentionModel(AcousticModel):
    """Encoder, a decoder that hears its past and looks at the encodings, and a post-net over what it said.

    A subclass makes ``self.encoder`` from tokens (B, U) and lengths to encodings (B, U, ``out_dim``), ``self.decoder``, see
    :meth:`decode`, and ``self.postnet`` from frames (B, T, F) and lengths to better ones; then it calls
    ``add_conditions(self.encoder.out_dim)``.
    """

    class Config(AcousticModel.Config):
        """Options of all acoustic models with attention."""

        reduction_factor: int = Field(1, ge=1)
        """r: frames that the decoder says in one step. More is faster, and easier to align."""
        stop_threshold: float = Field(0.5, gt=0, lt=1)
        """Probability of being the last frame above which a frame is the last."""
        max_token_seconds: float = Field(0.5, gt=0)
        """Synthesis is stopped when it takes longer than so many seconds for each token, and for two more."""
        own_frames: float = Field(0.0, ge=0, le=1)
        """Probability of a step in training to hear what the model has just said in place of the recording: 0 is teacher
        forcing, and fast; 1 is free running, and what is between scheduled sampling (Bengio et al., 2015)."""

    gives = frozenset({"mel", "mel_before", "stop", "alignment"})
    controls = TOLD | {"generator"}

    encoder: nn.Module
    decoder: nn.Module
    postnet: nn.Module

    def encode(self, tokens: Tensor, token_lens: Tensor, given: Speech | Controls) -> Tensor:
        """Encodings (B, U, M) of ``tokens`` (B, U), to be spoken as in recordings or as asked for."""
        memory = self.encoder(tokens.masked_fill(padding_mask(token_lens, tokens.shape[1]), 0), token_lens)
        cond = self.condition(given, token_lens)
        return memory if cond is None else memory + cond

    def start(self, memory: Tensor, memory_lens: Tensor) -> Any:
        """The decoder's state before the first step."""
        return self.decoder.start(memory, memory_lens)

    def start_speaking(self, memory: Tensor, memory_lens: Tensor) -> Any:
        """The same for synthesis."""
        return self.start(memory, memory_lens)

    def decode(self, frames: Tensor, state: Any, generator: torch.Generator | None = None) -> tuple[Decoded, Any]:
        """Some steps more, of which each hears one frame.

        One step after another gives the same as all at once (with one generator: the same draws from it, too).

        Args:
            frames: (B, S, F), what came before each step: the last frame of the step before, and zeros before the first.
            state: The one before; it is not changed.
            generator: Of the dropout that stays on.

        Returns:
            What it says, and the new state.
        """
        return self.decoder(frames, state, generator)

    def forward(self, speech: Speech) -> Learned:
        """Learn from recordings, each step told what came before it, but for those that hear what the model has said."""
        memory = self.encode(speech.tokens, speech.token_lens, speech)
        return self.compare(self.follow(speech, memory, self.config.own_frames if self.training else 0.0), speech)

    def follow(
        self, speech: Speech, memory: Tensor, own: float = 0.0, generator: torch.Generator | None = None
    ) -> Decoded:
        """Say as many frames as recordings have.

        Args:
            speech: The recordings.
            memory: (B, U, M) encodings.
            own: Probability of a step to hear what the model has just said, not the recording; see the config.
            generator: Of the dropout that stays on.
        """
        told, _ = frames_heard(speech.feats, speech.feat_lens, self.config.reduction_factor)
        state = self.start(memory, speech.token_lens)
        if own == 0:
            return self.decode(told, state, generator)[0]

        def step(frame: Tensor) -> Decoded:
            nonlocal state
            decoded, state = self.decode(frame, state, generator)
            return decoded

        return say_along(step, told, own)

    def compare(self, decoded: Decoded, speech: Speech) -> Learned:
        """What was said, and what the post-net makes of it, beside recordings."""
        before = decoded.feats[:, : speech.feats.shape[1]]
        after = self.postnet(before, speech.feat_lens)
        compared = {
            "mel": Compared(after, speech.feats, speech.feat_lens),
            "mel_before": Compared(before, speech.feats, speech.feat_lens),
            "stop": compare_stop(decoded.stop, speech.feat_lens, self.config.reduction_factor),
        }
        step_lens = -(-speech.feat_lens // self.config.reduction_factor)
        return Learned(compared, alignment=Alignment(decoded.weights, step_lens, speech.token_lens))

    @torch.no_grad()
    def synthesize(self, tokens: Tensor, token_lens: Tensor, controls: Controls) -> Spoken:
        """Speak until it says that it has ended, or until it takes too long."""
        memory = self.encode(tokens, token_lens, controls)
        state = self.start_speaking(memory, token_lens)

        def step(frame: Tensor) -> Decoded:
            nonlocal state
            decoded, state = self.decode(frame.to(memory.dtype), state, controls.generator)
            return decoded

        longest = math.ceil(self.config.max_token_seconds / self.facts.frame_shift)
        said = speak(step, (token_lens + 2) * longest, self.facts.feat_dim, self.config.stop_threshold)
        durations, _ = attention_durations(said.weights.unsqueeze(1), said.feat_lens, token_lens)
        feats = self.postnet(said.feats, said.feat_lens)
        return Spoken(feats, said.feat_lens, durations, said.weights, finished=said.finished)
