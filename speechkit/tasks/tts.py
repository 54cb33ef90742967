"""Text to speech: joins data, an acoustic model and its objectives; and, where it makes waveforms, a discriminator."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from lhotse import CutSet
from lhotse.cut import Cut
from torch import Tensor, nn

from speechkit.config import Choice
from speechkit.data import corpora  # noqa: F401 - registers the corpora
from speechkit.data.corpora.base import Corpus
from speechkit.data.frame_cache import FrameCache
from speechkit.data.loader import BatchLoader
from speechkit.data.sampler import BucketSampler
from speechkit.data.speakers import SpeakerTable
from speechkit.data.token_durations import read_token_durations
from speechkit.data.trim import TrimConfig
from speechkit.data.tts_batch import TtsBatch
from speechkit.data.tts_dataset import FrameData, TtsDataset
from speechkit.features.base import Featurizer
from speechkit.features.cmvn import Cmvn, GlobalCmvn
from speechkit.features.mel import HifiganMel
from speechkit.features.pitch import AutocorrelationPitch, PitchExtractor
from speechkit.models import acoustic  # noqa: F401 - registers the acoustic models
from speechkit.models.acoustic.base import AcousticFacts, AcousticModel, Learned, Segments, Speech
from speechkit.models.tts import TtsModel
from speechkit.nn.segments import take_segments
from speechkit.objectives.speech import SpeechObjective
from speechkit.tasks.asr import CMVN_CUTS, get_tokenizer
from speechkit.tasks.manifests import (
    DataConfig,
    evaluation_sampler,
    manifest_dir,
    manifest_facts,
    open_splits,
    training_sample,
)
from speechkit.tasks.waves import RESERVED, WaveTask, check_data, check_discriminator, weighted_sum
from speechkit.text.normalizer import NoNormalizer, Normalizer
from speechkit.text.symbols import CharTokenizer
from speechkit.text.tokenizer import Tokenizer
from speechkit.text.vocabulary import Vocabulary
from speechkit.train.task import Losses
from speechkit.utils import dist, log
from speechkit.utils.files import sha256
from speechkit.utils.utterances import named

SPEAKERS = "speakers.json"
GRIFFIN_LIM = "griffin_lim"


class TtsTask(WaveTask, name="tts"):
    """Text to speech: a voice, or many, in training.

    Args:
        config: The experiment.
        tokenizer: Fitted.
        speakers: All who speak in the training data.
        device: Where the networks are.
    """

    class Config(WaveTask.Config):
        """Text to speech."""

        corpus: Choice[Corpus] | None = None
        """The corpus that `speechkit prepare` makes manifests of; null if they come from elsewhere."""
        data: DataConfig = DataConfig()
        """Manifests and batches."""
        trim: TrimConfig | None = None
        """Which silence is cut off at both ends of recordings; null for none."""
        normalizer: Choice[Normalizer] = NoNormalizer.Config()
        """What is done to transcripts before they become tokens."""
        tokenizer: Choice[Tokenizer] = CharTokenizer.Config()
        """Text to tokens; fitted on the training transcripts."""
        token_durations: str | None = None
        """File of the frames of each token, for models that do not align by themselves: lines with id and durations."""
        featurizer: Choice[Featurizer] = HifiganMel.Config()
        """Waveform to features; a vocoder needs the same."""
        pitch: Choice[PitchExtractor] = AutocorrelationPitch.Config()
        """What measures pitch, for models that learn from it."""
        cmvn: Choice[Cmvn] = GlobalCmvn.Config()
        """Normalisation of the features that are learned; global or none, since synthesis undoes it."""
        model: Choice[AcousticModel]
        """Tokens to features, or on to waveforms."""
        objectives: dict[str, Choice[SpeechObjective]]
        """What is minimised: by the name of what the model gives, how it is judged."""
        vocoder: str = GRIFFIN_LIM
        """What makes waveforms of features in synthesis: griffin_lim, or the model directory of a trained vocoder (relative
        to the working directory, else to that of the voice). Models that go on to the waveform need none."""

        def model_post_init(self, context: Any) -> None:
            """Objectives judge what the model gives, and the model gets what it needs."""
            check_data(self)
            model = self.model.component
            check_objectives(self, model)
            check_discriminator(self, "segments" in model.gives, f"model {self.model.name}")
            if "segments" in model.gives and self.vocoder != GRIFFIN_LIM:
                raise ValueError(f"vocoder: expected none, for model {self.model.name} makes waveforms, got {self.vocoder}")
            if not self.cmvn.component.invertible:
                raise ValueError(f"cmvn: expected global or none, which synthesis can undo, got {self.cmvn.name}")

        def given(self, model: type[AcousticModel] | AcousticModel) -> frozenset[str]:
            """Names of what objectives can judge: what the model gives, and what a task adds to it."""
            return model.gives

    def __init__(self, config: Config, tokenizer: Tokenizer, speakers: SpeakerTable, device: torch.device) -> None:
        self.config, self.tokenizer, self.speakers, self.device = config, tokenizer, speakers, device
        self.normalizer = config.normalizer.build()
        torch.manual_seed(config.seed)  # initial weights are the same on all ranks
        self.model = build_model(config, tokenizer.vocabulary, len(speakers)).to(device)
        check_objectives(config, self.model.acoustic)  # its options may leave out what its class may give
        check_needs(config, self.model.acoustic)
        self.networks: dict[str, nn.Module] = {"model": self.model}
        self.objectives = nn.ModuleDict({name: each.build(of=name) for name, each in config.objectives.items()}).to(device)
        self.set_critic(self.model.featurizer, "segments" in self.model.acoustic.gives)
        self.frame_data = self._frame_data()
        self.valid_loader: BatchLoader | None = None

    @property
    def metrics(self) -> tuple[str, ...]:
        """What :meth:`validate` measures."""
        return ("loss", *self.objectives, *self.wave_weights)

    @property
    def weights(self) -> dict[str, float]:
        """Of each loss at this step; one that does not count yet is computed for the log."""
        chosen = self.config.objectives.items()
        return {name: each.weight for name, each in chosen if self.step >= each.from_step} | self.critic_weights()

    # --- before training ------------------------------------------------------------------------------------------

    @classmethod
    def training_data(cls, config: Config) -> dict[str, Any]:
        """Facts of the manifests and of the durations; see :meth:`Task.training_data`."""
        facts = manifest_facts(config)
        if config.token_durations is not None:
            report_left_out(config)
            facts["fingerprints"]["token_durations"] = sha256(config.token_durations)
        return facts

    @classmethod
    def prepare(cls, config: Config, exp_dir: Path, resuming: bool) -> None:
        """Fit the tokenizer, and number the speakers; see :meth:`Task.prepare`."""
        if resuming:
            return
        get_tokenizer(config).save(exp_dir / "tokenizer")
        SpeakerTable.fit(open_splits(config.data.train, config)).save(exp_dir / SPEAKERS)

    @classmethod
    def restore(cls, config: Config, exp_dir: Path, device: torch.device) -> TtsTask:
        """The task with its tokenizer and speakers."""
        return cls(config, Tokenizer.load(exp_dir / "tokenizer"), SpeakerTable.load(exp_dir / SPEAKERS), device)

    def begin(self) -> None:
        """Estimate statistics on training cuts: those of features, then those that the model wants."""
        data = self.config.data
        cuts = training_sample(self.open(data.train), data.sampler, CMVN_CUTS)
        sampler = evaluation_sampler(data.sampler, cuts)
        if isinstance(self.model.cmvn, GlobalCmvn):
            batches = BatchLoader(sampler, self._dataset(None)).epoch(0)
            self.model.cmvn.fit(feats for batch in batches for feats in self._features(batch.to(self.device)))
        with torch.no_grad():
            batches = BatchLoader(sampler, self._dataset(self.frame_data)).epoch(0)  # read if the model asks for it
            self.model.fit(self.speech(batch.to(self.device)) for batch in batches)

    # --- data -----------------------------------------------------------------------------------------------------

    def open(self, names: list[str]) -> CutSet:
        """The cuts of some splits, lazily; without those whose durations should be known and are not."""
        cuts, known = open_splits(names, self.config), self.frame_data.token_durations
        return cuts if known is None else cuts.filter(functools.partial(_is_among, known))

    def tokenize(self, transcript: str) -> list[int]:
        """Normalise, then encode."""
        return self.tokenizer.encode(self.normalizer(transcript))

    def batches(self) -> BatchLoader:
        """The training batches of this rank."""
        data, ranks = self.config.data, {"rank": dist.rank(), "world_size": dist.world_size()}
        sampler = BucketSampler(self.open(data.train), data.sampler, shuffle=True, seed=self.config.seed, **ranks)
        return BatchLoader(sampler, self._dataset(self.frame_data), data.num_workers)

    def _dataset(self, frame_data: FrameData | None) -> TtsDataset:
        rate, cached = self.model.featurizer.sampling_rate, self.config.data.cache_audio
        return TtsDataset(self.tokenize, rate, self.speakers, frame_data, self.config.trim, cache_audio=cached)

    def _frame_data(self) -> FrameData:
        path = self.config.token_durations
        durations = None if path is None else read_token_durations(Path(path))
        pitch = pitch_cache(self.config) if "pitch" in self.model.acoustic.needs else None
        return FrameData(self.model.featurizer.framing.num_frames, pitch, durations)

    def _features(self, batch: TtsBatch) -> Iterator[Tensor]:
        feats, lens = self.model.features(batch.wavs, batch.wav_lens)
        yield from (each[:length].cpu() for each, length in zip(feats, lens.tolist(), strict=True))

    def speech(self, batch: TtsBatch) -> Speech:
        """A batch as the model learns from it: with features, and with what else it needs."""
        needs, hop_length = self.model.acoustic.needs, self.model.featurizer.hop_length
        feats, feat_lens = self.model.features(batch.wavs, batch.wav_lens)
        return Speech(
            batch.tokens, batch.token_lens, feats, feat_lens, batch.speakers,
            durations=batch.token_durations,
            pitch=batch.pitch,
            energy=self.model.energy(batch.wavs, batch.wav_lens) if "energy" in needs else None,
            wav=_at_least(batch.wavs, feats.shape[1] * hop_length) if "wav" in needs else None,
        )  # fmt: skip

    # --- the trainer's view ---------------------------------------------------------------------------------------

    def at_step(self, step: int) -> None:
        """Hear the step, since some losses count later."""
        self.step = step

    def losses(self, batch: TtsBatch) -> Iterator[tuple[str, Losses]]:
        """Yield the model with the value of every objective; before it the discriminator, if the model makes waveforms."""
        with named(batch.ids):
            learned = self.learn(batch)
            losses = self._judge(learned)
        if self.discriminator is None:
            yield "model", losses
        else:
            yield from self.wave_turns(self._recorded(batch, learned.segments), learned.segments.wav, losses)

    def learn(self, batch: TtsBatch) -> Learned:
        """What there is to be judged."""
        return self.model(self.speech(batch))

    def _judge(self, learned: Learned) -> Losses:
        """The value of every objective."""
        for name, objective in self.objectives.items():
            there = getattr(learned, objective.judges)
            if objective.judges != "alignment" and name not in there:
                names = ", ".join(sorted(there)) or "nothing"
                raise ValueError(
                    f"objectives.{name}.name: {objective.config.name} judges what is in `{objective.judges}`, where the "
                    f"model gives {names}, expected {name} there; take another loss for it"
                )
        return {name: objective(learned) for name, objective in self.objectives.items()}

    def _recorded(self, batch: TtsBatch, segments: Segments) -> Tensor:
        """(B, N * hop_length) recordings of the pieces that the model made."""
        hop_length = self.model.featurizer.hop_length
        return take_segments(batch.wavs, segments.starts * hop_length, segments.num_frames * hop_length)

    def validate(self) -> dict[str, float]:
        """Loss per utterance with the final weights, without what a discriminator would say, and each part of it."""
        if self.valid_loader is None:
            sampler = evaluation_sampler(self.config.data.sampler, self.open(self.config.data.valid))
            self.valid_loader = BatchLoader(sampler, self._dataset(self.frame_data))
        totals, count = dict.fromkeys(self.metrics, 0.0), 0
        with self.fixed_draws():
            for batch in self.valid_loader.epoch(0):
                for name, values in self._valid_losses(batch.to(self.device)).items():
                    totals[name] += values.sum().item()
                count += len(batch)
        return {name: total / count for name, total in totals.items()}

    def _valid_losses(self, batch: TtsBatch) -> Losses:
        with named(batch.ids):
            learned = self.learn(batch)
            losses = self._judge(learned)
        if learned.segments is not None and self.wave_losses:
            losses |= self.wave_differences(self._recorded(batch, learned.segments), learned.segments.wav)
        weights = {name: each.weight for name, each in self.config.objectives.items()} | self.wave_weights
        return losses | {"loss": weighted_sum(losses, weights)}

    def take_notes(self) -> list[dict[str, Any]]:
        """Nothing: utterances that cannot be used end training."""
        return []


def report_left_out(config: TtsTask.Config) -> None:
    """Say how many cuts have no durations in the file of the config, if some have none.

    Raises:
        ValueError: The file cannot be used, or none of the cuts to train or to validate on have any.
    """
    known = read_token_durations(Path(config.token_durations))
    for names in (config.data.train, config.data.valid):
        ids = [cut.id for cut in open_splits(names, config)]
        missing = [each for each in ids if each not in known]
        if ids and len(missing) == len(ids):
            raise ValueError(
                f"{config.token_durations}: expected durations of {', '.join(names)}, got none of these; align them, too"
            )
        if missing:
            some = ", ".join(missing[:5]) + (" ..." if len(missing) > 5 else "")
            counts = f"{len(missing)} of {len(ids)} utterances"
            log.info(f"{', '.join(names)}: {counts} have no durations and are left out: {some}")


def _is_among(known: Mapping[str, Any], cut: Cut) -> bool:
    return cut.id in known


def build_model(config: TtsTask.Config, vocabulary: Vocabulary, num_speakers: int) -> TtsModel:
    """The network of a config; what follows from another part (sizes) is computed here."""
    featurizer = config.featurizer.build()
    feat_dim, hop_length, rate = featurizer.feat_dim, featurizer.hop_length, featurizer.sampling_rate
    facts = AcousticFacts(vocabulary, feat_dim, featurizer.frame_shift, num_speakers, hop_length, rate)
    return TtsModel(featurizer, config.cmvn.build(feat_dim=feat_dim), config.model.build(facts=facts))


def pitch_cache(config: TtsTask.Config) -> FrameCache:
    """The pitch of cuts, kept in a folder that is named after everything that it depends on beside the samples."""
    options = [config.pitch.model_dump(mode="json"), config.featurizer.model_dump(mode="json")]
    key = hashlib.sha256(json.dumps(options, sort_keys=True).encode()).hexdigest()[:8]
    return FrameCache(PitchOfSamples(config), manifest_dir(config) / f"pitch-{config.pitch.name}-{key}")


class PitchOfSamples:
    """Samples (L,) to the pitch (T,) of their frames, on the CPU: what reading processes can take along.

    Args:
        config: The experiment.
    """

    def __init__(self, config: TtsTask.Config) -> None:
        self.extractor = config.pitch.build(featurizer=config.featurizer.build())

    def __call__(self, wav: np.ndarray) -> np.ndarray:
        pitch, _ = self.extractor(torch.from_numpy(wav).unsqueeze(0), torch.tensor([len(wav)]))
        return pitch[0].numpy()


def check_objectives(config: TtsTask.Config, model: type[AcousticModel] | AcousticModel) -> None:
    """Refuse objectives that judge what the model does not give, or whose names mean something else in the log.

    Raises:
        ValueError: Naming the key.
    """
    for name, objective in config.objectives.items():
        if name in RESERVED:
            raise ValueError(f"objectives.{name}: expected a name that nothing else in the log has; take another")
        try:
            objective.component.check(name, config.given(model))
        except ValueError as error:
            raise ValueError(f"objectives.{name}: {error}") from None
    counted = [each for each in config.objectives.values() if each.weight and not each.from_step]
    if not counted:
        raise ValueError(
            "objectives: expected at least one with a weight above 0 from step 0, got none; there is nothing to learn"
        )


def check_needs(config: TtsTask.Config, model: AcousticModel) -> None:
    """Refuse a model without the durations that it learns from.

    Raises:
        ValueError: Naming the key.
    """
    if "durations" in model.needs and config.token_durations is None:
        raise ValueError(
            f"token_durations: expected a file, for model {config.model.name} learns from durations, got null; make one "
            "with an aligner"
        )


def _at_least(wav: Tensor, length: int) -> Tensor:
    """``wav`` (B, L) with zeros up to ``length``: an utterance shorter than a hop has a frame, too."""
    return F.pad(wav, (0, max(0, length - wav.shape[1])))
