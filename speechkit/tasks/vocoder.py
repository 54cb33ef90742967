"""Vocoding: joins recordings, features and a vocoder of any family."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from speechkit.config import Choice, inline
from speechkit.data import corpora  # noqa: F401 - registers the corpora
from speechkit.data.corpora.base import Corpus
from speechkit.data.loader import BatchLoader
from speechkit.data.segments import SegmentBatch, SegmentDataset, SegmentSampler, SegmentShape
from speechkit.features.base import Featurizer
from speechkit.features.mel import HifiganMel
from speechkit.models import vocoder as vocoders  # noqa: F401 - registers the vocoders
from speechkit.models.vocoder.base import AutoregressiveVocoder, FlowVocoder, Vocoder, VocoderInput, WaveGenerator
from speechkit.models.vocoder.hifigan import HifiGan
from speechkit.nn.segments import take_segments
from speechkit.nn.weight_norm import remove_weight_norm
from speechkit.objectives.flow_likelihood import flow_nats
from speechkit.objectives.spectral import MelLoss
from speechkit.tasks.base import load_config
from speechkit.tasks.manifests import DataConfig, manifest_facts, open_splits
from speechkit.tasks.waves import WaveTask, check_data, check_discriminator, weighted_sum
from speechkit.train.task import Losses
from speechkit.utils import dist
from speechkit.utils.model_dir import check_model_dir, load_weights

FAMILIES = (WaveGenerator, AutoregressiveVocoder, FlowVocoder)


class VocoderTask(WaveTask, name="vocoder"):
    """Vocoding: a vocoder in training, on random pieces of recordings.

    Which piece of a recording is heard in an epoch depends on the seed, the epoch and the cut's id alone. Its features are
    those that its frames have in the whole recording.

    Args:
        config: The experiment.
        device: Where the networks are.
    """

    class Config(WaveTask.Config):
        """A vocoder."""

        corpus: Choice[Corpus] | None = None
        """The corpus that `speechkit prepare` makes manifests of; null if they come from elsewhere."""
        data: DataConfig = DataConfig()
        """Manifests; batches are of batch_size pieces, whatever data.sampler.batch_duration says."""
        featurizer: Choice[Featurizer] = HifiganMel.Config()
        """Waveform to the features that are spoken."""
        vocoder: Choice[Vocoder] = HifiGan.Config()
        """Features to waveform."""
        segment_frames: int = Field(32, ge=1)
        """Frames of the pieces to learn from."""
        batch_size: int = Field(16, ge=1)
        """Pieces in one rank's batch."""
        flow_sigma: float = Field(1.0, gt=0)
        """Standard deviation of the noise that a flow maps recordings to."""
        valid_spoken: int = Field(16, ge=1)
        """Pieces that are spoken in validation, and compared with recordings by mel; of those that say one sample after
        another each takes seconds."""

        def model_post_init(self, context: Any) -> None:
            """Pieces of recordings have features of their own; a family is trained as it must be."""
            check_data(self)
            family = self.vocoder.component
            if not issubclass(family, FAMILIES):
                raise ValueError(f"vocoder.name: expected one that learns, got {self.vocoder.name}, which needs no training")
            check_discriminator(self, issubclass(family, WaveGenerator), f"vocoder {self.vocoder.name}")

    metrics = ("loss", "mel_distance")

    def __init__(self, config: Config, device: torch.device) -> None:
        self.config, self.device = config, device
        self.featurizer = config.featurizer.build().to(device)
        check_frames(self.featurizer)
        torch.manual_seed(config.seed)  # initial weights are the same on all ranks
        self.model = build_vocoder(config, self.featurizer).to(device)
        self.networks = {"model": self.model}
        self.set_critic(self.featurizer, isinstance(self.model, WaveGenerator))
        self.mel = MelLoss.Config().build(featurizer=self.featurizer)
        self.valid_loader: BatchLoader | None = None

    @property
    def weights(self) -> dict[str, float]:
        """Of each loss at this step."""
        return self.critic_weights() | {"nats": 1.0}

    # --- before training ------------------------------------------------------------------------------------------

    @classmethod
    def training_data(cls, config: Config) -> dict[str, Any]:
        """Facts of the manifests; see :meth:`Task.training_data`."""
        return manifest_facts(config)

    @classmethod
    def prepare(cls, config: Config, exp_dir: Path, resuming: bool) -> None:
        """Nothing is needed beside the networks."""

    @classmethod
    def restore(cls, config: Config, exp_dir: Path, device: torch.device) -> VocoderTask:
        """The task; it has nothing to read."""
        return cls(config, device)

    # --- data -----------------------------------------------------------------------------------------------------

    def batches(self) -> BatchLoader:
        """The training batches of this rank."""
        ranks = {"rank": dist.rank(), "world_size": dist.world_size()}
        data = self.config.data
        cuts = open_splits(data.train, self.config)
        sampler = SegmentSampler(cuts, data.sampler, self.config.batch_size, shuffle=True, seed=self.config.seed, **ranks)
        return BatchLoader(sampler, self._dataset(), data.num_workers)

    def _valid_batches(self) -> BatchLoader:
        """One piece of each utterance, always the same."""
        data = self.config.data
        every = data.sampler.model_copy(update={"min_duration": 0.0, "max_duration": None})
        cuts = open_splits(data.valid, self.config)
        return BatchLoader(SegmentSampler(cuts, every, self.config.batch_size, seed=self.config.seed), self._dataset())

    def _dataset(self) -> SegmentDataset:
        framing, hop_length = self.featurizer.framing, self.featurizer.hop_length
        context = max(framing.left, framing.window_length - framing.left - hop_length)
        shape = SegmentShape(self.config.segment_frames, hop_length, self.featurizer.sampling_rate, context)
        return SegmentDataset(shape, self.config.data.cache_audio)

    @torch.no_grad()
    def pieces(self, batch: SegmentBatch) -> tuple[Tensor, Tensor]:
        """Features (B, N, F) and samples (B, N * hop_length) of the pieces of a batch."""
        count, hop_length = self.config.segment_frames, self.featurizer.hop_length
        feats, _ = self.featurizer(batch.wavs, batch.wav_lens)
        wav = take_segments(batch.wavs, batch.starts * hop_length, count * hop_length)
        return take_segments(feats, batch.starts, count), wav

    # --- the trainer's view ---------------------------------------------------------------------------------------

    def at_step(self, step: int) -> None:
        """Hear the step, since the discriminator may begin later."""
        self.step = step

    def losses(self, batch: SegmentBatch) -> Iterator[tuple[str, Losses]]:
        """Yield the discriminator and the vocoder, or the vocoder alone with its nats per sample."""
        feats, wav = self.pieces(batch)
        if isinstance(self.model, WaveGenerator):
            fake = self.model(feats, self.model.draw_noise(feats))
            yield from self.wave_turns(wav, fake, {})
        else:
            yield "model", {"nats": self._nats(feats, wav)}

    def _nats(self, feats: Tensor, wav: Tensor) -> Tensor:
        """(B,) minus the log-likelihood, per sample."""
        if isinstance(self.model, FlowVocoder):
            noise, log_det = self.model(feats, wav)
            return flow_nats(noise, log_det, self.config.flow_sigma, normalize="sample")
        return self.model(feats, wav).mean(1)

    def validate(self) -> dict[str, float]:
        """Weighted loss per piece, without what a discriminator would say, and the mean absolute difference of log-mel
        features between speech and recordings."""
        if self.valid_loader is None:
            self.valid_loader = self._valid_batches()
        total, count, distances = 0.0, 0, []
        with self.fixed_draws():
            for batch in self.valid_loader.epoch(0):
                feats, wav = self.pieces(batch.to(self.device))
                total += self._valid_loss(feats, wav).sum().item()
                if (wanted := self.config.valid_spoken - count) > 0:
                    distances += self._mel_distances(feats[:wanted], wav[:wanted]).tolist()
                count += len(batch)
        return {"loss": total / count, "mel_distance": sum(distances) / len(distances)}

    def _valid_loss(self, feats: Tensor, wav: Tensor) -> Tensor:
        if not isinstance(self.model, WaveGenerator):
            return self._nats(feats, wav)
        fake = self.model(feats, self.model.draw_noise(feats))
        return weighted_sum(self.wave_differences(wav, fake), self.wave_weights) + wav.new_zeros(len(wav))

    def _mel_distances(self, feats: Tensor, wav: Tensor) -> Tensor:
        lens = torch.full((len(feats),), feats.shape[1], dtype=torch.int64, device=feats.device)
        said, _ = self.model.generate(feats, lens)
        return self.mel(said, wav)

    def take_notes(self) -> list[dict[str, Any]]:
        """Nothing: recordings that cannot be used end training."""
        return []


def build_vocoder(config: VocoderTask.Config, featurizer: Featurizer) -> Vocoder:
    """The network of a config; what follows from the features is computed here."""
    return config.vocoder.build(given=VocoderInput.of(featurizer))


def load_vocoder(model_dir: Path, featurizer: Featurizer, device: torch.device) -> Vocoder:
    """A trained vocoder, for speaking the features of a voice.

    Raises:
        ValueError: A file is missing or altered, it is no vocoder, or it speaks other features.
    """
    check_model_dir(model_dir)
    config = load_config(model_dir / "config.yaml", task="vocoder")
    voice, own = featurizer.config, config.featurizer
    if voice != own:
        raise ValueError(
            f"vocoder {model_dir}: expected one for the features of the voice, {inline(voice)}, got one for {inline(own)}; "
            "take another, or train one of both with the featurizer of the other"
        )
    vocoder = build_vocoder(config, featurizer)
    vocoder.load_state_dict(load_weights(model_dir / "averaged.safetensors"))
    remove_weight_norm(vocoder)
    return vocoder.to(device).eval()


def check_frames(featurizer: Featurizer) -> None:
    """Refuse features whose frames do not lie around the samples that a vocoder makes of them.

    Raises:
        ValueError: Naming the features.
    """
    name, framing = featurizer.config.name, featurizer.framing
    if featurizer.not_streamable:
        raise ValueError(f"featurizer.name: expected features of pieces, got {name}: {featurizer.not_streamable}")
    middle, hop_length = framing.window_length // 2 - framing.left, framing.hop_length
    if framing.edges == "cut" or abs(middle - hop_length / 2) > 1:
        raise ValueError(
            f"featurizer.name: expected frames around the middles of {hop_length} samples, up to both ends, got {name}; "
            "use hifigan"
        )
