"""Speech recognition: joins data, the network, its objectives and a search."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from speechkit.config import Choice
from speechkit.data import corpora  # noqa: F401 - registers the corpora
from speechkit.data.augment import Augmenter
from speechkit.data.batch import AsrBatch
from speechkit.data.corpora.base import Corpus
from speechkit.data.dataset import AsrDataset
from speechkit.data.loader import BatchLoader
from speechkit.data.sampler import BucketSampler
from speechkit.decode.base import Search
from speechkit.decode.ctc_greedy import CtcGreedySearch
from speechkit.decode.words import text
from speechkit.features.base import Featurizer
from speechkit.features.cmvn import Cmvn, GlobalCmvn
from speechkit.features.fbank import Fbank
from speechkit.features.spec_augment import SpecAugment, SpecAugmentConfig
from speechkit.metrics.error_rate import error_rate
from speechkit.models.asr import AsrModel
from speechkit.models.encoder.base import Encoder
from speechkit.models.encoder.conformer import Conformer
from speechkit.objectives.base import Objective
from speechkit.objectives.ctc import CtcObjective
from speechkit.tasks.base import Task
from speechkit.tasks.manifests import (
    DataConfig,
    evaluation_sampler,
    manifest_facts,
    open_splits,
    tokenizer_dir,
    training_sample,
    transcripts,
)
from speechkit.text.normalizer import NoNormalizer, Normalizer
from speechkit.text.symbols import CharTokenizer
from speechkit.text.tokenizer import Tokenizer
from speechkit.text.vocabulary import Vocabulary
from speechkit.train.task import Losses
from speechkit.utils import dist, log
from speechkit.utils.utterances import named

HOPELESS = 20  # utterances, none of which can be aligned, after which training gives up
CMVN_CUTS = 2000  # utterances that global statistics are estimated on


class AsrTask(Task, name="asr"):
    """Speech recognition: a recogniser in training.

    Args:
        config: The experiment.
        tokenizer: Fitted.
        device: Where the network is.
        exp_dir: Where what objectives know of the training transcripts lies, for the search of validations.
    """

    class Config(Task.Config):
        """Speech recognition."""

        corpus: Choice[Corpus] | None = None
        """The corpus that `speechkit prepare` makes manifests of; null if they come from elsewhere."""
        data: DataConfig = DataConfig()
        """Manifests, batches and augmentation."""
        normalizer: Choice[Normalizer] = NoNormalizer.Config()
        """What is done to transcripts before they become tokens, and before a recogniser is scored against them."""
        tokenizer: Choice[Tokenizer] = CharTokenizer.Config()
        """Text to tokens; fitted on the training transcripts."""
        featurizer: Choice[Featurizer] = Fbank.Config()
        """Waveform to features."""
        cmvn: Choice[Cmvn] = GlobalCmvn.Config()
        """Normalisation of features."""
        spec_augment: SpecAugmentConfig | None = SpecAugmentConfig()
        """Masks on training features; null for none."""
        encoder: Choice[Encoder] = Conformer.Config()
        """Features to encodings."""
        objectives: dict[str, Choice[Objective]] = {"ctc": CtcObjective.Config()}
        """What is minimised: any number of objectives, each with its weight and decoder."""
        valid_search: Choice[Search] = CtcGreedySearch.Config()
        """How encodings become text in validation: the fastest that tells one epoch from another."""
        search: Choice[Search] = CtcGreedySearch.Config()
        """How encodings become text after training."""

        def model_post_init(self, context: Any) -> None:
            """Stored features cannot be changed by what works on waveforms; searches read what objectives have trained."""
            if not any(objective.weight for objective in self.objectives.values()):
                raise ValueError("objectives: expected at least one with a weight above 0, got none; there is nothing to learn")
            for key, search in (("search", self.search), ("valid_search", self.valid_search)):
                search.component.check_reading(search, self.objectives, key)
            blocks = self.data.augment.model_dump(exclude_none=True)
            if self.data.features == "precomputed" and blocks:
                raise ValueError(
                    f"data.features: precomputed cannot go with data.augment ({', '.join(blocks)}): expected on_the_fly; "
                    "SpecAugment works with both"
                )

    metrics = ("loss", "wer", "cer")

    def __init__(self, config: Config, tokenizer: Tokenizer, device: torch.device, exp_dir: Path | None = None) -> None:
        self.config, self.tokenizer, self.device = config, tokenizer, device
        self.normalizer = config.normalizer.build()
        self.objectives = build_objectives(config, tokenizer).to(device)
        self.weights = {name: objective.weight for name, objective in config.objectives.items()}
        torch.manual_seed(config.seed)  # initial weights are the same on all ranks
        self.model = build_model(config, tokenizer.vocabulary).to(device)
        self.networks: dict[str, nn.Module] = {"model": self.model}
        self.search = config.valid_search.build(
            vocabulary=tokenizer.vocabulary, tokenizer=tokenizer, model_dir=exp_dir
        )
        self.valid_loader: BatchLoader | None = None
        self.notes: list[dict[str, Any]] = []
        self.noted: set[str] = set()
        self.any_alignable = False

    # --- before training ------------------------------------------------------------------------------------------

    @classmethod
    def check(cls, config: Config) -> None:
        """Refuse searches that none of the objectives trains a decoder for; see :meth:`Task.check`."""
        used = ("search", "valid_search") if config.train.validate_every else ("search",)
        for key in used:
            search = getattr(config, key)
            search.component.check(search, config.objectives, key)

    @classmethod
    def training_data(cls, config: Config) -> dict[str, Any]:
        """Facts of the manifests; see :meth:`Task.training_data`."""
        return manifest_facts(config)

    @classmethod
    def prepare(cls, config: Config, exp_dir: Path, resuming: bool) -> None:
        """Fit the tokenizer and the objectives; see :meth:`Task.prepare`."""
        if resuming:  # a tokenizer fitted again may give its ids to other tokens
            return
        tokenizer = get_tokenizer(config)
        tokenizer.save(exp_dir / "tokenizer")
        fit_objectives(config, tokenizer, exp_dir / "objectives")

    @classmethod
    def restore(cls, config: Config, exp_dir: Path, device: torch.device) -> AsrTask:
        """The task with its tokenizer and fitted objectives."""
        task = cls(config, Tokenizer.load(exp_dir / "tokenizer"), device, exp_dir)
        for name, objective in task.objectives.items():
            objective.load(exp_dir / "objectives" / name)
        task.objectives.to(device)
        return task

    def begin(self) -> None:
        """Estimate global feature statistics on training cuts."""
        if not isinstance(self.model.cmvn, GlobalCmvn):
            return
        data = self.config.data
        cuts = training_sample(self.open(data.train), data.sampler, CMVN_CUTS)
        batches = BatchLoader(evaluation_sampler(data.sampler, cuts), self._dataset(None)).epoch(0)
        self.model.cmvn.fit(feats for batch in batches for feats in self._features(batch.to(self.device)))

    # --- data -----------------------------------------------------------------------------------------------------

    def open(self, names: list[str]):
        """The cuts of some splits, lazily."""
        return open_splits(names, self.config)

    def tokenize(self, transcript: str) -> list[int]:
        """Normalise, then encode."""
        return self.tokenizer.encode(self.normalizer(transcript))

    def batches(self) -> BatchLoader:
        """The training batches of this rank, augmented."""
        data, ranks = self.config.data, {"rank": dist.rank(), "world_size": dist.world_size()}
        augmenter = Augmenter(data.augment, self.config.seed) if data.features == "on_the_fly" else None
        sampler = BucketSampler(
            self.open(data.train), data.sampler, shuffle=True, seed=self.config.seed, augmenter=augmenter, **ranks
        )
        return BatchLoader(sampler, self._dataset(augmenter), data.num_workers)

    def _plain_batches(self, names: list[str]) -> BatchLoader:
        """All utterances of some splits as they are, in a fixed order."""
        return BatchLoader(evaluation_sampler(self.config.data.sampler, self.open(names)), self._dataset(None))

    def _dataset(self, augmenter: Augmenter | None) -> AsrDataset:
        data, rate = self.config.data, self.config.featurizer.sampling_rate
        return AsrDataset(self.tokenize, rate, data.features, augmenter, cache_audio=data.cache_audio)

    def _features(self, batch: AsrBatch) -> Iterator[Tensor]:
        feats, lens = batch.inputs, batch.input_lens
        if not batch.is_features:
            feats, lens = self.model.features(feats, lens)
        yield from (each[:length].cpu() for each, length in zip(feats, lens.tolist()))

    # --- the trainer's view ---------------------------------------------------------------------------------------

    def at_step(self, step: int) -> None:
        """Tell the objectives, some of which warm up."""
        for objective in self.objectives.values():
            objective.at_step(step)

    def losses(self, batch: AsrBatch) -> Iterator[tuple[str, Losses]]:
        """Yield the one network with the value of every objective and, for the log, of the parts of those that have any."""
        encoder_out, lens = self.model(batch.inputs, batch.input_lens, batch.is_features)
        losses = self._objectives(batch, encoder_out, lens)
        for name, objective in self.objectives.items():
            losses |= {f"{name}.{part}": values for part, values in objective.parts.items()}
        yield "model", losses

    def _objectives(self, batch: AsrBatch, encoder_out: Tensor, lens: Tensor) -> Losses:
        losses = {}
        for name, objective in self.objectives.items():
            self._note_unalignable(name, objective, batch, lens)
            decoder = self.model.decoders[name]
            with named(batch.ids):
                losses[name] = objective(decoder, encoder_out, lens, batch.targets)
        return losses

    def _note_unalignable(self, name: str, objective: Objective, batch: AsrBatch, lens: Tensor) -> None:
        """Name, once, the cuts whose transcript is longer than their frames allow; they add nothing to the loss."""
        possible = objective.alignable(lens, batch.targets)
        bad = {batch.ids[i] for i in (~possible).nonzero().flatten().tolist()} - self.noted
        self.any_alignable = self.any_alignable or bool(possible.any())
        if bad:
            self.noted |= bad
            reason = f"the transcript has more tokens than {name} can align with the frames"
            self.notes.append({"cuts": sorted(bad), "reason": reason})
            remedy = "use longer units, less subsampling, or drop these cuts"
            log.warn(f"{reason}: {', '.join(sorted(bad)[:8])}; {remedy}")
            if not self.any_alignable and len(self.noted) >= HOPELESS:
                raise ValueError(f"{reason} in all of the first {len(self.noted)} utterances; {remedy}")

    def take_notes(self) -> list[dict[str, Any]]:
        """Events since the last call."""
        notes, self.notes = self.notes, []
        return notes

    def validate(self) -> dict[str, float]:
        """Loss per utterance (weighted), and word and character error rates in per cent of a greedy search."""
        if self.valid_loader is None:
            self.valid_loader = self._plain_batches(self.config.data.valid)
        total, pairs = 0.0, []
        for batch in self.valid_loader.epoch(0):
            batch = batch.to(self.device)
            encoder_out, lens = self.model(batch.inputs, batch.input_lens, batch.is_features)
            losses = self._objectives(batch, encoder_out, lens)
            total += sum(self.weights[name] * values.sum().item() for name, values in losses.items())
            pairs += self._transcribe(batch, encoder_out, lens)
        rates = {"wer": 100 * error_rate(pairs, "word").rate, "cer": 100 * error_rate(pairs, "char").rate}
        return {"loss": total / max(1, len(pairs)), **rates}

    def _transcribe(self, batch: AsrBatch, encoder_out: Tensor, lens: Tensor) -> list[tuple[str, str, str]]:
        with named(batch.ids):
            best = [hypotheses[0] for hypotheses in self.search.decode(self.model.decoders, encoder_out, lens)]
        return [(i, self.normalizer(ref), text(hyp, self.tokenizer)) for i, ref, hyp in zip(batch.ids, batch.texts, best)]


def build_objectives(config: AsrTask.Config, tokenizer: Tokenizer) -> nn.ModuleDict:
    """The objectives of a config, for this tokenizer's tokens; :meth:`Objective.load` is still to be called."""
    return nn.ModuleDict({name: each.build(vocabulary=tokenizer.vocabulary) for name, each in config.objectives.items()})


def fit_objectives(config: AsrTask.Config, tokenizer: Tokenizer, folder: Path) -> None:
    """Let each objective write into ``folder/<name>`` what it needs to know of the training transcripts."""
    normalizer = config.normalizer.build()
    for name, objective in build_objectives(config, tokenizer).items():
        sentences = (tokenizer.encode(normalizer(each)) for each in transcripts(open_splits(config.data.train, config)))
        objective.fit(sentences, folder / name)


def build_model(config: AsrTask.Config, vocabulary: Vocabulary) -> AsrModel:
    """The network of a config; what follows from another part (sizes) is computed here."""
    featurizer = config.featurizer.build()
    encoder = config.encoder.build(in_dim=featurizer.feat_dim)
    decoders = {
        name: objective.decoder.build(in_dim=encoder.out_dim, vocabulary=vocabulary)
        for name, objective in config.objectives.items()
    }
    spec_augment = SpecAugment(config.spec_augment) if config.spec_augment else None
    return AsrModel(featurizer, config.cmvn.build(feat_dim=featurizer.feat_dim), spec_augment, encoder, decoders)


def get_tokenizer(config: AsrTask.Config) -> Tokenizer:
    """The tokenizer of a config: the one fitted before on the same data, or fitted now and kept."""
    folder = tokenizer_dir(config)
    if (folder / "tokenizer.yaml").exists():
        return Tokenizer.load(folder)
    tokenizer, normalizer = config.tokenizer.build(), config.normalizer.build()
    tokenizer.fit(normalizer(text) for text in transcripts(open_splits(config.data.train, config)))
    tokenizer.save(folder)
    log.info(f"tokenizer: {config.tokenizer.name} with {tokenizer.vocab_size} tokens in {folder}")
    return tokenizer
