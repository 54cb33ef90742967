"""Non-Attentive Tacotron: Tacotron 2 with durations in place of attention."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from speechkit.models.acoustic.base import (
    AcousticFacts,
    AcousticModel,
    Compared,
    Controls,
    Learned,
    Speech,
    Spoken,
)
from speechkit.models.acoustic.condition import TOLD
from speechkit.models.acoustic.post_net import PostnetConfig
from speechkit.models.acoustic.speaking import frames_heard
from speechkit.models.acoustic.text_encoder import TextEncoder, TextEncoderConfig
from speechkit.models.acoustic.token_frames import predicted_durations, recorded_durations
from speechkit.nn.gaussian_upsampling import GaussianUpsampling
from speechkit.nn.linear import Linear
from speechkit.nn.prenet import Prenet
from speechkit.nn.recurrent import State, ZoneoutLstm
from speechkit.nn.recurrent_stack import RecurrentStack
from speechkit.nn.text_aligner import TextAligner
from speechkit.nn.variance_predictor import log_durations
from speechkit.utils.lens import padding_mask

FrameState = tuple[State, ...]


class NonAttentiveTacotron(AcousticModel, name="non_attentive_tacotron"):
    """The encoder of Tacotron 2, durations, Gaussian upsampling, and a decoder that hears its last frame and what is to be said
    now (Shen et al., 2020, Non-Attentive Tacotron: Robust and controllable neural TTS synthesis including unsupervised duration
    modeling, arXiv:2010.04301, section 3). It cannot repeat or lose words, and its speed can be asked for.

    It learns with the losses ``mel`` and ``mel_before`` (l1 and mse in the paper) and ``log_duration`` (mse).

    Differs from the paper: the predictor says ``ln(1 + d)`` of frames, not seconds; without durations in the data an aligner
    finds them, where the paper has a variational autoencoder; a frame is said in each step.
    """

    class Config(TextEncoderConfig, PostnetConfig):
        """Options of the Non-Attentive Tacotron."""

        durations: Literal["given", "aligner"] = "given"
        """Where training has durations from: given with the data, or from an aligner that is learned at the same time
        (Badlani et al., 2021), which wants the objectives forward_sum and, once it is sharp, binarization."""
        duration_dim: int = Field(512, ge=2, multiple_of=2)
        """Width of the LSTMs that predict durations, half of it to each side."""
        duration_layers: int = Field(2, ge=1)
        """Their number; the ranges of the Gaussians have as many."""
        prenet_dims: tuple[int, ...] = (256, 256)
        """Widths of the layers that hear the last frame."""
        prenet_dropout: float = Field(0.5, ge=0, lt=1)
        """Dropout probability in these, in synthesis, too."""
        dim: int = Field(1024, ge=1)
        """Cells of each of the decoder's LSTMs."""
        num_layers: int = Field(2, ge=1)
        """Of them."""
        zoneout: float = Field(0.1, ge=0, lt=1)
        """Probability of a cell to keep its state for a step."""

    needs = frozenset({"durations"})
    gives = frozenset({"mel", "mel_before", "log_duration", "alignment"})
    controls = TOLD | {"speed", "generator"}

    def __init__(self, config: Config, facts: AcousticFacts) -> None:
        super().__init__(config, facts)
        self.encoder = TextEncoder(config, facts.vocabulary.size)
        dim = self.encoder.out_dim
        self.add_conditions(dim)
        aligned = config.durations == "aligner"
        self.needs = type(self).needs - ({"durations"} if aligned else set())
        self.gives = type(self).gives - (set() if aligned else {"alignment"})
        self.aligner = TextAligner(dim, facts.feat_dim) if aligned else None
        self.duration = DurationPredictor(dim, config.duration_dim, config.duration_layers)
        self.upsampling = GaussianUpsampling(dim, config.duration_layers)
        self.prenet = Prenet(facts.feat_dim, config.prenet_dims, config.prenet_dropout)
        widths = [self.prenet.out_dim + dim] + [config.dim] * (config.num_layers - 1)
        self.stack = RecurrentStack([ZoneoutLstm(width, config.dim, config.zoneout) for width in widths])
        self.out = Linear(config.dim + dim, facts.feat_dim)
        self.postnet = config.make_postnet(facts.feat_dim)

    def encode(self, tokens: Tensor, token_lens: Tensor, given: Speech | Controls) -> Tensor:
        """Encodings (B, U, D) of ``tokens`` (B, U), to be spoken as in recordings or as asked for, 0 at padding."""
        padding = padding_mask(token_lens, tokens.shape[1])
        encoded = self.encoder(tokens.masked_fill(padding, 0), token_lens)
        cond = self.condition(given, token_lens)
        return encoded if cond is None else (encoded + cond).masked_fill(padding.unsqueeze(2), 0.0)

    def start(self, upsampled: Tensor) -> FrameState:
        """The decoder's state before the first frame of ``upsampled`` (B, T, D)."""
        return self.stack.start(len(upsampled), upsampled)

    def decode(
        self, frames: Tensor, upsampled: Tensor, state: FrameState, generator: torch.Generator | None = None
    ) -> tuple[Tensor, FrameState]:
        """Some frames more; one after another they are the same as all at once.

        Args:
            frames: (B, S, F), the frame before each, zeros before the first.
            upsampled: (B, S, D), what is to be said in each.
            state: The one before; it is not changed.
            generator: Of the dropout that stays on.

        Returns:
            (B, S, F) and the new state.
        """
        heard = torch.cat([self.prenet(frames, generator), upsampled], dim=2)
        out, state = self.stack(heard, state)
        return self.out(torch.cat([out, upsampled.to(out.dtype)], dim=2)), state

    def forward(self, speech: Speech) -> Learned:
        """Learn from recordings, each frame told the one before it."""
        encoded = self.encode(speech.tokens, speech.token_lens, speech)
        durations, alignment = recorded_durations(speech, encoded, self.aligner)
        predicted = self.duration(encoded, speech.token_lens)
        upsampled, _, _ = self.upsampling(encoded, speech.token_lens, durations, speech.feats.shape[1])
        heard, _ = frames_heard(speech.feats, speech.feat_lens, 1)
        before, _ = self.decode(heard, upsampled, self.start(upsampled))
        compared = {
            "mel": Compared(self.postnet(before, speech.feat_lens), speech.feats, speech.feat_lens),
            "mel_before": Compared(before, speech.feats, speech.feat_lens),
            "log_duration": Compared(predicted, log_durations(durations), speech.token_lens),
        }
        return Learned(compared, alignment=alignment)

    @torch.no_grad()
    def synthesize(self, tokens: Tensor, token_lens: Tensor, controls: Controls) -> Spoken:
        """Speak for as long as the predicted durations say."""
        encoded = self.encode(tokens, token_lens, controls)
        logs = self.duration(encoded, token_lens)
        durations = predicted_durations(logs, token_lens, controls.speed, self.aligner)
        upsampled, lens, _ = self.upsampling(encoded, token_lens, durations)
        frame, state, said = upsampled.new_zeros(len(tokens), 1, self.facts.feat_dim), self.start(upsampled), []
        for now in upsampled.split(1, dim=1):
            frame, state = self.decode(frame.to(upsampled.dtype), now, state, controls.generator)
            said.append(frame)
        return Spoken(self.postnet(torch.cat(said, dim=1), lens), lens, durations)


class DurationPredictor(nn.Module):
    """LSTMs to both sides and a projection to one number for each token (section 3 of the paper).

    Args:
        in_dim: Width of the encodings.
        dim: Width of the LSTMs, half of it to each side.
        num_layers: Their number.
    """

    def __init__(self, in_dim: int, dim: int, num_layers: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(in_dim, dim // 2, num_layers, batch_first=True, bidirectional=True)
        self.out = nn.Linear(dim, 1)

    def forward(self, x: Tensor, x_lens: Tensor) -> Tensor:
        """Map ``x`` (B, U, D) to (B, U), 0 at padding."""
        # Packing knows no empty sequence: one of length 0 is read as one token, and then hidden.
        packed = pack_padded_sequence(x, x_lens.clamp(min=1).cpu(), batch_first=True, enforce_sorted=False)
        out, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=x.shape[1])
        return self.out(out).squeeze(2).masked_fill(padding_mask(x_lens, x.shape[1]), 0.0)
